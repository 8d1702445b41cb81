"""What the model file said of each held-out picture: `predictions.parquet` in a run folder.

A row for every readable picture of the validation and the test split: `split`, `path`, `label`
(the true one, by name), `familiarity` (null where the model tells none) and `probability`, a
list in the order of the labels. About 25 bytes a picture with two labels. Everything else that
is known of a picture is in `catalog.parquet`, by its path.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pawsure.data.file_names import as_text, from_text
from pawsure.data.files import atomic_path
from pawsure.data.tables import read_table, write_table

if TYPE_CHECKING:
    import pyarrow as pa

FILE_NAME = "predictions.parquet"

_LABELS, _DATA = b"pawsure.labels", b"pawsure.data"


class HeldOut(Protocol):
    """Predictions of one split; `pawsure.evaluation.evaluate.Predictions` is one."""

    @property
    def indices(self) -> np.ndarray:
        """int64 (N,), rows of the catalog."""

    @property
    def probability(self) -> np.ndarray:
        """float32 (N, K)."""

    @property
    def label(self) -> np.ndarray:
        """int64 (N,), columns of `probability`."""

    @property
    def familiarity(self) -> np.ndarray | None:
        """float32 (N,)."""


class Pictures(Protocol):
    """Where they are from; `pawsure.data.catalog.Catalog` is one."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The class names."""

    @property
    def path(self) -> np.ndarray:
        """Object (N,) of str."""


@dataclass(frozen=True, kw_only=True)
class RecordedAnswers:
    """The file, read back; N rows.

    Attributes:
        labels: the K class names.
        data: what the run was given, to find the pictures again; absolute where it is a path.
        split: object (N,), "validation" or "test".
        path: object (N,).
        label: int64 (N,), the true ones.
        probability: float32 (N, K).
        familiarity: float64 (N,), or None.
    """

    labels: tuple[str, ...]
    data: str
    split: np.ndarray
    path: np.ndarray
    label: np.ndarray
    probability: np.ndarray
    familiarity: np.ndarray | None

    def where(self, split: str) -> np.ndarray:
        """int64, rows of a split."""
        return np.flatnonzero(self.split == split)


def write_answers(
    path: Path, pictures: Pictures, splits: Mapping[str, HeldOut], *, data: str
) -> None:
    """Write the file, whole or not at all.

    Args:
        path: of the file.
        pictures: whose rows the predictions are of.
        splits: predictions by the name of their split.
        data: what the run was given.
    """
    import pyarrow as pa

    parts = list(splits.items())
    rows = np.concatenate([found.indices for _, found in parts])
    label = np.concatenate([found.label for _, found in parts])
    probability = np.concatenate([found.probability for _, found in parts]).astype(np.float32)
    names = [as_text(name) for name in pictures.labels]
    table = pa.table(
        {
            "split": pa.array(_repeated(parts), pa.string()).dictionary_encode(),
            "path": [as_text(name) for name in pictures.path[rows]],
            "label": pa.array([names[k] for k in label], pa.string()).dictionary_encode(),
            "familiarity": _familiarity(parts),
            "probability": pa.FixedSizeListArray.from_arrays(
                probability.ravel(), probability.shape[1]
            ),
        }
    )
    told = {_LABELS: json.dumps(names), _DATA: as_text(_absolute(data))}
    with atomic_path(path) as temporary:
        write_table(table.replace_schema_metadata(told), temporary)


def read_answers(path: Path) -> RecordedAnswers | None:
    """Read the file back; None where there is none, or it is of no use."""
    import pyarrow as pa

    try:
        table = read_table(path)
        told = table.schema.metadata or {}
        labels = tuple(json.loads(told[_LABELS]))
        names = table["label"].to_pylist()
        familiarity = table["familiarity"].to_numpy()
        return RecordedAnswers(
            labels=labels,
            data=from_text(told[_DATA].decode()),
            split=np.array(table["split"].to_pylist(), dtype=object),
            path=np.array([from_text(path) for path in table["path"].to_pylist()], dtype=object),
            label=np.array([labels.index(name) for name in names], dtype=np.int64),
            probability=_rows(table["probability"], len(labels)),
            familiarity=None if np.isnan(familiarity).any() else familiarity,
        )
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return None


def _repeated(parts: Sequence[tuple[str, HeldOut]]) -> list[str]:
    return [name for name, found in parts for _ in found.indices]


def _familiarity(parts: Sequence[tuple[str, HeldOut]]) -> np.ndarray:
    """float32, not a number where the model tells none."""
    return np.concatenate(
        [
            np.full(len(found.indices), np.nan, np.float32)
            if found.familiarity is None
            else np.asarray(found.familiarity, np.float32)
            for _, found in parts
        ]
    )


def _rows(column: pa.ChunkedArray, num_labels: int) -> np.ndarray:
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, np.float32).reshape(-1, num_labels)


def _absolute(data: str) -> str:
    """A path that holds wherever the report is made anew; a name stays as it is."""
    return str(Path(data).expanduser().resolve()) if Path(data).expanduser().exists() else data

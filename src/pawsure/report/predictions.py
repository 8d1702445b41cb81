"""The model's answers for held-out pictures: `predictions.parquet` in a run folder.

A row for each readable picture of the validation and test splits: `split`, `path`, `label` (the
true one, by name), `familiarity` (null if the model has no such score) and `probability`, a list
in the order of the labels. About 25 bytes per picture with two labels. `catalog.parquet` has
everything else about a picture, by its path.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pawsure.data.catalog import Catalog
from pawsure.data.file_names import as_text, from_text
from pawsure.data.files import atomic_path
from pawsure.data.tables import read_table, write_table
from pawsure.evaluation.measure import Predictions

FILE_NAME = "predictions.parquet"

_LABELS, _DATA = b"pawsure.labels", b"pawsure.data"


@dataclass(frozen=True, kw_only=True)
class RecordedAnswers:
    """The contents of the file: N pictures.

    Attributes:
        labels: the K class names.
        data: the data of the run; absolute if it is a path.
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
        """int64, indices of the pictures of a split."""
        return np.flatnonzero(self.split == split)


def write_answers(
    path: Path, catalog: Catalog, splits: Mapping[str, Predictions], *, data: str
) -> None:
    """Write the file atomically.

    Args:
        path: of the file.
        catalog: of the pictures.
        splits: predictions by the name of their split.
        data: the data of the run; a path is made absolute.
    """
    import pyarrow as pa

    parts = splits.values()
    indices = np.concatenate([part.indices for part in parts])
    label = np.concatenate([part.label for part in parts])
    probability = np.concatenate([part.probability for part in parts]).astype(np.float32)
    familiarity = [
        np.full(len(part.indices), np.nan) if part.familiarity is None else part.familiarity
        for part in parts
    ]
    names = [as_text(name) for name in catalog.labels]
    split = np.repeat(list(splits), [len(part.indices) for part in parts])
    table = pa.table(
        {
            "split": pa.array(split, pa.string()).dictionary_encode(),
            "path": [as_text(name) for name in catalog.path[indices]],
            "label": pa.array([names[k] for k in label], pa.string()).dictionary_encode(),
            "familiarity": np.concatenate(familiarity).astype(np.float32),
            "probability": pa.FixedSizeListArray.from_arrays(
                probability.ravel(), probability.shape[1]
            ),
        }
    )
    place = Path(data).expanduser()
    absolute = str(place.resolve()) if place.exists() else data
    metadata = {_LABELS: json.dumps(names), _DATA: as_text(absolute)}
    with atomic_path(path) as temporary:
        write_table(table.replace_schema_metadata(metadata), temporary)


def read_answers(path: Path) -> RecordedAnswers | None:
    """Read the file; None if it does not exist or is damaged."""
    import pyarrow as pa

    try:
        table = read_table(path)
        metadata = table.schema.metadata or {}
        labels = tuple(json.loads(metadata[_LABELS]))
        names = table["label"].to_pylist()
        familiarity = table["familiarity"].to_numpy()
        probability = table["probability"].combine_chunks().flatten()
        return RecordedAnswers(
            labels=labels,
            data=from_text(metadata[_DATA].decode()),
            split=np.array(table["split"].to_pylist(), dtype=object),
            path=np.array([from_text(path) for path in table["path"].to_pylist()], dtype=object),
            label=np.array([labels.index(name) for name in names], dtype=np.int64),
            probability=probability.to_numpy(zero_copy_only=False)
            .astype(np.float32)
            .reshape(-1, len(labels)),
            familiarity=None if np.isnan(familiarity).any() else familiarity,
        )
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return None

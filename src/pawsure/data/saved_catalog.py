"""The catalog that a run saved, without reading every picture again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pawsure.data.catalog import FINGERPRINT, Catalog
from pawsure.data.checksums import is_unchanged
from pawsure.data.entries import SPLITS, Source
from pawsure.data.file_names import from_text
from pawsure.data.tables import read_schema, read_table
from pawsure.errors import DataError

_TEXT = ("content", "format", "problem", "split")
_NUMBERS = ("num_bytes", "width", "height", "group")


def load_catalog(file: str | Path, source: Source) -> Catalog | None:
    """The catalog of a run's catalog.parquet, its pictures read from a source.

    Args:
        file: written by `Catalog.to_parquet`.
        source: where the pictures are now.

    Returns:
        None if there is no such file, or a picture that it lists is not in the source.

    Raises:
        DataError: the file is not what the run wrote.
    """
    if not Path(file).is_file():
        return None
    if not is_unchanged(Path(file)):
        raise DataError(
            f"{file} was damaged or changed after the run wrote it. Restore it, or remove it: "
            "the pictures are then split again by the run's recipe."
        )
    table = read_table(file)
    columns = {name: table[name].to_numpy(zero_copy_only=False) for name in _NUMBERS}
    columns |= {name: np.array(table[name].to_pylist(), dtype=object) for name in _TEXT}
    path = np.array([from_text(path) for path in table["path"].to_pylist()], dtype=object)
    if not set(path[columns["problem"] == ""]) <= {entry.path for entry in source.entries}:
        return None
    names = table["label"].to_pylist()
    labels = tuple(sorted({name for name in names if name is not None}))
    index = {name: number for number, name in enumerate(labels)} | {None: -1}
    label = np.array([index[name] for name in names], dtype=np.int64)
    return Catalog(source=source, labels=labels, path=path, label=label, **columns)


def saved_fingerprint(file: str | Path) -> str | None:
    """The fingerprint of the catalog in a Parquet file; None if there is no file or it has none."""
    if not Path(file).is_file():
        return None
    fingerprint = (read_schema(file).metadata or {}).get(FINGERPRINT.encode())
    return None if fingerprint is None else str(fingerprint, "ascii")


def load_splits(file: str | Path, fingerprint: str = "") -> dict[str, str] | None:
    """Which split each picture of a run was in.

    Args:
        file: written by `Catalog.to_parquet`.
        fingerprint: of the catalog that is meant; "": any.

    Returns:
        Content hash to "train", "validation" or "test", of pictures that could be used; of equal
        files in several splits the first of these. None if there is no such file, it can't be
        read, or is of other data.
    """
    import pyarrow

    if not Path(file).is_file():
        return None
    try:
        if fingerprint and saved_fingerprint(file) not in (fingerprint, None):
            return None
        table = read_table(file, columns=["content", "split"])
    except (OSError, pyarrow.ArrowException, KeyError):
        return None
    pairs = zip(table["content"].to_pylist(), table["split"].to_pylist(), strict=True)
    known = sorted((SPLITS.index(split), content) for content, split in pairs if split in SPLITS)
    return {content: SPLITS[split] for split, content in reversed(known) if content}


def seen_pictures(catalog: Catalog, splits: Mapping[str, str]) -> np.ndarray:
    """Which pictures a run has seen, or copies of them.

    Args:
        catalog: grouped; a near-copy of a picture that the run has seen counts as seen.
        splits: of the run, see `load_splits`.

    Returns:
        Object (N,) of str: "train" where the run was trained on the picture, "validation" where
        it was selected or calibrated by it, "" elsewhere.
    """
    indices = catalog.where().tolist()
    by_group: dict[int, set[str]] = {}
    for index in indices:
        split = splits.get(catalog.content[index], "")
        by_group.setdefault(int(catalog.group[index]), set()).add(split)
    seen = np.full(len(catalog), "", dtype=object)
    for index in indices:
        of_copies = by_group[int(catalog.group[index])]
        seen[index] = next((split for split in ("train", "validation") if split in of_copies), "")
    return seen

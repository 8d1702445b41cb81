"""A catalog as a run recorded it, without looking at every picture again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pawsure.data.catalog import Catalog, recorded_fingerprint
from pawsure.data.entries import SPLITS, Source
from pawsure.data.file_names import from_text
from pawsure.data.sealed import is_as_noted
from pawsure.data.tables import read_table
from pawsure.errors import DataError

_TEXT = ("path", "content", "format", "problem", "split")
_NUMBERS = ("num_bytes", "width", "height", "group")


def recorded_catalog(file: str | Path, source: Source) -> Catalog | None:
    """The catalog of a run's catalog.parquet, its pictures read from a source.

    Args:
        file: that `Catalog.to_parquet` wrote.
        source: where the pictures are now.

    Returns:
        None if there is no such file, or a picture that it lists is not in the source.

    Raises:
        DataError: the file is not what the run wrote.
    """
    if not Path(file).is_file():
        return None
    if not is_as_noted(Path(file)):
        raise DataError(
            f"{file} was damaged or changed after the run wrote it. Restore it, or remove it: "
            "the pictures are then split again by the run's recipe."
        )
    table = read_table(file)
    columns = {name: table[name].to_numpy(zero_copy_only=False) for name in _NUMBERS}
    columns |= {name: _objects(table[name].to_pylist()) for name in _TEXT}
    columns["path"] = _objects([from_text(path) for path in columns["path"]])
    usable = columns["path"][columns["problem"] == ""]
    if not set(usable) <= {entry.path for entry in source.entries}:
        return None
    names = table["label"].to_pylist()
    labels = tuple(sorted({name for name in names if name is not None}))
    place = {name: number for number, name in enumerate(labels)} | {None: -1}
    label = np.array([place[name] for name in names], dtype=np.int64)
    return Catalog(source=source, labels=labels, label=label, **columns)


def recorded_splits(file: str | Path, fingerprint: str = "") -> dict[str, str] | None:
    """Which split each picture of a run was in.

    Args:
        file: that `Catalog.to_parquet` wrote.
        fingerprint: of the catalog that is meant; "": any.

    Returns:
        Content hash to "train", "validation" or "test", of pictures that could be used; of equal
        files in several splits the first of these counts. None if there is no such file, it can't
        be read, or it is of other data.
    """
    import pyarrow
    import pyarrow.parquet

    if not Path(file).is_file():
        return None
    try:
        if fingerprint and recorded_fingerprint(file) not in (fingerprint, None):
            return None
        table = pyarrow.parquet.read_table(file, columns=["content", "split"])
    except (OSError, pyarrow.ArrowException, KeyError):
        return None
    splits: dict[str, str] = {}
    columns = (table[name].to_pylist() for name in ("content", "split"))
    for content, split in zip(*columns, strict=True):
        known = splits.get(content, SPLITS[-1])
        if split in SPLITS and content and SPLITS.index(split) <= SPLITS.index(known):
            splits[content] = split
    return splits


def seen_pictures(catalog: Catalog, splits: Mapping[str, str]) -> np.ndarray:
    """Which pictures a run has seen, or copies of them.

    Args:
        catalog: grouped; a near-copy of a picture that the run has seen counts as seen.
        splits: of the run, see `recorded_splits`.

    Returns:
        Object (N,) of str: "train" where the run was trained on the picture, "validation" where
        it was selected or calibrated by it, "" elsewhere.
    """
    rows = catalog.where()
    places: dict[int, set[str]] = {}
    for row in rows.tolist():
        split = splits.get(catalog.content[row], "")
        places.setdefault(int(catalog.group[row]), set()).add(split)
    seen = _objects([""] * len(catalog))
    for row in rows.tolist():
        of_copies = places[int(catalog.group[row])]
        seen[row] = next((split for split in ("train", "validation") if split in of_copies), "")
    return seen


def _objects(values: list[str]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array

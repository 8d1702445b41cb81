"""A catalog as a run recorded it, without looking at every picture again."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pawsure.data.catalog import Catalog
from pawsure.data.entries import Source
from pawsure.data.sealed import is_as_noted
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
    import pyarrow.parquet

    if not Path(file).is_file():
        return None
    if not is_as_noted(Path(file)):
        raise DataError(
            f"{file} was damaged or changed after the run wrote it. Restore it, or remove it: "
            "the pictures are then split again by the run's recipe."
        )
    table = pyarrow.parquet.read_table(file)
    columns = {name: table[name].to_numpy(zero_copy_only=False) for name in _NUMBERS}
    columns |= {name: _objects(table[name].to_pylist()) for name in _TEXT}
    usable = columns["path"][columns["problem"] == ""]
    if not set(usable) <= {entry.path for entry in source.entries}:
        return None
    names = table["label"].to_pylist()
    labels = tuple(sorted({name for name in names if name is not None}))
    place = {name: number for number, name in enumerate(labels)} | {None: -1}
    label = np.array([place[name] for name in names], dtype=np.int64)
    return Catalog(source=source, labels=labels, label=label, **columns)


def _objects(values: list[str]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array

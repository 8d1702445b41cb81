"""The findings as a table, and the manifest without bad pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pawsure.audit.audit import Audit
from pawsure.audit.checks import BY_NAME, LEAVE_OUT
from pawsure.data import tables
from pawsure.data.entries import Source
from pawsure.data.file_names import as_text
from pawsure.data.files import atomic_path, check_place
from pawsure.errors import UsageError

if TYPE_CHECKING:
    import pyarrow

SUFFIXES = (".csv", ".parquet")


def findings_table(audit: Audit) -> pyarrow.Table:
    """One row per picture: catalog, advice, reason, and a score and a flag for each check."""
    catalog = audit.catalog
    table = catalog.table().drop_columns(["problem"])
    likely = [catalog.labels[label] if label >= 0 else None for label in audit.likely]
    columns = {
        "advice": _texts(audit.advice),
        "reason": _texts(audit.reason),
        "likely_label": likely,
    }
    for name in audit.scores:
        columns[name] = audit.scores[name]
        columns[f"{name}_flag"] = audit.flags[name]
    for name, values in columns.items():
        table = table.append_column(name, [values])
    return table


def write_table(table: pyarrow.Table, path: str | Path) -> None:
    """Write a table as CSV or Parquet, by its suffix, atomically."""
    with atomic_path(path) as temporary:
        tables.write_table(table, temporary)


def check_manifest(path: str | Path, source: Source, *, leave_out: Sequence[str] = ()) -> None:
    """Check early whether a cleaned manifest can be written.

    Raises:
        UsageError: another suffix, an existing file, a missing folder, pictures in an archive, or
            an unknown check.
    """
    for name in leave_out:
        if name not in BY_NAME:
            raise UsageError(f"There is no check '{name}'. There are: {', '.join(BY_NAME)}.")
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--apply writes a manifest, .csv or .parquet; got '{path}'.")
    if path.exists():
        raise UsageError(f"{path} exists already. Name another file, or remove it.")
    if not path.parent.is_dir():
        raise UsageError(f"There is no folder {path.parent} to write {path.name} to. Create it.")
    check_place(path)
    if source.folder is None:
        raise UsageError(
            f"The pictures of {source.name} are in an archive, and a manifest names files. Unpack "
            "it and audit the folder."
        )


def left_out(audit: Audit, leave_out: Sequence[str] = ()) -> np.ndarray:
    """Bool (N,): the pictures that a cleaned manifest leaves out.

    Args:
        audit: of all.
        leave_out: see `write_manifest`.

    Raises:
        UsageError: the check is unknown, or was not run.
    """
    out = np.asarray(audit.advice == LEAVE_OUT)
    for name in leave_out:
        if name not in audit.flags:
            raise UsageError(f"'{name}' was not checked. {audit.not_looked}")
        out = out | audit.flags[name]
    return out


def write_manifest(
    audit: Audit, path: str | Path, *, leave_out: Sequence[str] = ()
) -> tuple[int, int]:
    """Write a manifest without bad pictures; no picture is changed.

    Args:
        audit: of all.
        path: of the manifest; see `check_manifest`.
        leave_out: names of checks whose flagged pictures are left out too.

    Returns:
        The number of pictures in the manifest, and of those left out.

    Raises:
        UsageError: see `check_manifest` and `left_out`.
    """
    import pyarrow

    catalog = audit.catalog
    check_manifest(path, catalog.source, leave_out=leave_out)
    rows = np.flatnonzero(~left_out(audit, leave_out))
    folder, home = catalog.source.folder, Path(path).absolute().parent
    assert folder is not None
    columns = {
        "path": [_named(folder / catalog.path[row], home) for row in rows],
        "label": [catalog.labels[catalog.label[row]] for row in rows],
    }
    if (catalog.split[rows] != "").any():
        columns["split"] = list(catalog.split[rows])
    write_table(pyarrow.table({name: _texts(values) for name, values in columns.items()}), path)
    return len(rows), len(catalog) - len(rows)


def _named(path: Path, home: Path) -> str:
    """Relative to the manifest if the picture is below it, else absolute."""
    path = path.absolute()
    return path.relative_to(home).as_posix() if path.is_relative_to(home) else str(path)


def _texts(values: Sequence[str] | np.ndarray) -> list[str]:
    """Names as catalogs have them."""
    return [as_text(value) for value in values]

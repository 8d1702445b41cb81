"""CSV and Parquet files that list pictures: `path,label[,split][,source]`."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pawsure.data.entries import SPLITS, Entry, split_named
from pawsure.data.images import Limits, read_file
from pawsure.errors import ManifestError, PictureError

CSV_SUFFIXES = (".csv", ".tsv")
PARQUET_SUFFIXES = (".parquet", ".pq")

_NEEDED = ("path", "label")
_COLUMNS = (*_NEEDED, "split", "source")
_SEPARATORS = (",", ";", "\t")


class ManifestSource:
    """The pictures that a CSV or Parquet file lists, relative to the folder it lies in.

    Args:
        path: of the manifest. A column `source` says where a picture was taken from; see
            `source_of`, by path.
        limits: that its pictures must keep.

    Raises:
        ManifestError: it lacks a column, has no rows, or one of them is malformed.
    """

    kind = "manifest"

    def __init__(self, path: Path, *, limits: Limits) -> None:
        self.name = str(path)
        self.folder = path.parent
        self._limits = limits
        rows = _parquet_rows if path.suffix.lower() in PARQUET_SUFFIXES else _csv_rows
        listed = list(rows(path))
        self.entries = [_entry(row, number, path) for number, row in listed]
        self.source_of = {
            entry.path: source
            for entry, (_, row) in zip(self.entries, listed, strict=True)
            if (source := _text(row.get("source")))
        }
        if not self.entries:
            raise ManifestError(f"{path} has columns but no rows. Add a row for each picture.")
        _check_labels_agree(self.entries, path)

    def read(self, path: str) -> bytes:
        """The bytes of one picture; safe to call from many threads.

        Raises:
            PictureError: it is missing, too large, or can't be read.
        """
        try:
            return read_file(self.folder / path, limits=self._limits)
        except PictureError as exc:
            raise PictureError(exc.reason, name=path) from exc


def _csv_rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """(line, row) with the columns that count."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            if not first.strip():
                raise ManifestError(f"{path} is empty. Its first line must be: path,label")
            file.seek(0)
            lines = csv.reader(file, delimiter=_separator(first))
            at = _positions(next(lines), path)
            for cells in lines:
                if any(cell.strip() for cell in cells):
                    yield (
                        lines.line_num,
                        {
                            column: cells[place] if place < len(cells) else ""
                            for column, place in at.items()
                        },
                    )
    except (UnicodeDecodeError, csv.Error) as exc:
        raise ManifestError(
            f"{path} can't be read as CSV ({exc}). Save it as CSV in UTF-8."
        ) from exc
    except OSError as exc:
        raise ManifestError(f"{path} can't be opened: {exc.strerror}.") from exc


def _separator(header: str) -> str:
    """Spreadsheets of some countries write semicolons."""
    names = {sep: {_name(cell) for cell in header.split(sep)} for sep in _SEPARATORS}
    fitting = (sep for sep in _SEPARATORS if names[sep] >= set(_NEEDED))
    return next(fitting, ",")


def _parquet_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """(row number from 1, row) with the columns that count."""
    import pyarrow
    import pyarrow.parquet

    try:
        names = pyarrow.parquet.read_schema(path).names
        at = _positions(names, path)
        table = pyarrow.parquet.read_table(path, columns=[names[place] for place in at.values()])
    except (pyarrow.ArrowException, OSError) as exc:
        raise ManifestError(
            f"{path} can't be read as Parquet ({exc}). It is damaged or was cut short; write "
            "or copy it anew."
        ) from exc
    columns = {column: table.column(names[place]).to_pylist() for column, place in at.items()}
    for number, values in enumerate(zip(*columns.values(), strict=True), 1):
        yield number, dict(zip(columns, values, strict=True))


def _positions(found: Sequence[str], path: Path) -> dict[str, int]:
    """Where the columns that count are."""
    names = [_name(column) for column in found]
    missing = [column for column in _NEEDED if column not in names]
    if missing:
        raise ManifestError(
            f"{path} lacks the column{'s' if len(missing) > 1 else ''} {' and '.join(missing)}. "
            f"Needed: path and label (and, if you like, split); found: "
            f"{', '.join(found) or 'none'}. The first line must name the columns."
        )
    return {column: names.index(column) for column in _COLUMNS if column in names}


def _name(column: str) -> str:
    return column.strip().strip('"').lower()


def _entry(row: Mapping[str, Any], number: int, manifest: Path) -> Entry:
    path, label, split = (_text(row.get(column)) for column in ("path", "label", "split"))
    for column, value in (("path", path), ("label", label)):
        if not value:
            raise ManifestError(
                f"{manifest}, row {number}: the {column} is empty. Fill it in or remove the row."
            )
    if split and split_named(split) is None:
        raise ManifestError(
            f"{manifest}, row {number}: there is no split '{split}'. Write one of "
            f"{', '.join(SPLITS)}, or leave it empty to have one drawn."
        )
    return Entry(path, label, split_named(split))


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return os.fsdecode(value).strip()
    return str(value).strip()


def _check_labels_agree(entries: Sequence[Entry], manifest: Path) -> None:
    labels: dict[str, str | None] = {}
    for entry in entries:
        other = labels.setdefault(entry.path, entry.label)
        if other != entry.label:
            raise ManifestError(
                f"{manifest} lists {entry.path} twice, as '{other}' and as '{entry.label}'. "
                "A picture has one label; remove one of the rows."
            )

"""The rows of CSV and Parquet files, as spreadsheets and other tools write them."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pawsure.data.tables import read_schema, read_table
from pawsure.errors import ManifestError

PARQUET_SUFFIXES = (".parquet", ".pq")

NEEDED = ("path", "label")
COLUMNS = (*NEEDED, "split", "source")
_SAMPLE = 1 << 16  # characters
_SEPARATORS = (",", ";", "\t", "|")

_BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def rows_of(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Line of a CSV file or row of a Parquet file, from 1, and the known columns as text.

    Raises:
        ManifestError: it can't be read, or lacks a column.
    """
    is_parquet = path.suffix.lower() in PARQUET_SUFFIXES
    for number, row in _parquet_rows(path) if is_parquet else _csv_rows(path):
        for column, value in row.items():
            if isinstance(value, (list, dict)):
                raise ManifestError(
                    f"{path}, row {number}: the column {column} holds several values ({value}). "
                    "It must hold one text or number."
                )
        yield number, {column: _text(value) for column, value in row.items()}


def _csv_rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    try:
        with open(path, encoding=_encoding(path), errors="surrogateescape", newline="") as file:
            start, first = 0, file.readline()
            stated = _stated_separator(first)
            if stated:
                start, first = file.tell(), file.readline()
            if not first.strip():
                raise ManifestError(f"{path} is empty. Its first line must be: path,label")
            separator = stated or _separator(first)
            # Some write a blank after every separator, before the quotes too.
            blanks = f'{separator} "' in first + file.read(_SAMPLE)
            file.seek(start)
            lines = csv.reader(file, delimiter=separator, skipinitialspace=blanks)
            positions = _positions(next(lines), path)
            for cells in lines:
                if any(cell.strip() for cell in cells):
                    cells += [""] * (max(positions.values()) + 1 - len(cells))
                    row = {column: cells[at] for column, at in positions.items()}
                    yield lines.line_num + bool(stated), row
    except (UnicodeError, csv.Error) as exc:
        raise ManifestError(
            f"{path} can't be read as CSV ({exc}). Save it as CSV in UTF-8."
        ) from exc
    except OSError as exc:
        raise ManifestError(f"{path} can't be opened: {exc.strerror}.") from exc


def _encoding(path: Path) -> str:
    """UTF-8, or the UTF-16 that Excel calls "Unicode text", by the first bytes."""
    with open(path, "rb") as file:
        start = file.read(64)
    for mark, encoding in _BYTE_ORDER_MARKS:
        if start.startswith(mark):
            return encoding
    zeros = [start[at::2].count(0) for at in (0, 1)]
    if len(start) > 3 and max(zeros) > len(start) // 4:
        return "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
    return "utf-8"


def _stated_separator(first: str) -> str:
    """The separator in a line `sep=;`, as Excel understands it."""
    line = first.strip("\r\n\ufeff\"'")
    return line[4:5] if line.lower().startswith("sep=") else ""


def _separator(header: str) -> str:
    """Spreadsheets of some countries write semicolons."""
    names = {sep: {_name(cell) for cell in header.split(sep)} for sep in _SEPARATORS}
    fitting = (sep for sep in _SEPARATORS if names[sep] >= set(NEEDED))
    return next(fitting, ",")


def _parquet_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    import pyarrow

    try:
        names = read_schema(path).names
        positions = _positions(names, path)
        table = read_table(path, columns=[names[at] for at in positions.values()])
        columns = [table.column(names[at]).to_pylist() for at in positions.values()]
    except (pyarrow.ArrowException, OSError, UnicodeError) as exc:
        raise ManifestError(
            f"{path} can't be read as Parquet ({exc}). It is damaged or was cut short; write "
            "or copy it again."
        ) from exc
    for number, values in enumerate(zip(*columns, strict=True), 1):
        yield number, dict(zip(positions, values, strict=True))


def _positions(found: Sequence[str], path: Path) -> dict[str, int]:
    """Where the known columns are."""
    names = [_name(column) for column in found]
    missing = [column for column in NEEDED if column not in names]
    if missing:
        raise ManifestError(
            f"{path} lacks the column{'s' if len(missing) > 1 else ''} {' and '.join(missing)}. "
            f"Needed: path and label (and, if you like, split); found: "
            f"{', '.join(found) or 'none'}. The first line must name the columns."
        )
    return {column: names.index(column) for column in COLUMNS if column in names}


def _name(column: str) -> str:
    return column.strip().strip('"').lower()


def _text(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # a column of whole numbers with gaps becomes one of floats
    return os.fsdecode(value) if isinstance(value, bytes) else str(value)

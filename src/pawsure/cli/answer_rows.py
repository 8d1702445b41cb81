"""How answers are written to each kind of file, and how an interrupted file is read back."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from pawsure.data.file_names import as_text, from_text
from pawsure.model.answer import Answer, Failure

# Rows a Parquet row group: small enough to hold, large enough to compress.
_ROW_GROUP = 4096


class Record(NamedTuple):
    """One row of an interrupted file; `answer` is empty for an unreadable picture."""

    path: str
    answer: str


class Rows(Protocol):
    """A kind of file, which gets a row for each answer."""

    name: str

    def header(self) -> bytes:
        """The beginning of the file."""

    def row(self, result: Answer | Failure) -> bytes:
        """One row."""

    def records(self, file: BinaryIO) -> Iterator[Record]:
        """The complete rows of a file, read from its beginning."""

    def finish(self, rows: Path) -> Path:
        """Turn the complete rows into the final file, in the same folder."""


def columns(labels: Sequence[str]) -> list[str]:
    """The columns of a table of answers."""
    return [
        "path",
        "answer",
        "label",
        "probability",
        *(f"probability_{label}" for label in labels),
        "familiarity",
        "error",
    ]


class JsonRows:
    """One JSON object a line."""

    name = "rows.jsonl"

    def header(self) -> bytes:
        """Nothing."""
        return b""

    def row(self, result: Answer | Failure) -> bytes:
        """A line."""
        return f"{result.to_json()}\n".encode("ascii")

    def records(self, file: BinaryIO) -> Iterator[Record]:
        """Lines up to the first incomplete one."""
        for line in file:
            try:
                content = json.loads(line)
                record = Record(content["path"], content.get("answer", ""))
            except (ValueError, LookupError, TypeError, AttributeError):
                return
            if not line.endswith(b"\n") or not isinstance(record.path, str):
                return
            yield record

    def finish(self, rows: Path) -> Path:
        """The rows are the file."""
        return rows


class CsvRows:
    """A CSV file, RFC 4180, with a header."""

    name = "rows.csv"

    def __init__(self, labels: Sequence[str]) -> None:
        self._columns = columns(labels)
        self._labels = labels
        self._text = io.StringIO()
        self._writer = csv.writer(self._text)

    def header(self) -> bytes:
        """The column names."""
        return self._line(self._columns)

    def row(self, result: Answer | Failure) -> bytes:
        """A line; several if a path has line breaks."""
        if isinstance(result, Failure):
            return self._line(
                [as_text(result.path or ""), *[""] * (len(self._columns) - 2), result.error]
            )
        probabilities = (result.probabilities[label] for label in self._labels)
        answer = (as_text(result.path or ""), result.answer, result.label, result.probability)
        return self._line([*answer, *probabilities, result.familiarity, ""])

    def _line(self, fields: list[Any]) -> bytes:
        self._writer.writerow(fields)
        line = self._text.getvalue().encode()
        self._text.seek(0)
        self._text.truncate()
        return line

    def records(self, file: BinaryIO) -> Iterator[Record]:
        """Rows after the header, up to the first incomplete one."""
        for number, row in enumerate(_whole_rows(file)):
            if number == 0 and row == self.header():
                continue
            fields = next(csv.reader([row.decode("utf-8", "replace")]))
            if len(fields) != len(self._columns):
                return
            yield Record(from_text(fields[0]), fields[1])

    def finish(self, rows: Path) -> Path:
        """The rows are the file."""
        return rows


def _whole_rows(file: BinaryIO) -> Iterator[bytes]:
    """Rows of a CSV file: in a complete one, quotes come in pairs."""
    row = b""
    for line in file:
        row += line
        if row.endswith(b"\r\n") and row.count(b'"') % 2 == 0:
            yield row
            row = b""


class ParquetRows(JsonRows):
    """Lines of JSON that become a Parquet file in the end.

    An interrupted Parquet file could not be read: its index is at its end.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._columns = columns(labels)

    def finish(self, rows: Path) -> Path:
        """Write the Parquet file, a row group at a time."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.schema(
            [(name, pa.float64() if _is_number(name) else pa.string()) for name in self._columns]
        )
        out = rows.with_suffix(".parquet")
        with (
            rows.open("rb") as lines,
            out.open("wb") as file,
            pq.ParquetWriter(file, schema) as table,
        ):
            while group := [_flat(json.loads(line)) for line in islice(lines, _ROW_GROUP)]:
                table.write_table(pa.Table.from_pylist(group, schema=schema))
        return out


def _flat(content: dict[str, Any]) -> dict[str, Any]:
    probabilities = content.pop("probabilities", {})
    content["path"] = as_text(content["path"])  # Parquet takes UTF-8 alone
    return content | {f"probability_{label}": value for label, value in probabilities.items()}


def _is_number(column: str) -> bool:
    return column == "familiarity" or column.startswith("probability")

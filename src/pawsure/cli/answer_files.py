"""How the answers of `pawsure predict` are written: lines, JSON lines, CSV, Parquet."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from pawsure.cli import screen
from pawsure.model.answer import NEITHER, Answer, Failure

# Rows a Parquet row group: small enough to hold, large enough to compress.
_ROW_GROUP = 4096


class WriteAnswer(Protocol):
    """Takes one result at a time, in order."""

    def __call__(self, result: Answer | Failure) -> None:
        """Write it."""


def text_lines(paths: Sequence[Path], labels: Sequence[str]) -> WriteAnswer:
    """Aligned lines on standard output, for people; failures on standard error."""
    path_width = min(60, max((len(str(path)) for path in paths), default=0))
    answer_width = max(len(word) for word in (*labels, "unsure", "neither"))

    def write(result: Answer | Failure) -> None:
        path = screen.printable(str(result.path))
        if isinstance(result, Failure):
            screen.note(f"{path}: {screen.printable(result.error)}")
            return
        screen.answer(f"{path:<{path_width}}  {result.answer:<{answer_width}}  {_how_sure(result)}")

    return write


def _how_sure(answer: Answer) -> str:
    """The number that decided."""
    if answer.answer == NEITHER and answer.familiarity is not None:
        # A probability of a label says nothing of what is none of them.
        return f"{answer.familiarity:6.1%} familiar"
    label = f" {answer.label}" if answer.answer != answer.label else ""
    return f"{answer.probability:6.1%}{label}"


def json_lines(result: Answer | Failure) -> None:
    """One JSON object a line on standard output."""
    screen.answer(result.to_json())


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


def _row(result: Answer | Failure) -> dict[str, Any]:
    if isinstance(result, Failure):
        return result.to_dict()
    content = result.to_dict()
    probabilities = content.pop("probabilities")
    return content | {f"probability_{label}": value for label, value in probabilities.items()}


@contextmanager
def csv_file(path: Path, labels: Sequence[str]) -> Iterator[WriteAnswer]:
    """A CSV file with a header, there only when all of it is."""
    from pawsure.data.files import atomic_path

    with (
        atomic_path(path) as unfinished,
        # A path that is no valid UTF-8 is written as the bytes that it is.
        unfinished.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        table = csv.DictWriter(file, columns(labels))
        table.writeheader()
        yield lambda result: table.writerow(_row(result))


@contextmanager
def parquet_file(path: Path, labels: Sequence[str]) -> Iterator[WriteAnswer]:
    """A Parquet file, written a row group at a time, there only when all of it is."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pawsure.data.files import atomic_path

    schema = pa.schema(
        [(name, pa.float64() if _is_number(name) else pa.string()) for name in columns(labels)]
    )
    rows: list[dict[str, Any]] = []
    with atomic_path(path) as unfinished, pq.ParquetWriter(unfinished, schema) as table:

        def write(result: Answer | Failure) -> None:
            row = _row(result)
            rows.append(row | {"path": _utf8(row["path"])})
            if len(rows) == _ROW_GROUP:
                flush()

        def flush() -> None:
            table.write_table(pa.Table.from_pylist(rows, schema=schema))
            rows.clear()

        yield write
        if rows:
            flush()


def _is_number(column: str) -> bool:
    return column == "familiarity" or column.startswith("probability")


def _utf8(path: str) -> str:
    """Parquet text has to be UTF-8; bytes of a path that are none become escapes."""
    return path.encode("utf-8", "backslashreplace").decode()

"""Parquet and CSV files, opened by Python: pyarrow opens no path that is not UTF-8."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow


def read_table(path: str | Path, columns: Sequence[str] | None = None) -> pyarrow.Table:
    """Read a Parquet file, or some of its columns."""
    import pyarrow.parquet

    with open(path, "rb") as file:
        return pyarrow.parquet.read_table(file, columns=columns)


def read_schema(path: str | Path) -> pyarrow.Schema:
    """Names and types of the columns of a Parquet file, with its metadata."""
    import pyarrow.parquet

    with open(path, "rb") as file:
        return pyarrow.parquet.read_schema(file)


def write_table(table: pyarrow.Table, path: str | Path) -> None:
    """Write a Parquet file, or CSV where the path ends so."""
    import pyarrow.csv
    import pyarrow.parquet

    with open(path, "wb") as file:
        if Path(path).suffix == ".csv":
            pyarrow.csv.write_csv(table, file)
        else:
            pyarrow.parquet.write_table(table, file, compression="zstd")

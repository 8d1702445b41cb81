"""CSV and Parquet files that list pictures: `path,label[,split][,source]`."""

from __future__ import annotations

import os.path
from collections.abc import Mapping, Sequence
from pathlib import Path

from pawsure.data.entries import SPLITS, Entry, check_spelling
from pawsure.data.file_names import as_label, as_text
from pawsure.data.images import Limits, read_file
from pawsure.data.manifest_paths import PathResolver, is_address, plain_path
from pawsure.data.manifest_rows import PARQUET_SUFFIXES as PARQUET_SUFFIXES
from pawsure.data.manifest_rows import rows_of
from pawsure.data.split_names import split_named
from pawsure.errors import ManifestError

CSV_SUFFIXES = (".csv", ".tsv")


class ManifestSource:
    """The pictures that a CSV or Parquet file lists, relative to the folder it is in.

    A row without a path or a label, or with an address, is an entry with that as its problem; the
    others are used.

    Args:
        path: of the manifest.
        limits: for its pictures.

    Attributes:
        source_of: by path, where a picture was taken from, by the column `source`.

    Raises:
        ManifestError: it lacks a column, has no rows that can be used, has an unknown split, or
            lists one picture under two labels.
    """

    kind = "manifest"

    def __init__(self, path: Path, *, limits: Limits) -> None:
        self.name = as_text(str(path))
        self._limits = limits
        rows = [_Row(number, row, path) for number, row in rows_of(path)]
        if not rows:
            raise ManifestError(f"{path} has columns but no rows. Add a row for each picture.")
        usable = [row.path for row in rows if not row.problem]
        if not usable:
            raise ManifestError(f"No row of {path} can be used; {rows[0].problem}.")
        self._paths = PathResolver(path.parent, usable)
        self.folder = self._paths.folder
        self.notes = [f"{self.name}: {self._paths.note}"] if self._paths.note else []
        self.entries = [row.entry(self._paths) for row in rows]
        self.source_of = {
            entry.path: row.source
            for entry, row in zip(self.entries, rows, strict=True)
            if row.source
        }
        _check_labels_agree(self.entries, rows, path)
        check_spelling(self.entries, self.name)

    def read(self, path: str) -> bytes:
        """See `pawsure.data.entries.Source.read`."""
        file = self.folder / path
        if not os.path.lexists(file):
            file = next((one for one in self._paths.variants(path) if os.path.exists(one)), file)
        return read_file(file, limits=self._limits, name=path)


class _Row:
    """One row of a manifest; `problem` says why it can't be used, or is empty."""

    def __init__(self, number: int, row: Mapping[str, str], manifest: Path) -> None:
        self.number = number
        self.path = plain_path(row["path"])
        self.label = as_label(row["label"])
        self.source = row.get("source", "").strip()
        split = row.get("split", "").strip()
        self.split = split_named(split)
        self.problem = ""
        for column, value in (("label", self.label), ("path", self.path.strip())):
            if not value:
                self.problem = f"row {number}: the {column} is empty; fill it in or remove the row"
        if not self.problem and is_address(self.path):
            self.problem = (
                f"row {number}: an address, not a file; download it, and list where it is"
            )
        if split and self.split is None:
            raise ManifestError(
                f"{manifest}, row {number}: there is no split '{as_text(split)}'. Write one of "
                f"{', '.join(SPLITS)}, or leave it empty to have one drawn."
            )

    def entry(self, paths: PathResolver) -> Entry:
        path = self.path if self.path.strip() else f"(row {self.number})"
        if self.problem:
            return Entry(path, self.label or None, self.split, self.problem)
        return Entry(paths.resolve(path), self.label, self.split)


def _check_labels_agree(entries: Sequence[Entry], rows: Sequence[_Row], manifest: Path) -> None:
    """Refuse one picture under two labels, however its path is written."""
    first: dict[str, tuple[Entry, _Row]] = {}
    for entry, row in zip(entries, rows, strict=True):
        if entry.problem:
            continue
        plain = os.path.normpath(entry.path.replace("\\", "/"))
        other, other_row = first.setdefault(plain, (entry, row))
        if other.label != entry.label:
            raise ManifestError(
                f"{manifest} lists {as_text(entry.path)} twice, as '{other.label}' and as "
                f"'{entry.label}' (rows {other_row.number} and {row.number}). "
                "A picture has one label; remove one of the rows."
            )

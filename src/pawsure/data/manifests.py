"""CSV and Parquet files that list pictures: `path,label[,split][,source]`."""

from __future__ import annotations

import os.path
from collections.abc import Mapping, Sequence
from pathlib import Path

from pawsure.data.entries import SPLITS, Entry
from pawsure.data.file_names import as_label, as_text
from pawsure.data.images import Limits, read_file
from pawsure.data.labels import check_spelling
from pawsure.data.manifest_files import Places, is_address, plain_path
from pawsure.data.manifest_rows import PARQUET_SUFFIXES as PARQUET_SUFFIXES
from pawsure.data.manifest_rows import rows_of
from pawsure.data.split_names import split_named
from pawsure.errors import ManifestError, PictureError

CSV_SUFFIXES = (".csv", ".tsv")


class ManifestSource:
    """The pictures that a CSV or Parquet file lists, relative to the folder it lies in.

    A row without a path or a label, or with an address, is an entry with that as its problem: the
    others are used.

    Args:
        path: of the manifest. A column `source` says where a picture was taken from; see
            `source_of`, by path.
        limits: that its pictures must keep.

    Raises:
        ManifestError: it lacks a column, has no rows that can be used, has a split that there is
            not, or lists one picture under two labels.
    """

    kind = "manifest"

    def __init__(self, path: Path, *, limits: Limits) -> None:
        self.name = as_text(str(path))
        self._limits = limits
        rows = [_Row(number, row, path) for number, row in rows_of(path)]
        if not rows:
            raise ManifestError(f"{path} has columns but no rows. Add a row for each picture.")
        _check_some_usable(rows, path)
        self._places = Places(path.parent, [row.path for row in rows if not row.problem])
        self.folder = self._places.folder
        self.notes = [f"{self.name}: {self._places.note}"] if self._places.note else []
        self.entries = [row.entry(self._places) for row in rows]
        self.source_of = {
            entry.path: row.source
            for entry, row in zip(self.entries, rows, strict=True)
            if row.source
        }
        _check_labels_agree(self.entries, rows, path)
        check_spelling(self.entries, self.name)

    def read(self, path: str) -> bytes:
        """The bytes of one picture; safe to call from many threads.

        Raises:
            PictureError: it is missing, too large, or can't be read.
        """
        try:
            return self._read(path)
        except PictureError as exc:
            raise PictureError(exc.reason, name=path) from exc

    def _read(self, path: str) -> bytes:
        file = self.folder / path
        if not os.path.lexists(file):
            file = next((one for one in self._places.variants(path) if os.path.exists(one)), file)
        return read_file(file, limits=self._limits)


class _Row:
    """One row of a manifest.

    Attributes:
        number: of the row.
        path: as this system writes it.
        label: as it is compared.
        source: where the picture was taken from, if it says so; else empty.
        split: or None.
        problem: why it can't be used; else empty.
    """

    def __init__(self, number: int, row: Mapping[str, str], manifest: Path) -> None:
        self.number = number
        self.path = plain_path(row["path"])
        self.label = as_label(row["label"])
        self.source = row.get("source", "").strip()
        split = row.get("split", "").strip()
        self.split = split_named(split)
        self.problem = self._problem()
        if split and self.split is None:
            raise ManifestError(
                f"{manifest}, row {number}: there is no split '{as_text(split)}'. Write one of "
                f"{', '.join(SPLITS)}, or leave it empty to have one drawn."
            )

    def _problem(self) -> str:
        for column, value in (("path", self.path.strip()), ("label", self.label)):
            if not value:
                return f"row {self.number}: the {column} is empty; fill it in or remove the row"
        if is_address(self.path):
            return f"row {self.number}: an address, not a file; fetch it, and list where it is"
        return ""

    def entry(self, places: Places) -> Entry:
        """The row as an entry of its source."""
        path = self.path if self.path.strip() else f"(row {self.number})"
        if self.problem:
            return Entry(path, self.label or None, self.split, self.problem)
        return Entry(places.named(path), self.label, self.split)


def _check_some_usable(rows: Sequence[_Row], manifest: Path) -> None:
    if all(row.problem for row in rows):
        raise ManifestError(f"No row of {manifest} can be used; {rows[0].problem}.")


def _check_labels_agree(entries: Sequence[Entry], rows: Sequence[_Row], manifest: Path) -> None:
    """Refuse one picture under two labels, however its path is written."""
    first: dict[str, int] = {}
    for at, entry in enumerate(entries):
        if entry.problem:
            continue
        other = entries[first.setdefault(os.path.normpath(entry.path.replace("\\", "/")), at)]
        if other.label != entry.label:
            number = rows[first[os.path.normpath(entry.path.replace("\\", "/"))]].number
            raise ManifestError(
                f"{manifest} lists {as_text(entry.path)} twice, as '{other.label}' and as "
                f"'{entry.label}' (rows {number} and {rows[at].number}). "
                "A picture has one label; remove one of the rows."
            )

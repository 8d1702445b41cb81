"""Where pictures come from: everything that DATA may be."""

from __future__ import annotations

import os
from pathlib import Path

from pawsure.data.entries import Entry as Entry
from pawsure.data.entries import Source as Source
from pawsure.data.file_names import as_text, from_text
from pawsure.data.formats import is_picture_name
from pawsure.data.images import DEFAULT_LIMITS, Limits, read_file
from pawsure.data.layouts import labelled
from pawsure.data.listing import list_pictures as list_pictures
from pawsure.data.listing import pictures_under
from pawsure.data.manifests import CSV_SUFFIXES, PARQUET_SUFFIXES, ManifestSource
from pawsure.data.skipped import Skipped
from pawsure.data.zips import ZipSource
from pawsure.errors import SourceError
from pawsure.progress import NO_PROGRESS, Progress

FETCHED_NAMES = ("cats-vs-dogs", "oxford-pets")
"""The keys of `pawsure.data.datasets.DATASETS`, which loads more."""

NAMES = ("sample", *FETCHED_NAMES)
"""Data sets by name."""

FORMS = (
    "a folder with a folder for each label, a zip archive of one, a CSV or Parquet file with the "
    f"columns path and label, or one of the names {', '.join(NAMES)}"
)


class FolderSource:
    """A folder of labelled pictures, in any of the layouts.

    Args:
        root: the folder.
        limits: for its pictures.
        name: what the user called it; the path by default.
        labels: which folder names the label; see `pawsure.data.layouts.labelled`.

    Raises:
        SourceError: it holds no labelled pictures, can't be searched, or several folders could
            name the label.
    """

    kind = "folder"

    def __init__(
        self, root: Path, *, limits: Limits, name: str | None = None, labels: str | None = None
    ) -> None:
        self.name = name or as_text(str(root))
        self.folder = root
        self._limits = limits
        skipped = Skipped()
        found = list(pictures_under(root, skipped))
        if "" in skipped.unsearchable:
            raise SourceError(f"{self.name} can't be searched: {skipped.unsearchable['']}.")
        if not found and (archives := sorted(root.glob("*.zip"))):
            raise SourceError(
                f"{self.name} holds no pictures, but archives. Name one: {archives[0]}."
            )
        if not found and skipped.unsearchable:
            raise SourceError(f"{self.name} holds no pictures. {skipped.sentences()[-1]}")
        self.entries = labelled(found, where=self.name, level=labels, skipped=skipped)
        self.notes = skipped.sentences()

    def read(self, path: str) -> bytes:
        """See `pawsure.data.entries.Source.read`."""
        return read_file(self.folder / path, limits=self._limits, name=path)


def open_source(
    data: str | Path,
    *,
    labels: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress = NO_PROGRESS,
) -> Source:
    """Open whatever DATA is, and list its pictures; none is read yet.

    Args:
        data: a folder (of label folders, of train/validation/test folders, of names such as
            cat.0.jpg), a zip archive of one, a CSV or Parquet manifest (`path,label[,split]`,
            paths relative to it), or one of `NAMES`. What exists as a path is taken as that.
        labels: which folder names the label, "outer", "inner" or "parent"; None finds it out,
            and refuses where several could. Not used for manifests and data sets by name.
        limits: for every picture.
        progress: told of a data set that is downloaded first, and of what is skipped.

    Raises:
        SourceError: there is no such thing, it holds no labelled pictures, or several folders
            could name the label.
        DownloadError: a data set by name is not in the cache and can't be downloaded.
        ManifestError: a manifest lacks a column, or a row is malformed.
    """
    source = _opened(data, labels, limits, progress)
    for note in source.notes:
        progress.say(note)
    return source


def _opened(data: str | Path, labels: str | None, limits: Limits, progress: Progress) -> Source:
    path = Path(os.path.expanduser(data))
    if not os.path.lexists(path):
        path = Path(from_text(str(path)))  # as our own messages write a name
    if os.path.isdir(path):
        return FolderSource(path, limits=limits, labels=labels)
    if os.path.isfile(path):
        return _open_file(path, limits, labels)
    if str(data) == "sample":
        from pawsure.data.drawn import drawn_sample  # NumPy code that draws, for nobody else

        return FolderSource(drawn_sample(progress), limits=limits, name="sample")
    if str(data) in FETCHED_NAMES:
        from pawsure.data.datasets import open_dataset  # loads TLS and more

        return open_dataset(str(data), limits=limits, progress=progress)
    raise _not_there(data)


def check_data(data: str | Path) -> None:
    """Refuse data that do not exist; nothing is opened or listed.

    Raises:
        SourceError: there is no such thing.
    """
    if str(data) not in NAMES and not Path(data).expanduser().exists():
        raise _not_there(data)


def _not_there(data: str | Path) -> SourceError:
    return SourceError(f"There is no '{as_text(str(data))}'. DATA is {FORMS}.")


def _open_file(path: Path, limits: Limits, labels: str | None) -> Source:
    suffix = path.suffix.lower()
    if suffix in CSV_SUFFIXES + PARQUET_SUFFIXES:
        return ManifestSource(path, limits=limits)
    if suffix == ".zip" or _begins(path, b"PK"):
        return ZipSource(path, limits=limits, labels=labels)
    if _begins(path, b"PAR1"):
        raise SourceError(f"{path} looks like a Parquet file; give it the suffix .parquet.")
    if is_picture_name(path):
        raise SourceError(f"{path} is one picture; a classifier learns from many. DATA is {FORMS}.")
    raise SourceError(
        f"{path} is neither a zip archive nor a CSV or Parquet file. DATA is {FORMS}. Unpack "
        "other kinds of archive first."
    )


def _begins(path: Path, start: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(start)) == start
    except OSError as exc:
        raise SourceError(f"{path} can't be opened: {exc.strerror}.") from exc

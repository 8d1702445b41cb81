"""Data sets by name: downloaded once, verified, kept in the cache.

Each has a folder, `downloads/NAME` in the cache (`pawsure.data.cache`). Files under their final
names are complete and verified; the next run resumes or deletes everything else.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pawsure.data.archives import unpack_tar
from pawsure.data.cache import cache_dir
from pawsure.data.disk_space import check_space, disk_errors
from pawsure.data.downloads import PATIENCE, Patience, fetch
from pawsure.data.entries import Entry
from pawsure.data.files import atomic_folder
from pawsure.data.images import DEFAULT_LIMITS, Limits, read_file
from pawsure.data.locks import exclusive
from pawsure.data.oxford_pets import is_wanted, read_entries
from pawsure.data.remote_files import RemoteFile, is_verified, remove, verify
from pawsure.data.zips import ZipSource
from pawsure.errors import DownloadError
from pawsure.progress import NO_PROGRESS, Progress

_MB = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set as it was published.

    Attributes:
        title: its publisher's name for it.
        files: all that is needed of it.
        unpacked_bytes: that unpacking needs beside the files; 0 if they are read as they are.
        wanted: which members of the files to unpack, by name; None: none.
        open: makes a source of the file, or of the folder it was unpacked to.
    """

    title: str
    files: Sequence[RemoteFile]
    unpacked_bytes: int = 0
    wanted: Callable[[str], bool] | None = None
    open: Callable[[str, Path, Limits], DatasetSource]

    def path(self, folder: Path) -> Path:
        """The verified file or unpacked folder; other versions of a data set have other names."""
        if self.wanted is None:
            return folder / self.files[0].name
        return folder / f"unpacked-{self.files[0].sha256[:16]}"

    def is_ready(self, folder: Path) -> bool:
        """Whether nothing is left to do."""
        path = self.path(folder)
        return path.is_dir() if self.wanted else is_verified(path, self.files[0])


@dataclass(frozen=True)
class DatasetSource:
    """The pictures of a data set, as its publisher labels and splits them.

    Attributes:
        name: of the data set.
        kind: "zip" or "folder".
        entries: its pictures.
        read: gives the bytes of one of them, or raises PictureError; safe to call from many
            threads.
    """

    name: str
    kind: str
    entries: Sequence[Entry]
    read: Callable[[str], bytes]
    folder: None = None
    notes: Sequence[str] = ()


def open_dataset(
    name: str,
    *,
    limits: Limits,
    progress: Progress = NO_PROGRESS,
    patience: Patience | None = None,
) -> DatasetSource:
    """Open a data set by name, downloading it first if it is not in the cache.

    Many processes may do so at once: one downloads, the others wait for it.

    Args:
        name: one of `DATASETS`.
        limits: for every picture.
        progress: told of downloading, checking and unpacking.
        patience: with servers; `PATIENCE` by default.

    Raises:
        DownloadError: it can't be downloaded, is not what was published, or the disk is full. The
            message says what else works.
    """
    data = DATASETS[name]
    folder = cache_dir() / "downloads" / name
    if not data.is_ready(folder):
        try:
            with disk_errors(folder):
                _make_ready(name, data, folder, progress, patience or PATIENCE)
        except DownloadError as exc:
            raise DownloadError(
                f"'{name}' is not available: {exc} {_alternatives(data, folder)}"
            ) from exc
    return data.open(name, data.path(folder), limits)


def _make_ready(
    name: str, data: Dataset, folder: Path, progress: Progress, patience: Patience
) -> None:
    folder.mkdir(parents=True, exist_ok=True)

    note = f"Another process is downloading {name}; waiting for it."
    with exclusive(folder / ".lock", waiting=lambda: progress.say(note)):
        if data.is_ready(folder):
            return
        _delete_unfinished(folder)
        _fetch_all(data, folder, progress, patience)
        if data.wanted:
            _unpack_all(name, data, folder, progress)
    progress.say(f"{data.title} is in {data.path(folder)}, for this and later runs.")


def _delete_unfinished(folder: Path) -> None:
    """Delete what a process that was killed was writing; its downloads are kept."""
    for path in folder.glob(".*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != ".lock":
            path.unlink(missing_ok=True)


def _fetch_all(data: Dataset, folder: Path, progress: Progress, patience: Patience) -> None:
    missing = []
    for file in data.files:
        path = folder / file.name
        if not path.exists():
            missing.append(file)
        elif not is_verified(path, file):  # perhaps put there by hand
            verify(path, file, progress=progress)
    total = sum(file.num_bytes for file in missing)
    parts = [folder / f"{file.name}.part" for file in missing]
    present = sum(part.stat().st_size for part in parts if part.exists())
    if needed := max(0, total - present) + data.unpacked_bytes:
        check_space(folder, needed)
    if missing:
        resuming = f"; {present / _MB:,.0f} MB are there already" if present else ""
        progress.say(
            f"Downloading {data.title}: {total / _MB:,.0f} MB, once, into {folder}{resuming}."
        )
    for file in missing:
        fetch(file, folder / file.name, progress=progress, patience=patience)


def _unpack_all(name: str, data: Dataset, folder: Path, progress: Progress) -> None:
    """Unpack the files and remove them; killed at any moment, nothing is there or everything."""
    with atomic_folder(data.path(folder)) as temporary:
        for file in data.files:
            unpack_tar(
                folder / file.name,
                temporary,
                wanted=data.wanted or (lambda member: True),
                progress=progress,
            )
        data.open(name, temporary, DEFAULT_LIMITS)  # raises if anything needed is not there
        if hasattr(os, "sync"):  # one call in place of one for each of thousands of files
            os.sync()
    for file in data.files:
        remove(folder / file.name)


def _alternatives(data: Dataset, folder: Path) -> str:
    files = [
        f"{file.urls[0]} as {folder / file.name} ({file.num_bytes:,} bytes)"
        for file in data.files
        if not is_verified(folder / file.name, file)
    ]
    return (
        "Use 'sample' (drawn pictures), or a folder or archive of your own. Or download by other "
        f"means {' and '.join(files)}, and run this again: it is checked, then used."
    )


def _open_cats_vs_dogs(name: str, path: Path, limits: Limits) -> DatasetSource:
    archive = ZipSource(path, limits=limits, name=name)
    # The folders are called Cat and Dog; labels are as in the other data sets.
    entries = [
        replace(entry, label=entry.label and entry.label.lower()) for entry in archive.entries
    ]
    return DatasetSource(name, "zip", entries, archive.read)


def _open_oxford_pets(name: str, folder: Path, limits: Limits) -> DatasetSource:
    def read(path: str) -> bytes:
        return read_file(folder / path, limits=limits, name=path)

    return DatasetSource(name, "folder", read_entries(folder), read)


DATASETS = {
    # Address, size and checksum: datasets/cats_vs_dogs/dataset_infos.json in
    # huggingface/datasets; examples/dogsvscats/dogsvscats.go in gomlx/gomlx has the same
    # checksum. An older archive, kagglecatsanddogs_3367a.zip, has other bytes. Terms: see
    # https://www.microsoft.com/en-us/download/details.aspx?id=54765.
    "cats-vs-dogs": Dataset(
        title="Kaggle Cats and Dogs (Microsoft's Asirra pictures)",
        files=(
            RemoteFile(
                name="kagglecatsanddogs_5340.zip",
                urls=(
                    "https://download.microsoft.com/download/3/E/1/"
                    "3E1C3F21-ECDB-4869-8368-6DEBA77B919F/kagglecatsanddogs_5340.zip",
                ),
                num_bytes=824_887_076,
                sha256="b7974bd00a84a99921f36ee4403f089853777b5ae8d151c76a86e64900334af9",
            ),
        ),
        open=_open_cats_vs_dogs,
    ),
    # Sizes, checksums and the first addresses: datasets/oxford_iiit_pet/checksums.tsv in
    # tensorflow/datasets; it gave the same sizes and checksums for the older addresses, which
    # are those of torchvision/datasets/oxford_iiit_pet.py. Terms: CC BY-SA 4.0, by its page,
    # https://www.robots.ox.ac.uk/~vgg/data/pets/.
    "oxford-pets": Dataset(
        title="Oxford-IIIT Pet",
        files=(
            RemoteFile(
                name="images.tar.gz",
                urls=(
                    "https://thor.robots.ox.ac.uk/~vgg/data/pets/images.tar.gz",
                    "https://www.robots.ox.ac.uk/~vgg/data/pets/data/images.tar.gz",
                ),
                num_bytes=791_918_971,
                sha256="67195c5e1c01f1ab5f9b6a5d22b8c27a580d896ece458917e61d459337fa318d",
            ),
            RemoteFile(
                name="annotations.tar.gz",
                urls=(
                    "https://thor.robots.ox.ac.uk/~vgg/data/pets/annotations.tar.gz",
                    "https://www.robots.ox.ac.uk/~vgg/data/pets/data/annotations.tar.gz",
                ),
                num_bytes=19_173_078,
                sha256="52425fb6de5c424942b7626b428656fcbd798db970a937df61750c0f1d358e91",
            ),
        ),
        unpacked_bytes=850_000_000,  # JPEG does not shrink; and a block for each file
        wanted=is_wanted,
        open=_open_oxford_pets,
    ),
}
"""By name."""

"""Data sets that can be had by name: fetched once, checked, kept in the cache.

Each has a folder of its own, `downloads/NAME` in the cache (`pawsure.data.cache`). What is there
under its final name is whole and checked; everything else may be thrown away at any time, and is
gone on with, or swept away, by the next run.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pawsure.data.archives import unpack_tar
from pawsure.data.cache import cache_dir
from pawsure.data.downloads import PATIENCE, Patience, fetch
from pawsure.data.entries import Entry
from pawsure.data.files import atomic_folder
from pawsure.data.images import DEFAULT_LIMITS, Limits, read_file
from pawsure.data.locks import exclusive
from pawsure.data.oxford_pets import is_wanted, read_entries
from pawsure.data.receipts import RemoteFile, check, has_receipt, remove
from pawsure.data.room import check_room, flush_all, writing
from pawsure.data.zips import ZipSource
from pawsure.errors import DownloadError, PictureError
from pawsure.progress import NO_PROGRESS, Progress

_MB = 1_000_000


@dataclass(frozen=True, kw_only=True)
class NamedData:
    """A data set as it was published.

    Attributes:
        title: what its publisher calls it.
        files: all that is needed of it.
        unpacked_bytes: what is needed beside the files to unpack them; 0 if they are read as
            they are.
        wanted: which members of the files are unpacked, by name; None if none are.
        open: makes a source of what is kept: the file itself, or the folder it was unpacked to.
    """

    title: str
    files: Sequence[RemoteFile]
    unpacked_bytes: int = 0
    wanted: Callable[[str], bool] | None = None
    open: Callable[[str, Path, Limits], NamedSource]


class NamedSource:
    """The pictures of a data set, as its publisher labels and splits them.

    Args:
        name: that it was asked for by.
        kind: "zip" or "folder".
        entries: its pictures.
        read: gives the bytes of one of them, or raises PictureError; safe to call from many
            threads.
    """

    folder = None
    notes = ()

    def __init__(
        self, name: str, kind: str, entries: Sequence[Entry], read: Callable[[str], bytes]
    ) -> None:
        self.name = name
        self.kind = kind
        self.entries = entries
        self.read = read


def open_named(
    name: str,
    *,
    limits: Limits,
    progress: Progress = NO_PROGRESS,
    patience: Patience | None = None,
) -> NamedSource:
    """Open a data set by its name, fetching it first if it is not in the cache.

    Many processes may do so at once: one fetches, the others wait for it.

    Args:
        name: one of `DATA_SETS`.
        limits: that every picture must keep.
        progress: told of what is fetched, checked and unpacked.
        patience: with servers; `PATIENCE` by default.

    Raises:
        DownloadError: it can't be fetched, is not what was published, or there is no room. The
            message says what else works.
    """
    data = DATA_SETS[name]
    folder = cache_dir() / "downloads" / name
    kept = _kept(data, folder)
    if not _is_ready(data, kept):
        try:
            _make_ready(name, data, folder, progress, patience or PATIENCE)
        except DownloadError as exc:
            raise DownloadError(f"'{name}' can't be had: {exc} {_ways_out(data, folder)}") from exc
    return data.open(name, kept, limits)


def _kept(data: NamedData, folder: Path) -> Path:
    """What is there when all is done; other versions of a data set go by other names."""
    if data.wanted is None:
        return folder / data.files[0].name
    return folder / f"unpacked-{data.files[0].sha256[:16]}"


def _is_ready(data: NamedData, kept: Path) -> bool:
    return kept.is_dir() if data.wanted else has_receipt(kept, data.files[0])


def _make_ready(
    name: str, data: NamedData, folder: Path, progress: Progress, patience: Patience
) -> None:
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)

    def waiting() -> None:
        progress.say(f"Another process is fetching {name}; waiting for it.")

    with exclusive(folder / ".lock", waiting=waiting):
        kept = _kept(data, folder)
        if _is_ready(data, kept):
            return
        _sweep(folder)
        _fetch_all(data, folder, progress, patience)
        if data.wanted:
            _unpack_all(name, data, folder, progress)
    progress.say(f"{data.title} is in {kept}, for this and later runs.")


def _sweep(folder: Path) -> None:
    """Throw away what a process that was killed was writing; its downloads are kept."""
    for path in folder.glob(".*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != ".lock":
            path.unlink(missing_ok=True)


def _fetch_all(data: NamedData, folder: Path, progress: Progress, patience: Patience) -> None:
    missing = [file for file in data.files if not _is_here(file, folder, progress)]
    total = sum(file.num_bytes for file in missing)
    begun = sum(_size(folder / f"{file.name}.part") for file in missing)
    if needed := max(0, total - begun) + data.unpacked_bytes:
        check_room(folder, needed)
    if missing:
        going_on = f"; {begun / _MB:,.0f} MB are there already" if begun else ""
        progress.say(
            f"Fetching {data.title}: {total / _MB:,.0f} MB, once, into {folder}{going_on}."
        )
    for file in missing:
        fetch(file, folder / file.name, progress=progress, patience=patience)


def _is_here(file: RemoteFile, folder: Path, progress: Progress) -> bool:
    """Whether a file was fetched, or put there by hand; one that is something else is an error."""
    path = folder / file.name
    if not path.exists():
        return False
    if not has_receipt(path, file):
        check(path, file, progress=progress)
    return True


def _unpack_all(name: str, data: NamedData, folder: Path, progress: Progress) -> None:
    """Unpack the files and remove them; killed at any moment, nothing is there or everything."""
    kept = _kept(data, folder)
    with writing(kept), atomic_folder(kept) as temporary:
        for file in data.files:
            unpack_tar(
                folder / file.name,
                temporary,
                wanted=data.wanted or (lambda member: True),
                progress=progress,
            )
        data.open(name, temporary, DEFAULT_LIMITS)  # raises if anything needed is not there
        flush_all()
    for file in data.files:
        remove(folder / file.name)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _ways_out(data: NamedData, folder: Path) -> str:
    files = [
        f"{file.urls[0]} as {folder / file.name} ({file.num_bytes:,} bytes)"
        for file in data.files
        if not has_receipt(folder / file.name, file)
    ]
    return (
        "What works without it: 'sample', pictures drawn on the spot, or a folder or archive of "
        f"your own. Or fetch by other means {' and '.join(files)}, and run this again: it is "
        "checked, then used."
    )


def _open_cats_vs_dogs(name: str, kept: Path, limits: Limits) -> NamedSource:
    archive = ZipSource(kept, limits=limits, name=name)
    # The folders are called Cat and Dog; labels are as in the other data sets.
    entries = [
        replace(entry, label=entry.label and entry.label.lower()) for entry in archive.entries
    ]
    return NamedSource(name, "zip", entries, archive.read)


def _open_oxford_pets(name: str, kept: Path, limits: Limits) -> NamedSource:
    def read(path: str) -> bytes:
        try:
            return read_file(kept / path, limits=limits)
        except PictureError as exc:
            raise PictureError(exc.reason, name=path) from exc

    return NamedSource(name, "folder", read_entries(kept), read)


DATA_SETS = {
    # Address, size and checksum: datasets/cats_vs_dogs/dataset_infos.json in
    # huggingface/datasets; examples/dogsvscats/dogsvscats.go in gomlx/gomlx has the same
    # checksum. An older archive, kagglecatsanddogs_3367a.zip, has other bytes. Terms: see
    # https://www.microsoft.com/en-us/download/details.aspx?id=54765.
    "cats-vs-dogs": NamedData(
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
    "oxford-pets": NamedData(
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
"""Every data set that is fetched by name."""

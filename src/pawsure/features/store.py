"""Prefix outputs on disk: written once, memory-mapped, found by the content of a picture.

A store is a folder. Each segment of it, a file of rows and a file of keys, holds up to
`SEGMENT_ROWS` pictures and is never changed after it got its name, so a run that is killed
leaves whole segments behind, and several runs may add to one store at a time: two that compute
the same row waste work, no more.

The file of keys begins with the checksums of both files. A segment is checked, once in a process,
before a row of it is used; one that is damaged is removed, so that its rows are computed again.
"""

from __future__ import annotations

import os
import re
import uuid
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from pawsure.data.cache import overflow_of, tell_notes
from pawsure.data.files import atomic_path
from pawsure.errors import ShapeError, StorageError
from pawsure.progress import Progress

SEGMENT_ROWS = 2048
"""Rows a file: what a kill can lose, and 25 MB of MobileNetV2 at 128 pixels."""

_RELEASE_AFTER_BYTES = 256 * 2**20
"""Mapped pages count as ours until they are let go; this bounds them."""

_FORMAT = "pawsure-rows-1"
_OLD_KEY = re.compile(rb"[0-9a-f]{64}")
_BLOCK = 2**20

_sound: set[tuple[str, int, int, int]] = set()
"""Files of rows that this process has found to be as they were written; see `_state`."""


class FeatureStore:
    """Rows of one shape and dtype, by picture content.

    Args:
        folder: where it lies; made when the first row is added. Its name should identify the
            prefix and the view, because nothing but the content is looked up. Where it can't
            be written, rows go to a temporary folder instead.
        shape: of one row.
        dtype: what rows are kept as. float16 halves the disk; its relative error of 2^-11 is
            far below what augmentation does to a feature.

    Attributes:
        num_lost: how many rows were removed since they were damaged.
    """

    def __init__(
        self, folder: Path, shape: tuple[int, ...], dtype: np.typing.DTypeLike = np.float16
    ) -> None:
        self.folder = folder
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self.num_lost = 0
        self._segments: list[_Segment] = []
        self._places: dict[str, tuple[int, int]] = {}
        self._seen: set[Path] = set()
        self.refresh()

    def __len__(self) -> int:
        """How many pictures have a row."""
        return len(self._places)

    def __contains__(self, content: str) -> bool:
        """Whether the picture of this content hash has a row."""
        return content in self._places

    def refresh(self) -> None:
        """Take in the segments that have appeared since the store was opened."""
        for folder in filter(None, (self.folder, overflow_of(self.folder))):
            for keys in sorted(folder.glob("*.keys")):
                if keys in self._seen:
                    continue
                self._seen.add(keys)
                segment = _read_keys(keys)
                if isinstance(segment, int):
                    self.num_lost += segment
                    self._remove(keys)
                    continue
                self._segments.append(segment)
                for row, content in enumerate(segment.contents):
                    self._places.setdefault(content, (len(self._segments) - 1, row))

    def check(self, contents: Iterable[str]) -> None:
        """Make sure that the rows of these pictures are as they were written, or not there.

        Segments that hold one of them and are damaged are removed.
        """
        contents = list(contents)
        wanted = {self._places[content][0] for content in contents if content in self._places}
        damaged = {number for number in wanted if not self._is_sound(self._segments[number])}
        if not damaged:
            return
        for number in damaged:
            segment = self._segments[number]
            self.num_lost += len(segment.contents)
            self._remove(segment.rows.with_suffix(".keys"))
        # Another segment may hold the same pictures: look at those that are left anew.
        gone = {self._segments[number].rows.with_suffix(".keys") for number in damaged}
        self._segments, self._places, self._seen = [], {}, gone
        self.refresh()
        self.check(contents)

    def _is_sound(self, segment: _Segment) -> bool:
        if not segment.is_sound():
            return False
        rows = np.load(segment.rows, mmap_mode="r")
        return rows.shape == (len(segment.contents), *self.shape) and rows.dtype == self.dtype

    @staticmethod
    def _remove(keys: Path) -> None:
        for path in (keys, keys.with_suffix(".npy")):
            with suppress(OSError):  # of a cache that can't be written: it is passed over
                path.unlink()

    def add(self, contents: Sequence[str] | np.ndarray, rows: np.ndarray) -> None:
        """Keep some rows; they are there, all of them, when this returns.

        Args:
            contents: content hash of each of N pictures.
            rows: (N, *shape), any float dtype; kept as the store's.

        Raises:
            ShapeError: numbers or shapes differ.
            OSError: neither the folder nor a temporary one can be written.
        """
        if rows.shape != (len(contents), *self.shape):
            raise ShapeError(
                f"The store holds rows of {self.shape}; got {rows.shape} for "
                f"{len(contents)} pictures."
            )
        rows = np.ascontiguousarray(rows, dtype=self.dtype)
        try:
            _write_segment(self.folder, contents, rows)
        except OSError as exc:
            overflow = overflow_of(self.folder, exc)
            assert overflow is not None  # for the type checker: a reason was given
            _write_segment(overflow, contents, rows)
        self.refresh()

    def rows(self, contents: Sequence[str] | np.ndarray) -> StoredRows:
        """The rows of these pictures, in this order, without reading them yet.

        Raises:
            StorageError: a picture has no row, or its row was removed or damaged.
        """
        self.check(contents)
        missing = [content for content in contents if content not in self._places]
        if missing:
            raise StorageError(
                f"The features of {len(missing):,} pictures are missing from {self.folder}. Was "
                "the cache changed or removed while it was used? Start the command again; what "
                "is missing is computed again."
            )
        places = np.array([self._places[content] for content in contents], dtype=np.int64)
        return StoredRows(self._segments, places.reshape(-1, 2), self.shape, self.dtype)


def tell_lost(stores: Iterable[FeatureStore], progress: Progress) -> None:
    """Say how many rows were damaged, and where rows go that could not be kept."""
    lost = 0
    for store in stores:
        lost, store.num_lost = lost + store.num_lost, 0
    if lost:
        progress.say(
            f"{lost:,} stored rows in the cache were damaged and have been removed; those that "
            "are needed are computed again."
        )
    tell_notes(progress)


class _Segment:
    """A file of rows, as its keys describe it.

    Attributes:
        rows: the file, of `np.save`.
        checksum: CRC-32 of that file, as 8 hex digits.
        contents: content hash of each row.
    """

    def __init__(self, rows: Path, checksum: str, contents: list[str]) -> None:
        self.rows = rows
        self.checksum = checksum
        self.contents = contents

    def is_sound(self) -> bool:
        """Whether the rows are as they were written; read once, while the file stays as it is."""
        try:
            state = _state(self.rows)
            if state not in _sound and _checksum(self.rows) == self.checksum:
                _sound.add(state)
        except OSError:
            return False
        return state in _sound

    def open(self) -> np.ndarray:
        """The rows, memory-mapped.

        Raises:
            StorageError: they were removed or damaged since they were checked.
        """
        if not self.is_sound():
            raise StorageError(
                f"The features in {self.rows} were removed or damaged while they were used. "
                "Start the command again; they are computed again."
            )
        return np.asarray(np.load(self.rows, mmap_mode="r"))


def _write_segment(folder: Path, contents: Sequence[str] | np.ndarray, rows: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    name = folder / uuid.uuid4().hex
    with atomic_path(name.with_suffix(".npy")) as temporary:
        with open(temporary, "wb") as file:
            np.save(file, rows)
        checksum = _checksum(temporary)
    # The keys come last: rows without keys are not there for any reader.
    with atomic_path(name.with_suffix(".keys")) as temporary:
        listed = "\n".join(contents)
        head = f"{_FORMAT} {checksum} {zlib.crc32(listed.encode('ascii')):08x}"
        temporary.write_text(f"{head}\n{listed}", encoding="ascii")


def _read_keys(path: Path) -> _Segment | int:
    """The segment of a file of keys; if that is damaged, how many rows it was for.

    An older pawsure wrote no checksums; its rows are not used, and count as none.
    """
    try:
        content = path.read_bytes()
    except OSError:
        return 0  # removed by another process, which will say so
    head, _, listed = content.partition(b"\n")
    try:
        format, checksum, of_keys = head.decode("ascii").split(" ")
        if format == _FORMAT and of_keys == f"{zlib.crc32(listed):08x}":
            return _Segment(path.with_suffix(".npy"), checksum, listed.decode("ascii").split("\n"))
    except ValueError:
        pass
    return 0 if _OLD_KEY.fullmatch(head) else max(1, content.count(b"\n"))


def _checksum(path: Path) -> str:
    """CRC-32 of a file, as 8 hex digits."""
    checksum = 0
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            checksum = zlib.crc32(block, checksum)
    return f"{checksum:08x}"


def _state(path: Path) -> tuple[str, int, int, int]:
    status = os.stat(path)
    return str(path), status.st_ino, status.st_size, status.st_mtime_ns


class StoredRows:
    """Rows of a store in a chosen order, read when they are asked for.

    Memory holds what was asked for and a bounded number of mapped pages, however many rows
    there are.
    """

    def __init__(
        self,
        segments: Sequence[_Segment],
        places: np.ndarray,
        shape: tuple[int, ...],
        dtype: np.dtype,
    ) -> None:
        self._segments = list(segments)
        self._places = places
        self.shape = shape
        self.dtype = dtype
        self._mapped: dict[int, np.ndarray] = {}
        self._touched_bytes = 0

    def __len__(self) -> int:
        """How many rows."""
        return len(self._places)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        """Read rows by place: int (B,) or a slice to (B, *shape), in the store's dtype."""
        places = self._places[rows]
        picked = np.empty((len(places), *self.shape), dtype=self.dtype)
        for segment in np.unique(places[:, 0]):
            here = places[:, 0] == segment
            picked[here] = self._segment(int(segment))[places[here, 1]]
        self._touched_bytes += picked.nbytes
        if self._touched_bytes > _RELEASE_AFTER_BYTES:
            self._mapped.clear()
            self._touched_bytes = 0
        return picked

    def _segment(self, number: int) -> np.ndarray:
        if number not in self._mapped:
            self._mapped[number] = self._segments[number].open()
        return self._mapped[number]

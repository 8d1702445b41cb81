"""Prefix outputs on disk: written once, memory-mapped, found by the content of a picture.

A store is a folder. Each file in it holds the rows of up to `SEGMENT_ROWS` pictures and is
never changed after it got its name, so a run that is killed leaves whole segments behind,
and several runs may add to one store at a time: two that compute the same row waste work,
no more.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pawsure.data.files import atomic_path
from pawsure.errors import ShapeError

SEGMENT_ROWS = 2048
"""Rows a file: what a kill can lose, and 25 MB of MobileNetV2 at 128 pixels."""

_RELEASE_AFTER_BYTES = 256 * 2**20
"""Mapped pages count as ours until they are let go; this bounds them."""


class FeatureStore:
    """Rows of one shape and dtype, by picture content.

    Args:
        folder: where it lies; made when the first row is added. Its name should identify the
            prefix and the view, because nothing but the content is looked up.
        shape: of one row.
        dtype: what rows are kept as. float16 halves the disk; its relative error of 2^-11 is
            far below what augmentation does to a feature.
    """

    def __init__(
        self, folder: Path, shape: tuple[int, ...], dtype: np.typing.DTypeLike = np.float16
    ) -> None:
        self.folder = folder
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self._segments: list[Path] = []
        self._places: dict[str, tuple[int, int]] = {}
        self._seen: set[str] = set()
        self.refresh()

    def __len__(self) -> int:
        """How many pictures have a row."""
        return len(self._places)

    def __contains__(self, content: str) -> bool:
        """Whether the picture of this content hash has a row."""
        return content in self._places

    def refresh(self) -> None:
        """Take in the segments that have appeared since the store was opened."""
        for keys in sorted(self.folder.glob("*.keys")):
            if keys.name in self._seen:
                continue
            self._seen.add(keys.name)
            self._segments.append(keys.with_suffix(".npy"))
            for row, content in enumerate(keys.read_text(encoding="ascii").split()):
                self._places.setdefault(content, (len(self._segments) - 1, row))

    def add(self, contents: Sequence[str] | np.ndarray, rows: np.ndarray) -> None:
        """Keep some rows; they are there, all of them, when this returns.

        Args:
            contents: content hash of each of N pictures.
            rows: (N, *shape), any float dtype; kept as the store's.

        Raises:
            ShapeError: numbers or shapes differ.
        """
        if rows.shape != (len(contents), *self.shape):
            raise ShapeError(
                f"The store holds rows of {self.shape}; got {rows.shape} for "
                f"{len(contents)} pictures."
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        name = self.folder / uuid.uuid4().hex
        with atomic_path(name.with_suffix(".npy")) as temporary, open(temporary, "wb") as file:
            np.save(file, np.ascontiguousarray(rows, dtype=self.dtype))
        # The keys come last: rows without keys are not there for any reader.
        with atomic_path(name.with_suffix(".keys")) as temporary:
            Path(temporary).write_text("\n".join(contents), encoding="ascii")
        self.refresh()

    def rows(self, contents: Sequence[str] | np.ndarray) -> StoredRows:
        """The rows of these pictures, in this order, without reading them yet.

        Raises:
            KeyError: a picture has no row; add it first.
        """
        places = np.array([self._places[content] for content in contents], dtype=np.int64)
        return StoredRows(self._segments, places.reshape(-1, 2), self.shape, self.dtype)


class StoredRows:
    """Rows of a store in a chosen order, read when they are asked for.

    Memory holds what was asked for and a bounded number of mapped pages, however many rows
    there are.
    """

    def __init__(
        self,
        segments: Sequence[Path],
        places: np.ndarray,
        shape: tuple[int, ...],
        dtype: np.dtype,
    ) -> None:
        self._paths = list(segments)
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
            self._mapped[number] = np.load(self._paths[number], mmap_mode="r")
        return self._mapped[number]

"""Thumbnails of all pictures, made while files are read, and cached by content."""

from __future__ import annotations

import threading

import numpy as np

from pawsure.copies.fingerprints import THUMBNAIL_PX, THUMBNAILS_VERSION, thumbnail
from pawsure.data.cache import cache_dir
from pawsure.data.images import DEFAULT_LIMITS, Limits
from pawsure.features.prefix import decoder, identity
from pawsure.features.store import SEGMENT_ROWS, FeatureStore, StoredRows, tell_lost
from pawsure.progress import NO_PROGRESS, Progress


class Thumbnails:
    """The store of thumbnails.

    Pictures of an earlier run are not decoded again. Pass `look` to
    `pawsure.data.catalog.build_catalog`, then call `keep`.

    Args:
        limits: for every picture.
    """

    def __init__(self, *, limits: Limits = DEFAULT_LIMITS) -> None:
        version = identity(thumbnails=THUMBNAILS_VERSION, decoder=decoder())
        folder = cache_dir() / "thumbnails" / version
        self._store = FeatureStore(folder, (THUMBNAIL_PX, THUMBNAIL_PX), np.uint8)
        self._limits = limits
        self._lock = threading.Lock()
        self._new: dict[str, np.ndarray] = {}
        self.made = 0

    def look(self, content: str, data: bytes) -> None:
        """Make the thumbnail of a picture, if there is none; thread-safe.

        Args:
            content: its hash.
            data: the whole file.

        Raises:
            PictureError: it can't be decoded.
        """
        with self._lock:
            self._store.check([content])
            if content in self._store or content in self._new:
                return
        made = thumbnail(data, limits=self._limits)
        with self._lock:
            self._new[content] = made
            self.made += 1
            if len(self._new) >= SEGMENT_ROWS:
                self._flush()

    def keep(self, progress: Progress = NO_PROGRESS) -> None:
        """Write new thumbnails, and report lost ones of earlier runs."""
        with self._lock:
            self._flush()
        tell_lost([self._store], progress)

    def rows(self, contents: np.ndarray) -> StoredRows:
        """Thumbnails, uint8 (N, 40, 40) of these contents, read on demand.

        Raises:
            StorageError: one was never made, or is lost.
        """
        return self._store.rows(contents)

    def _flush(self) -> None:
        if self._new:
            self._store.add(list(self._new), np.stack(list(self._new.values())))
            self._new = {}

"""Checks of a picture's file: name, format, size, aspect, animation, blankness."""

from __future__ import annotations

import threading
from pathlib import PurePath

import numpy as np

from pawsure.data.catalog import Catalog
from pawsure.data.images import DEFAULT_LIMITS, Limits
from pawsure.data.pillow import open_bytes, translated
from pawsure.features.views import Rows

NETWORK_PX = 128
"""Usual input size of networks. A picture whose shorter side is half of it is "tiny"."""

HUGE_PIXELS = 40_000_000
"""More take seconds to decode and a tenth of a gigabyte each."""

EXTREME_ASPECT = 3.0
"""The longer side over the shorter."""

BLANK_LEVELS = 4.0
"""Standard deviation of grey levels, of 255."""

_FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".mpo": "JPEG",
    ".png": "PNG",
    ".apng": "PNG",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".dib": "BMP",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".avif": "AVIF",
    ".ico": "ICO",
}
_SAME = {"MPO": "JPEG", "DIB": "BMP"}  # a JPEG with more pictures in it; a BMP without header

_JPEG = b"\xff\xd8"  # never animated


class Animations:
    """Finds animated pictures; give `look` to the catalog.

    Args:
        limits: for every picture.
    """

    def __init__(self, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._frames: dict[str, int] = {}

    def look(self, content: str, data: bytes) -> None:
        """Count the frames of a picture, from any thread.

        Raises:
            PictureError: it can't be read.
        """
        if data.startswith(_JPEG):
            return
        with translated():
            frames = open_bytes(data, max_pixels=self._limits.max_pixels).frames
        if frames > 1:
            with self._lock:
                self._frames[content] = frames

    def frames(self, contents: np.ndarray) -> np.ndarray:
        """How many frames each has: int64 (N,)."""
        return np.array([self._frames.get(content, 1) for content in contents], dtype=np.int64)


def is_misnamed(catalog: Catalog) -> np.ndarray:
    """Whether the extension is that of another format: bool (N,)."""
    said = [_FORMATS.get(PurePath(path).suffix.lower(), "") for path in catalog.path]
    found = [_SAME.get(format, format) for format in catalog.format]
    return np.array(
        [bool(name and real and name != real) for name, real in zip(said, found, strict=True)],
        dtype=bool,
    )


def is_truncated(catalog: Catalog) -> np.ndarray:
    """Whether a file ends before its picture does: bool (N,)."""
    return np.array(
        [reason.startswith(("truncated", "damaged or cut short")) for reason in catalog.problem],
        dtype=bool,
    )


def tininess(catalog: Catalog) -> np.ndarray:
    """0 from `NETWORK_PX` on the shorter side, 0.5 at half of that, to 1: float32 (N,)."""
    shorter = np.minimum(catalog.width, catalog.height)
    return _known(catalog, 1 - shorter / NETWORK_PX)


def hugeness(catalog: Catalog) -> np.ndarray:
    """0.5 at `HUGE_PIXELS`, towards 1: float32 (N,)."""
    pixels = (catalog.width * catalog.height).astype(np.float64)
    return _known(catalog, pixels / (pixels + HUGE_PIXELS))


def stretch(catalog: Catalog) -> np.ndarray:
    """0 up to half of `EXTREME_ASPECT`, 0.5 at it, towards 1: float32 (N,)."""
    longer = np.maximum(catalog.width, catalog.height)
    shorter = np.minimum(catalog.width, catalog.height)
    return _known(catalog, 1 - EXTREME_ASPECT / 2 * shorter / np.maximum(longer, 1))


def blankness(thumbnails: Rows) -> np.ndarray:
    """1 for one colour, 0.5 at `BLANK_LEVELS`, 0 from twice that on: float32 (N,).

    Args:
        thumbnails: uint8 (N, 40, 40).
    """
    found = np.zeros(len(thumbnails), dtype=np.float32)
    for start in range(0, len(thumbnails), 4096):
        some = slice(start, start + 4096)
        found[some] = thumbnails[some].astype(np.float32).std(axis=(1, 2))
    return np.clip(1 - found / (2 * BLANK_LEVELS), 0, 1)


def _known(catalog: Catalog, score: np.ndarray) -> np.ndarray:
    """A score in [0, 1], 0 for pictures of unknown size."""
    return np.where(catalog.width > 0, np.clip(score, 0, 1), 0).astype(np.float32)

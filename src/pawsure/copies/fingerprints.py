"""Fingerprints of pictures, to find copies.

A picture is stored as a grey thumbnail. Its *spectrum* is the thumbnail's discrete cosine
transform cut to low frequencies, as in perceptual hashes (Zauner 2010, "Implementation and
Benchmarking of Perceptual Image Hash Functions"). A *descriptor* is the spectrum without its
mean, each frequency weighted by its height, as photographs have little of the high ones, and
brought to length one: the product of two descriptors is a correlation that brightness and
contrast do not change.

The spectrum of a cropped or mirrored picture is a linear function of that of the whole, so the
descriptors of all these *variants* are computed without the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from pawsure.data.images import DEFAULT_LIMITS, PREPROCESSING_VERSION, Limits, read

THUMBNAIL_PX = 40
"""Side of a thumbnail. Photographs of 200 pixels are decoded at a quarter for it."""

THUMBNAILS_VERSION = f"grey-{THUMBNAIL_PX}-{PREPROCESSING_VERSION}"
"""Changes if the same bytes give another thumbnail."""

_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # luma, ITU-R BT.601

_KEPT = 16  # frequencies a side of a spectrum: what crops of it need
_USED = 10  # frequencies a side of a descriptor

Interval = tuple[float, float]


@dataclass(frozen=True)
class Variant:
    """A part of a picture, possibly mirrored.

    Attributes:
        rows: interval of the height, in [0, 1].
        columns: interval of the width, before mirroring.
        mirrored: whether left and right are swapped.
    """

    rows: Interval
    columns: Interval
    mirrored: bool


# Every crop to nine tenths of a side lies within 2.5% of one of these; a smaller crop is closer to
# the whole.
_INTERVALS: tuple[Interval, ...] = ((0.0, 1.0), (0.0, 0.9), (0.1, 1.0), (0.05, 0.95))

WHOLE = Variant((0.0, 1.0), (0.0, 1.0), False)
PLAIN = tuple(Variant(rows, columns, False) for rows in _INTERVALS for columns in _INTERVALS)
MIRRORED = tuple(Variant(one.rows, one.columns, True) for one in PLAIN)


def thumbnail(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> np.ndarray:
    """A picture as uint8 (40, 40), grey.

    Raises:
        PictureError: it can't be read.
    """
    pixels = read(data, size_px=THUMBNAIL_PX, limits=limits)
    return np.asarray(np.rint(pixels @ _GREY), dtype=np.uint8)


def spectra(thumbnails: np.ndarray) -> np.ndarray:
    """Low frequencies of thumbnails, uint8 (N, 40, 40): float32 (N, 256)."""
    basis = _cosines(_KEPT, _centres(THUMBNAIL_PX))
    return (basis @ thumbnails.astype(np.float32) @ basis.T).reshape(len(thumbnails), -1)


def descriptors(spectrum: np.ndarray, variant: Variant = WHOLE) -> np.ndarray:
    """Descriptors of a variant of each picture.

    Args:
        spectrum: float32 (N, 256).
        variant: part and mirroring.

    Returns:
        float32 (N, 99), each of length 1; of length 0 for a picture of one colour.
    """
    seen = spectrum @ _seen_as(variant)
    length = np.sqrt(np.einsum("nf,nf->n", seen, seen))[:, np.newaxis]
    return np.asarray(np.where(length > _BLANK, seen / np.maximum(length, _BLANK), 0))


def _centres(count: int) -> np.ndarray:
    """Pixel centres in [0, 1]."""
    return (np.arange(count) + 0.5) / count


def _cosines(count: int, places: np.ndarray) -> np.ndarray:
    """float32 (count, P): the orthonormal cosine basis (DCT-II), as if P places were all."""
    waves = np.cos(np.pi * np.arange(count)[:, np.newaxis] * places) * np.sqrt(2 / len(places))
    waves[0] /= np.sqrt(2)
    return np.asarray(waves, dtype=np.float32)


def _crop_matrix(interval: Interval) -> np.ndarray:
    """float32 (10, 16): from a picture's spectrum to that of a part of it, in one direction."""
    low, high = interval
    inside = low + (high - low) * _centres(THUMBNAIL_PX)
    kept = np.cos(np.pi * np.arange(_KEPT)[:, np.newaxis] * inside) * np.sqrt(2 / THUMBNAIL_PX)
    kept[0] /= np.sqrt(2)
    return np.asarray(_cosines(_USED, _centres(THUMBNAIL_PX)) @ kept.T, dtype=np.float32)


_FREQUENCY = np.arange(_USED, dtype=np.float32)
# Amplitudes in photographs fall as one over the frequency (Field 1987).
_WEIGHT = np.sqrt(_FREQUENCY[:, np.newaxis] ** 2 + _FREQUENCY**2)


@cache
def _seen_as(variant: Variant) -> np.ndarray:
    """float32 (256, 99): from spectra to descriptors that are not of length 1 yet."""
    columns = _crop_matrix(variant.columns)
    if variant.mirrored:
        columns = columns * ((-1.0) ** _FREQUENCY)[:, np.newaxis]
    both = np.kron(_crop_matrix(variant.rows), columns) * _WEIGHT.reshape(-1, 1)
    return np.ascontiguousarray(both[1:].T, dtype=np.float32)


# Below this, a picture has no structure: noise of half a grey level.
_BLANK = 100.0

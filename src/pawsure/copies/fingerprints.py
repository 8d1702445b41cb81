"""What a picture looks like in few numbers, so that copies of it can be found.

A picture is kept as a grey thumbnail. Its *spectrum* is the thumbnail's discrete cosine
transform cut to low frequencies, as in perceptual hashes (Zauner 2010, "Implementation and
Benchmarking of Perceptual Image Hash Functions"). A *descriptor* is the spectrum without its
mean, each frequency weighted by its height, as photographs have little of the high ones, and
brought to length one: the product of two descriptors is a correlation that brightness and
contrast do not change.

How a picture would look when cropped or mirrored is a linear function of its spectrum, so the
descriptors of all these *variants* are made without the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from pawsure.data.images import DEFAULT_LIMITS, PREPROCESSING_VERSION, Limits, read

THUMBNAIL_PX = 40
"""Side of a thumbnail. Photographs of 200 pixels are decoded at a quarter for it."""

THUMBNAILS_VERSION = f"grey-{THUMBNAIL_PX}-{PREPROCESSING_VERSION}"
"""Changes when the same bytes give another thumbnail."""

_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # luma, ITU-R BT.601

_KEPT = 16  # frequencies a side of a spectrum: what crops of it need
_USED = 10  # frequencies a side of a descriptor

DESCRIPTOR_LENGTH = _USED * _USED - 1

Interval = tuple[float, float]


@dataclass(frozen=True)
class Variant:
    """A part of a picture, perhaps seen in a mirror.

    Attributes:
        rows: from where to where in height, of 1.
        columns: the same in width, before mirroring.
        mirrored: left for right.
    """

    rows: Interval
    columns: Interval
    mirrored: bool


# A crop that keeps nine tenths of a side lies within 2.5% of one of these, wherever it was
# taken, and one that keeps less of a tenth away no further from the whole.
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
    """What a variant of each picture is found by.

    Args:
        spectrum: float32 (N, 256).
        variant: how the pictures are to be seen.

    Returns:
        float32 (N, 99), each of length 1; of length 0 for a picture of one colour.
    """
    seen = spectrum @ _seen_as(variant)
    length = np.sqrt(np.einsum("nf,nf->n", seen, seen))[:, np.newaxis]
    return np.asarray(np.where(length > _BLANK, seen / np.maximum(length, _BLANK), 0))


def _centres(count: int) -> np.ndarray:
    """Middles of pixels, of 1."""
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


# Below this a picture has nothing to know it by: noise of half a grey level.
_BLANK = 100.0

"""Align two pictures and compare them, to decide whether they are copies.

A cropped copy is found by an approximate crop. A few Gauss-Newton steps, separate in height and
width, align the frame (Lucas and Kanade 1981, "An Iterative Image Registration Technique"); then
the fine structure of both is correlated. Coarse structure does not count: any two pictures may
show sky above a meadow, but only copies have the same edges.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pawsure.copies.fingerprints import THUMBNAIL_PX

_STEPS = 6
_PAIRS_A_TIME = 256  # 1,600 numbers, some ten arrays: 16 MB

# In pixels of the thumbnail. Finer than the first is noise of resizing and compression, coarser
# than the second is composition.
_FINE, _COARSE = 0.7, 3.0

# Largest movement of an edge from the start of the search.
_FURTHEST = 0.12


def similarity(
    pictures: Callable[[np.ndarray], np.ndarray],
    first: np.ndarray,
    second: np.ndarray,
    frames: np.ndarray,
    mirrored: np.ndarray,
) -> np.ndarray:
    """Similarity of the pictures of each pair, after alignment.

    Args:
        pictures: gives thumbnails, uint8 (B, 40, 40), by row.
        first: int (P,), rows of the pictures that are cropped (and mirrored).
        second: int (P,), rows of those that they are compared with.
        frames: float (P, 4), start of the search: the part of the first that the second may show,
            as top, bottom, left and right, in [0, 1].
        mirrored: bool (P,), whether the first is mirrored.

    Returns:
        float32 (P,), a correlation in [-1, 1]; 0 where a picture has no structure.
    """
    found = np.zeros(len(first), dtype=np.float32)
    for start in range(0, len(first), _PAIRS_A_TIME):
        some = slice(start, start + _PAIRS_A_TIME)
        whole = _fine_structure(pictures(first[some]))
        whole = np.where(mirrored[some, np.newaxis, np.newaxis], whole[:, :, ::-1], whole)
        part = _fine_structure(pictures(second[some]))
        found[some] = _aligned(whole, part, _mirrored_frames(frames[some], mirrored[some]))
    return found


def _mirrored_frames(frames: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    turned = frames.copy()
    turned[mirrored, 2] = 1 - frames[mirrored, 3]
    turned[mirrored, 3] = 1 - frames[mirrored, 2]
    return turned


def _aligned(whole: np.ndarray, part: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """The best correlation over all steps."""
    best = np.full(len(part), -1.0, dtype=np.float32)
    frame = frames.astype(np.float32)
    for step in range(_STEPS):
        seen, down, right = _seen(whole, frame)
        best = np.maximum(best, _correlation(seen, part))
        if step < _STEPS - 1:
            moved = frame + _movement(seen, down, right, part)
            frame = np.clip(moved, frames - _FURTHEST, frames + _FURTHEST).astype(np.float32)
    return best


def _movement(
    seen: np.ndarray, down: np.ndarray, right: np.ndarray, part: np.ndarray
) -> np.ndarray:
    """How to move the edges, by least squares with a free contrast."""
    along = (np.arange(THUMBNAIL_PX, dtype=np.float32) + 0.5) / THUMBNAIL_PX
    slopes = np.stack(
        [
            down * (1 - along)[:, np.newaxis],
            down * along[:, np.newaxis],
            right * (1 - along),
            right * along,
            seen,
        ],
        axis=1,
    ).reshape(len(seen), 5, -1)
    normal = slopes @ slopes.transpose(0, 2, 1)
    # Damped, so that pictures without structure in one direction do not move.
    trace = np.trace(normal, axis1=1, axis2=2)
    normal += (1e-3 * trace / 5 + 1e-6)[:, np.newaxis, np.newaxis] * np.eye(5, dtype=np.float32)
    # Contrast is normalised beforehand; the fifth unknown is the remainder.
    gain = _norm(part) / np.maximum(_norm(seen), 1e-6)
    wanted = (part / np.maximum(gain, 1e-6)[:, np.newaxis, np.newaxis] - seen).reshape(
        len(seen), -1, 1
    )
    return np.asarray(np.linalg.solve(normal, slopes @ wanted)[:, :4, 0])


def _seen(whole: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The content of a frame, and its slopes along height and width."""
    rows = _between(whole, frame[:, 0], frame[:, 1])
    seen = _between(rows.transpose(0, 2, 1), frame[:, 2], frame[:, 3]).transpose(0, 2, 1)
    # Slopes per movement of an edge by 1, in pixels.
    height = (frame[:, 1] - frame[:, 0])[:, np.newaxis, np.newaxis]
    width = (frame[:, 3] - frame[:, 2])[:, np.newaxis, np.newaxis]
    down = np.gradient(seen, axis=1) * THUMBNAIL_PX / height
    right = np.gradient(seen, axis=2) * THUMBNAIL_PX / width
    return seen, down, right


def _between(pictures: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Equidistant rows of each picture from low to high, by linear interpolation."""
    along = (np.arange(THUMBNAIL_PX, dtype=np.float32) + 0.5) / THUMBNAIL_PX
    place = low[:, np.newaxis] + (high - low)[:, np.newaxis] * along
    place = np.clip(place * THUMBNAIL_PX - 0.5, 0, THUMBNAIL_PX - 1)
    above = np.minimum(place.astype(np.int64), THUMBNAIL_PX - 2)
    share = (place - above).astype(np.float32)[:, :, np.newaxis]
    picture = np.arange(len(pictures))[:, np.newaxis]
    return pictures[picture, above] * (1 - share) + pictures[picture, above + 1] * share


def _fine_structure(thumbnails: np.ndarray) -> np.ndarray:
    """float32 (B, 40, 40), without noise and composition."""
    pixels = thumbnails.astype(np.float32)
    return np.asarray(_BLUR_FINE @ pixels @ _BLUR_FINE.T - _BLUR_COARSE @ pixels @ _BLUR_COARSE.T)


def _correlation(seen: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Correlation of the whole or of the middle, whichever is lower.

    Two photographs with white frames correlate by their frames: 0.88 as a whole, for the most
    similar of 8 million pairs of different ones.
    """
    whole = np.einsum("phw,phw->p", _normalised(seen), _normalised(part))
    middle = _normalised(seen[:, _MIDDLE, _MIDDLE]), _normalised(part[:, _MIDDLE, _MIDDLE])
    inside = np.einsum("phw,phw->p", *middle)
    nothing_there = ~(middle[0].any(axis=(1, 2)) | middle[1].any(axis=(1, 2)))
    return np.where(nothing_there, whole, np.minimum(whole, inside))


def _norm(pictures: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("phw,phw->p", pictures, pictures))


def _normalised(pictures: np.ndarray) -> np.ndarray:
    centred = pictures - pictures.mean(axis=(1, 2), keepdims=True)
    norm = _norm(centred)[:, np.newaxis, np.newaxis]
    return np.where(norm > _FLAT, centred / np.maximum(norm, _FLAT), 0)


# A norm: half a grey level per pixel of the middle.
_FLAT = 10.0

_MIDDLE = slice(THUMBNAIL_PX // 4, -THUMBNAIL_PX // 4)


def _gaussian(sigma: float) -> np.ndarray:
    """float32 (40, 40): blurs columns; rows sum to 1, also at the edges."""
    place = np.arange(THUMBNAIL_PX)
    weight = np.exp(-((place[:, np.newaxis] - place) ** 2) / (2 * sigma**2))
    return np.asarray(weight / weight.sum(axis=1, keepdims=True), dtype=np.float32)


_BLUR_FINE, _BLUR_COARSE = _gaussian(_FINE), _gaussian(_COARSE)

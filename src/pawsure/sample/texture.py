"""Noise that repeats seamlessly, made once and looked up by coordinate.

Every picture looks into the same few tiles at places of its own, which costs one array
lookup instead of a blur.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

TILE = 512  # a power of two: coordinates wrap with a bit mask
BLOTCH = 48.0  # tile elements; enough that a blotch spread over as many pixels shows no steps


def smooth_noise(x: Field, y: Field, *, size: float, seed: float = 0.0) -> Field:
    """Soft blotches, roughly -1…1 with mean 0 and deviation about 0.5.

    Args:
        x: float32, any shape that broadcasts with `y`.
        y: float32.
        size: how large a blotch is, in the unit of x and y.
        seed: moves the place that is looked at; any number.
    """
    return _blotched(_blotches(BLOTCH), x, y, BLOTCH / size, seed)


def cloudy_noise(x: Field, y: Field, *, size: float, seed: float = 0.0) -> Field:
    """As `smooth_noise` with finer detail laid over it (three octaves)."""
    return _blotched(_clouds(), x, y, BLOTCH / size, seed)


def _blotched(tile: Field, x: Field, y: Field, scale: float, seed: float) -> Field:
    return _look_up(
        tile,
        x * np.float32(scale) + np.float32(seed * 37.7 % TILE),
        y * np.float32(scale) + np.float32(seed * 91.3 % TILE),
    )


def hair(along: Field, across: Field, *, seed: float = 0.0) -> Field:
    """Streaks that run along the first coordinate, -1…1; both in hair widths (pixels)."""
    return _look_up(_streaks(), across + np.float32(seed * 53.9), along + np.float32(seed * 17.3))


def curls(x: Field, y: Field, *, seed: float = 0.0) -> Field:
    """Small round tufts, as of a poodle, -1…1; coordinates in pixels."""
    return _look_up(_blotches(3.0), x + np.float32(seed * 31.1), y + np.float32(seed * 71.9))


def _look_up(tile: Field, x: Field, y: Field) -> Field:
    # Far more than any coordinate, so that cutting off the fraction rounds down.
    column = (x + np.float32(32 * TILE)).astype(np.int32) & (TILE - 1)
    row = (y + np.float32(32 * TILE)).astype(np.int32) & (TILE - 1)
    if column.shape[0] == 1 and row.shape[-1] == 1:
        return tile.take(row[:, 0], axis=0).take(column[0], axis=1)
    return tile.ravel().take(row * TILE + column)


@lru_cache(maxsize=8)
def _blotches(size: float) -> Field:
    return _filtered_noise(size / 2, size / 2, seed=int(size * 10))


@lru_cache(maxsize=1)
def _clouds() -> Field:
    octaves = [_blotches(BLOTCH / 2**i) / 2**i for i in range(3)]
    return np.float32(0.72) * (octaves[0] + octaves[1] + octaves[2])


@lru_cache(maxsize=1)
def _streaks() -> Field:
    fine = _filtered_noise(0.75, 7.0, seed=1)
    clumps = _filtered_noise(2.6, 12.0, seed=2)
    return np.clip(0.7 * fine + 0.6 * clumps, -1, 1).astype(np.float32)


def _filtered_noise(sigma_x: float, sigma_y: float, seed: int) -> Field:
    """White noise through a Gaussian, by Fourier transform so that its edges meet."""
    white = np.random.default_rng(seed).standard_normal((TILE, TILE))
    fx, fy = np.fft.rfftfreq(TILE)[None, :], np.fft.fftfreq(TILE)[:, None]
    pass_band = np.exp(-2 * np.pi**2 * ((fx * sigma_x) ** 2 + (fy * sigma_y) ** 2))
    tile = np.fft.irfft2(np.fft.rfft2(white) * pass_band, s=(TILE, TILE))
    return np.clip(tile / (2 * tile.std()), -1, 1).astype(np.float32)

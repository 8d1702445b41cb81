"""One Gaussian of low rank, small enough for a model file.

Directions of largest variance are kept, what is left over is spread evenly (a probabilistic PCA).

Source: one Gaussian of all classes: Kamoi and Kobayashi 2020, arXiv:2003.00402; low rank and
remainder: Tipping and Bishop 1999, "Probabilistic Principal Component Analysis", J. R. Stat. Soc.
B 61(3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from pawsure.errors import ShapeError

MOST_DIRECTIONS = 256
"""A byte a number: a third of a megabyte of 1,280 features. With 64, a third more other pictures
pass."""

SHRINKAGE = 0.1
"""Of the mean variance, added to each: 0.03 to 0.3 give the same figures."""

_TINY = 1e-12
_LEAST = 1e-6


@dataclass(frozen=True, kw_only=True)
class Gaussian:
    """Where the features of some pictures lie.

    Attributes:
        middle: float32 (D,).
        directions: float32 (D, r), about orthonormal, as `rounded` has them.
        precision: float32 (r,), one over the variance along each, divided by D.
        rest_precision: one over the mean variance along all others, divided by D.
    """

    middle: np.ndarray
    directions: np.ndarray
    precision: np.ndarray
    rest_precision: float

    def score(self, features: np.ndarray) -> np.ndarray:
        """Float64 (N,): minus the logarithm of the mean squared distance; higher is nearer."""
        away = np.asarray(features, np.float64) - self.middle
        along = away @ self.directions
        distance = along**2 @ (self.precision - self.rest_precision)
        distance += (away**2).sum(axis=1) * self.rest_precision
        return -np.log(distance.clip(_LEAST))

    @property
    def num_bytes(self) -> int:
        """What it adds to a model file, about."""
        return self.directions.size + 4 * (2 * self.middle.size + 2 * self.precision.size)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """For a file; `from_arrays` reads it back, exactly."""
        whole, scale = as_int8(self.directions)
        return {
            "middle": self.middle,
            "directions": whole,
            "scale": scale,
            "precision": self.precision,
            "rest_precision": np.array(self.rest_precision, np.float32),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Gaussian:
        """What `to_arrays` gave.

        Raises:
            KeyError: an array is missing.
        """
        return cls(
            middle=arrays["middle"],
            directions=arrays["directions"].astype(np.float32) * arrays["scale"],
            precision=arrays["precision"],
            rest_precision=float(arrays["rest_precision"]),
        )


def fit_gaussian(features: np.ndarray, *, most_directions: int = MOST_DIRECTIONS) -> Gaussian:
    """Sum up some pictures.

    Args:
        features: float (N, D), N at least 2.
        most_directions: at most; fewer where there are fewer pictures.

    Raises:
        ShapeError: too few pictures, or a feature is not finite.
    """
    features = checked(features, least=2)
    num, width = features.shape
    middle = features.mean(axis=0)
    variance, directions = _axes(features - middle)
    added = SHRINKAGE * variance.sum() / width + _TINY
    rank = max(1, min(num - 1, width, most_directions))
    left = width - rank
    rest = variance[rank:].sum() / left if left else np.inf  # nothing is left over
    return Gaussian(
        middle=middle.astype(np.float32),
        directions=rounded(directions[:, :rank]),
        precision=(1 / (variance[:rank] + added) / width).astype(np.float32),
        rest_precision=float(np.float32(1 / (rest + added) / width)),
    )


def _axes(away: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variances, falling, and directions (D, min(N, D)), by the smaller of two products."""
    num, width = away.shape
    # In one thread: the decomposition goes in many small steps, between which threads wait for
    # each other. On two busy cores, 1,280 features take two threads 3.9 s of processor time and
    # one thread 0.35 s; and the file is the same however many cores there are.
    with threadpool_limits(1):
        if num >= width:
            variance, directions = np.linalg.eigh(away.T @ away / num)
            return variance[::-1].clip(0), directions[:, ::-1]
        variance, weights = np.linalg.eigh(away @ away.T / num)
    variance, weights = variance[::-1].clip(0), weights[:, ::-1]
    directions = away.T @ weights
    return variance, directions / (np.linalg.norm(directions, axis=0) + _TINY)


def as_int8(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A matrix as bytes, int8 (D, r), and the scale of each column, float32 (1, r)."""
    scale = (np.abs(matrix).max(axis=0, keepdims=True) / 127 + _TINY).astype(np.float32)
    return np.round(matrix / scale).astype(np.int8), scale


def rounded(matrix: np.ndarray) -> np.ndarray:
    """A matrix as a model file keeps it: float32, of 255 values a column."""
    whole, scale = as_int8(matrix)
    return whole.astype(np.float32) * scale


def checked(features: np.ndarray, *, least: int) -> np.ndarray:
    """Features as float64 (N, D).

    Raises:
        ShapeError: there are fewer than `least`, or one is not finite.
    """
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or len(features) < least:
        raise ShapeError(
            f"Features are to be (N, D) of at least {least} pictures; got {features.shape}."
        )
    if not np.isfinite(features).all():
        raise ShapeError("A feature is not a finite number; familiarity can't be told from it.")
    return features

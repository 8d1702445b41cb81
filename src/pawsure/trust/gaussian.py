"""Gaussians of low rank, small enough for a model file.

Directions of largest variance are kept, what is left over is spread evenly (a probabilistic PCA).
Ordinary pictures have one mean. Training pictures have a mean for each label and share one
covariance within labels (Lee et al. 2018, arXiv:1807.03888). Few pictures say little of a
covariance, so it is drawn towards the covariance within kinds of ordinary pictures; that and the
allowance for a mean of few pictures are those of a probabilistic linear discriminant analysis.

Source: low rank and remainder: Tipping and Bishop 1999, "Probabilistic Principal Component
Analysis", J. R. Stat. Soc. B 61(3); labels: Ioffe 2006, "Probabilistic Linear Discriminant
Analysis", ECCV.
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

PRIOR_STRENGTH = 100
"""Training pictures that the covariance within kinds of ordinary pictures counts for. With 30, 100
and 300, 3.7, 5.5 and 7.7% of other pictures pass for eight labels of 30 pictures; for 24 labels it
is 7.4, 5.2 and 5.0%."""

_TINY = 1e-12


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

    def distance(self, features: np.ndarray) -> np.ndarray:
        """Float64 (N,): the squared Mahalanobis distance of features (N, D), divided by D."""
        away = np.asarray(features, np.float64) - self.middle
        along = away @ self.directions
        more = np.asarray(along**2 @ (self.precision - self.rest_precision))
        return more + (away**2).sum(axis=1) * self.rest_precision

    def times_precision(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors (K, D) times the inverse of the covariance, divided by D: float64 (K, D)."""
        vectors = np.asarray(vectors, np.float64)
        along = (vectors @ self.directions) * (self.precision - self.rest_precision)
        return np.asarray(along @ self.directions.T + vectors * self.rest_precision)

    @property
    def added(self) -> float:
        """What `SHRINKAGE` added to each variance."""
        width, rank = self.directions.shape
        total = (1 / self.precision.astype(np.float64)).sum() + (width - rank) / self.rest_precision
        return float(total / width**2 * SHRINKAGE / (1 + SHRINKAGE))

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


@dataclass(frozen=True, kw_only=True)
class LabelGaussians:
    """Where the features of each label lie: a mean a label, one covariance for all.

    With `away` from the middle, the squared distance to label k is that to the middle, less
    `away @ slopes[:, k]`, plus `bias[k]`.

    Attributes:
        shared: the covariance, about the mean of the labels' means.
        slopes: float32 (D, K), as `rounded` has them.
        bias: float32 (K,).
        sureness: float32 (K,), n / (n + 1) for n pictures of a label: the mean of few pictures is
            itself that far off, so a distance from it counts less.
    """

    shared: Gaussian
    slopes: np.ndarray
    bias: np.ndarray
    sureness: np.ndarray

    def distance(self, features: np.ndarray) -> np.ndarray:
        """Float64 (N,): squared distance to the nearest label, divided by D."""
        away = np.asarray(features, np.float64) - self.shared.middle
        to_middle = self.shared.distance(features)[:, np.newaxis]
        return np.min((to_middle - away @ self.slopes + self.bias) * self.sureness, axis=1)

    @property
    def num_bytes(self) -> int:
        """What it adds to a model file, about."""
        return self.shared.num_bytes + self.slopes.size + 4 * 3 * self.bias.size


def fit_gaussian(
    features: np.ndarray,
    *,
    weight: np.ndarray | None = None,
    background: Gaussian | None = None,
    most_directions: int = MOST_DIRECTIONS,
) -> Gaussian:
    """Sum up some pictures.

    Args:
        features: float (N, D), N at least 2.
        weight: float (N,), of each picture; None: all count the same.
        background: a Gaussian that this one is compared with, and smoothed like: what is added to
            variances, and the variance where nothing is known of either, have to cancel, or
            pictures from another source would lie further from one than from the other.
        most_directions: at most; fewer where there are fewer pictures.

    Raises:
        ShapeError: too few pictures, or a feature is not finite.
    """
    features = checked(features, least=2)
    share = np.ones(len(features)) if weight is None else np.asarray(weight, np.float64)
    share = share / share.sum()
    middle = share @ features
    away = (features - middle) * np.sqrt(share)[:, np.newaxis]
    rank = min(len(features) - 1, most_directions)
    return _gaussian(middle, away, rank=rank, background=background)


def fit_within(features: np.ndarray, kinds: np.ndarray) -> Gaussian:
    """The covariance within kinds, about 0.

    Args:
        features: float (N, D).
        kinds: (N,), of each picture; at least two of one kind.
    """
    away, num = _within(np.asarray(features, np.float64), kinds)
    return _gaussian(np.zeros(away.shape[1]), away / np.sqrt(num), rank=min(num, MOST_DIRECTIONS))


def fit_labels(
    features: np.ndarray,
    label: np.ndarray,
    *,
    prior: Gaussian | None = None,
    background: Gaussian | None = None,
    most_directions: int = MOST_DIRECTIONS,
) -> LabelGaussians:
    """Sum up training pictures.

    Args:
        features: float (N, D), N at least 2.
        label: int (N,).
        prior: covariance within kinds that the one within labels is drawn towards; None: none is
            known.
        background: see `fit_gaussian`.
        most_directions: at most; fewer where there are fewer pictures.

    Raises:
        ShapeError: too few pictures, or a feature is not finite.
    """
    features = checked(features, least=2)
    middles, num = _means(features, label)
    away, degrees = _within(features, label)
    middle = middles.mean(axis=0)
    if prior is None:
        # One picture of each label: all that is known of the spread is that of all pictures.
        away, degrees = (away, degrees) if degrees else (features - middle, len(features) - 1)
        rank, rest = min(degrees, most_directions), 0.0
    else:
        width = features.shape[1]
        spread = 1 / (prior.precision.astype(np.float64) * width)
        rest = 1 / (prior.rest_precision * width)
        more = np.sqrt(PRIOR_STRENGTH * (spread - rest).clip(0))
        away = np.concatenate([away, (prior.directions * more).T])
        degrees += PRIOR_STRENGTH
        rest = (rest - prior.added) * PRIOR_STRENGTH / degrees
        rank = most_directions
    shared = _gaussian(
        middle,
        away / np.sqrt(degrees),
        rank=rank,
        everywhere=rest,
        background=background,
    )
    offset = middles - shared.middle
    half_slopes = shared.times_precision(offset)
    return LabelGaussians(
        shared=shared,
        slopes=rounded(2 * half_slopes.T),
        bias=(offset * half_slopes).sum(axis=1).astype(np.float32),
        sureness=(num / (num + 1)).astype(np.float32),
    )


def _means(features: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means (K, D) and how many pictures each is of, (K,)."""
    found, place, num = np.unique(label, return_inverse=True, return_counts=True)
    sums = np.zeros((len(found), features.shape[1]))
    np.add.at(sums, place, features)
    return sums / num[:, np.newaxis], num


def _within(features: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, int]:
    """Features less the mean of their label, (N, D), and the degrees of freedom left."""
    middles, _ = _means(features, label)
    place = np.unique(label, return_inverse=True)[1]
    return features - middles[place], len(features) - len(middles)


def _gaussian(
    middle: np.ndarray,
    away: np.ndarray,
    *,
    rank: int,
    everywhere: float = 0.0,
    background: Gaussian | None = None,
) -> Gaussian:
    """Of the covariance `away.T @ away` plus a variance in every direction."""
    width = away.shape[1]
    variance, directions = _axes(away)
    rank = max(1, min(rank, width, len(variance)))
    added = everywhere + _TINY
    if background is None:
        added += SHRINKAGE * (variance.sum() / width + everywhere)
        left = width - rank
        rest = variance[rank:].sum() / left if left else variance[-1]  # there is no rest
        rest_precision = float(np.float32(1 / (rest + added) / width))
    else:
        added += background.added
        rest_precision = background.rest_precision
    return Gaussian(
        middle=middle.astype(np.float32),
        directions=rounded(directions[:, :rank]),
        precision=(1 / (variance[:rank] + added) / width).astype(np.float32),
        rest_precision=rest_precision,
    )


def _axes(away: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variances, falling, and directions (D, min(N, D)), by the smaller of two products."""
    num, width = away.shape
    # In one thread: the decomposition goes in many small steps, between which threads wait for
    # each other. On two busy cores, 1,280 features take two threads 3.9 s of processor time and
    # one thread 0.35 s; and the file is the same however many cores there are.
    with threadpool_limits(1):
        if num >= width:
            variance, directions = np.linalg.eigh(away.T @ away)
            return variance[::-1].clip(0), directions[:, ::-1]
        variance, weights = np.linalg.eigh(away @ away.T)
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

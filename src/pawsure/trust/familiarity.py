"""How like the training pictures a picture is, told from pooled features of the network.

The network's features of the training pictures fill a small part of their space. Its shape is
summed up by one Gaussian of low rank, with what is left over spread evenly (a probabilistic
PCA); how far a picture lies from the middle, in units of that shape, is how strange it is. Where
strangers are at hand, a linear detector that was taught to tell them from the training pictures
has a say as well. What comes out is a share of the validation pictures: 0.03 means that only 3%
of pictures like those that were learned from are less familiar than this one.

Features are scaled to length 1 before, a tensor at a time: without that the distance mostly
tells how strongly a picture excites the network.

Source: distance by one Gaussian of all classes: Kamoi and Kobayashi 2020, arXiv:2003.00402;
length 1: Müller and Hein 2025, "Mahalanobis++", arXiv:2505.18032; low rank and remainder: Tipping
and Bishop 1999, "Probabilistic Principal Component Analysis", J. R. Stat. Soc. B 61(3).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pawsure.errors import ShapeError

MOST_BYTES = 900_000
"""Of float32 for the directions of the Gaussian: what a model file may grow by."""

SHRINKAGE = 0.01
"""Of the mean variance, added to each: a tenth to a tenth of this gives the same figures."""

PENALTY = 0.03
"""scikit-learn's C of the detector, on features of variance 1."""

WEIGHTS = (0.0, 1.0, 3.0, np.inf)
"""What the detector may count beside the Gaussian, both at variance 1; infinity: it alone."""

MOST_STEPS = 12
"""Newton's method under so strong a penalty: five to seven come to the end."""

NUM_FOLDS = 5

MOST_KNOTS = 128

_TINY = 1e-12
_LEAST = 1e-6


@dataclass(frozen=True, kw_only=True)
class Gaussian:
    """Where the features of training pictures lie.

    Attributes:
        middle: float32 (D,).
        directions: float32 (D, r), orthonormal: those of largest variance.
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
        # Pythagoras, in place of a second product with the directions.
        rest = ((away**2).sum(axis=1) - (along**2).sum(axis=1)).clip(0)
        distance = along**2 @ self.precision + rest * self.rest_precision
        return -np.log(distance.clip(_LEAST))


@dataclass(frozen=True, kw_only=True)
class Familiarity:
    """Features to familiarity.

    Attributes:
        gaussian: of the training pictures.
        gaussian_weight: what its score counts.
        detector: float32 (D,), what each feature speaks for being familiar; None: no detector.
        knots: float32 (Q,), rising: scores.
        shares: float32 (Q,), rising from 0 to 1: familiarity at each; linear in between.
    """

    gaussian: Gaussian
    gaussian_weight: float = 1.0
    detector: np.ndarray | None = None
    knots: np.ndarray
    shares: np.ndarray

    def score(self, features: np.ndarray) -> np.ndarray:
        """Float64 (N,): higher is more familiar, in no unit."""
        score = np.zeros(len(features))
        if self.gaussian_weight:
            score += self.gaussian_weight * self.gaussian.score(features)
        if self.detector is not None:
            score += (np.asarray(features, np.float64) - self.gaussian.middle) @ self.detector
        return score

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Float64 (N,), in [0, 1]: share of validation pictures that are less familiar."""
        return np.interp(self.score(features), self.knots, self.shares)

    @property
    def num_bytes(self) -> int:
        """What it adds to a model file, about."""
        parts = (self.gaussian.directions, self.gaussian.middle, self.gaussian.precision)
        return sum(part.nbytes for part in (*parts, self.knots, self.shares)) + (
            0 if self.detector is None else self.detector.nbytes
        )


def unit_length(features: np.ndarray, widths: list[int]) -> np.ndarray:
    """Scale each tensor's part of the features, (N, sum of widths), to length 1."""
    ends = np.cumsum(widths)[:-1]
    parts = np.split(np.asarray(features, np.float64), ends, axis=1)
    return np.concatenate(
        [part / (np.linalg.norm(part, axis=1, keepdims=True) + _TINY) for part in parts], axis=1
    )


def fit_gaussian(features: np.ndarray, *, most_bytes: int = MOST_BYTES) -> Gaussian:
    """Sum up the training pictures.

    Args:
        features: float (N, D), N at least 2.
        most_bytes: for the directions.

    Raises:
        ShapeError: too few pictures, or a feature is not finite.
    """
    features = _checked(features, least=2)
    num, width = features.shape
    middle = features.mean(axis=0)
    away = features - middle
    variance, directions = np.linalg.eigh(away.T @ away / num)
    variance, directions = variance[::-1].clip(0), directions[:, ::-1]
    added = SHRINKAGE * variance.mean() + _TINY
    rank = max(1, min(num - 1, width, most_bytes // (4 * width)))
    rest = variance[rank:].mean() if rank < width else np.inf  # nothing is left over
    return Gaussian(
        middle=middle.astype(np.float32),
        # As a model file keeps them.
        directions=directions[:, :rank].astype(np.float16).astype(np.float32),
        precision=(1 / (variance[:rank] + added) / width).astype(np.float32),
        rest_precision=float(np.float32(1 / (rest + added) / width)),
    )


def fit_familiarity(
    features: np.ndarray,
    held_out: np.ndarray,
    strangers: np.ndarray | None = None,
    kinds: np.ndarray | None = None,
    *,
    detector: np.ndarray | None = None,
    gaussian_weight: float = 1.0,
) -> Familiarity:
    """Fit everything.

    Args:
        features: float (N, D), of training pictures.
        held_out: float (M, D), of validation pictures; what a share is of.
        strangers: float (S, D), of pictures that are none of the labels; None: there are none.
        kinds: (S,), what kind of stranger each is, such as the folder it lies in: strangers of
            one kind are held out together when the detector is judged.
        detector: float32 (D,), of an earlier fit, where the strangers are not available.
        gaussian_weight: of that fit.

    Raises:
        ShapeError: too few pictures, or a feature is not finite.
    """
    gaussian = fit_gaussian(features)
    held_out = _checked(held_out, least=1)
    nothing = np.array([0.0, 1.0], np.float32)
    found = Familiarity(
        gaussian=gaussian,
        gaussian_weight=gaussian_weight,
        detector=detector,
        knots=nothing,
        shares=nothing,
    )
    if strangers is not None and len(strangers) >= 2:
        strangers = _checked(strangers, least=2)
        found = _with_detector(found, features, held_out, strangers, kinds)
    return with_shares(found, held_out)


def with_shares(familiarity: Familiarity, held_out: np.ndarray) -> Familiarity:
    """The same scores, as shares of these pictures.

    Args:
        familiarity: its knots and shares do not matter.
        held_out: float (M, D), of validation pictures.
    """
    knots, shares = _shares_of(familiarity.score(held_out))
    return replace(familiarity, knots=knots, shares=shares)


def _with_detector(
    plain: Familiarity,
    features: np.ndarray,
    held_out: np.ndarray,
    strangers: np.ndarray,
    kinds: np.ndarray | None,
) -> Familiarity:
    """Add a detector, with the weight that lets the fewest strangers of other kinds pass."""
    fold = _folds(kinds if kinds is not None else np.arange(len(strangers)))
    accepted = np.zeros(len(WEIGHTS))
    for number in range(fold.max() + 1):
        shown, hidden = strangers[fold != number], strangers[fold == number]
        if not len(shown) or not len(hidden):
            continue
        detector = fit_detector(features, shown, plain.gaussian.middle)
        for place, weight in enumerate(WEIGHTS):
            tried = _weighted(plain, detector, weight, held_out)
            score, limit = tried.score(hidden), np.quantile(tried.score(held_out), 0.05)
            accepted[place] += (score >= limit).sum()
    weight = WEIGHTS[int(accepted.argmin())]
    detector = fit_detector(features, strangers, plain.gaussian.middle)
    return _weighted(plain, detector, weight, held_out)


def _weighted(
    plain: Familiarity, detector: np.ndarray, weight: float, held_out: np.ndarray
) -> Familiarity:
    """Both scores at variance 1 on held-out pictures, the detector's times a weight."""
    if weight == 0:
        return plain
    spread = float(np.std((held_out - plain.gaussian.middle) @ detector)) or 1.0
    other = float(np.std(plain.gaussian.score(held_out))) or 1.0
    if np.isinf(weight):
        return replace(plain, detector=(detector / spread).astype(np.float32), gaussian_weight=0.0)
    scaled = (detector * weight / spread).astype(np.float32)
    return replace(plain, detector=scaled, gaussian_weight=1 / other)


def fit_detector(features: np.ndarray, strangers: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Ridge-penalised logistic regression of familiar against strange, both counting alike.

    Args:
        features: float (N, D), familiar.
        strangers: float (S, D).
        middle: float (D,), taken off first.

    Returns:
        float64 (D,): the weight of each feature, without the constant.
    """
    spread = features.std(axis=0) + 1e-6
    rows = (np.concatenate([features, strangers]) - middle) / spread
    rows = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
    truth = np.repeat([1.0, 0.0], [len(features), len(strangers)])
    each = np.repeat(
        [len(rows) / 2 / len(features), len(rows) / 2 / len(strangers)],
        [len(features), len(strangers)],
    )
    ridge = np.full(rows.shape[1], 1 / PENALTY)
    ridge[-1] = _TINY
    weight = np.zeros(rows.shape[1])
    for _ in range(MOST_STEPS):
        chance = 1 / (1 + np.exp(-(rows @ weight).clip(-40, 40)))
        gradient = rows.T @ (each * (chance - truth)) + ridge * weight
        curvature = (rows * (each * chance * (1 - chance))[:, np.newaxis]).T @ rows
        step = np.linalg.solve(curvature + np.diag(ridge), gradient)
        weight -= step
        if np.abs(step).max() < 1e-4:
            break
    return np.asarray(weight[:-1] / spread)


def auroc(familiar: np.ndarray, strange: np.ndarray) -> float:
    """How often a familiar picture scores above a strange one; ties count half.

    Args:
        familiar: float (N,), N at least 1.
        strange: float (S,), S at least 1.

    Source: Hanley and McNeil 1982, "The meaning and use of the area under a receiver operating
    characteristic curve", Radiology 143(1).
    """
    ordered = np.sort(familiar)
    below = np.searchsorted(ordered, strange, side="left")
    up_to = np.searchsorted(ordered, strange, side="right")
    return float(1 - (below + up_to).mean() / 2 / len(ordered))


def _shares_of(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Knots and shares of a curve through the validation scores.

    Of n scores in order the i-th has the share i / (n + 1). Below the lowest a long last piece
    keeps the order of strangers among each other.
    """
    scores = np.sort(scores)
    n = len(scores)
    spread = float(np.median(scores) - scores[0]) or 1.0
    picked = np.unique(
        np.concatenate([np.arange(min(n, 32)), np.linspace(0, n - 1, MOST_KNOTS - 34).round()])
    ).astype(int)
    knots = np.concatenate(
        [[scores[0] - 8 * spread], scores[picked], [scores[-1] + spread]]
    ).astype(np.float32)
    shares = np.concatenate([[0.0], (picked + 1) / (n + 1), [1.0]]).astype(np.float32)
    # Equal scores get the highest of their shares.
    kept = np.append(np.diff(knots) > 0, True)
    kept[0] = True
    knots, shares = knots[kept], shares[kept]
    shares[0] = 0.0
    return knots, shares


def _folds(kinds: np.ndarray) -> np.ndarray:
    """Int64 (S,): strangers of one kind in one fold, kinds in turn; of a single kind, each."""
    found, place = np.unique(np.asarray(kinds), return_inverse=True)
    if len(found) == 1:
        place = np.arange(len(place))
    return np.asarray(place % NUM_FOLDS, dtype=np.int64)


def _checked(features: np.ndarray, *, least: int) -> np.ndarray:
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or len(features) < least:
        raise ShapeError(
            f"Features are to be (N, D) of at least {least} pictures; got {features.shape}."
        )
    if not np.isfinite(features).all():
        raise ShapeError("A feature is not a finite number; familiarity can't be told from it.")
    return features

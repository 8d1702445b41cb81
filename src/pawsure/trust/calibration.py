"""Make probabilities mean what they say: fitted on validation, part of the model file.

A network's logits are turned into probabilities by a softmax; what is learned here is how far
behind the best label each of the others is to be put. With `d` the gap between the largest
logit and a label's own, the label's calibrated logit is `-f(d)` with a function `f` that
rises, so the order of the labels, and with it every answer, stays as it was. A straight `f` is
temperature scaling; one that bends can also mend a network that is too sure of its hard
pictures and not sure enough of its easy ones, as label smoothing makes it. Beyond the largest
gap seen on validation `f` is level: no answer is surer than what validation bears out, which is
the clipping that decided log-loss competitions.

Source: temperature: Guo et al. 2017, arXiv:1706.04599; functions that keep the order: Rahimi et
al. 2020, "Intra Order-preserving Functions for Calibration of Multi-Class Neural Networks",
arXiv:2003.06820.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pawsure.errors import ShapeError
from pawsure.evaluation.metrics import check_together, log_losses, softmax

PIECES = (1, 4, 8)
"""Straight pieces of the curves that are tried; one piece is a temperature."""

NUM_FOLDS = 10

LEAST_PICTURES = 200
"""With fewer for validation, only a temperature is fitted: ten folds of twenty tell nothing
about the bends of a curve."""

NOISE = 1.0
"""Standard errors by which a bent curve has to be better: the simplest that is not worse by more
than one, as Breiman et al. 1984, "Classification and Regression Trees", section 3.4.3, have it. At
1.96, of eight draws of 2,000 photographs two kept a temperature whose error was three times as
large; where a temperature does, as for `fast`, curves were 0.2 better to 2.6 worse."""

LEAST_SLOPE = 0.01
"""Of the slope of the best temperature: a curve rises everywhere, so that of two answers the
surer one stays the surer."""

_MOST_ROUNDS = 200
LEAST_GAP = 0.01
"""Of the largest gap between logits, once calibrated. With a network that has learned nothing the
likeliest temperature is without end; at this one (50.2% sure at most, of two labels) the float32
numbers of a model file still tell answers apart, as those do that its figures were measured by."""

_SMALL = 1e-9


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How logits become probabilities.

    Attributes:
        gaps: float64 (J + 1,), rising from 0: how far a label lies behind the best one.
        values: float64 (J + 1,), rising from 0: what that gap is turned into; linear
            in between and level after the last.
    """

    gaps: np.ndarray
    values: np.ndarray

    @property
    def method(self) -> str:
        """What it is called: "temperature" or "curve"."""
        return "temperature" if len(self.gaps) == 2 else "curve"

    @property
    def temperature(self) -> float | None:
        """What logits are divided by; None for a curve."""
        return float(self.gaps[1] / self.values[1]) if len(self.gaps) == 2 else None

    @property
    def slopes(self) -> np.ndarray:
        """Float64 (J,): of each piece, above 0."""
        return np.diff(self.values) / np.diff(self.gaps)

    def probabilities(self, logit: np.ndarray) -> np.ndarray:
        """Calibrated probabilities of logits (N, K): float64 (N, K), rows sum to 1."""
        gap = _gaps(logit)
        return softmax(-np.interp(gap, self.gaps, self.values))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "method": self.method,
            "temperature": self.temperature,
            "gaps": self.gaps.tolist(),
            "values": self.values.tolist(),
        }


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One way to calibrate, judged on validation pictures that it was not fitted on.

    Attributes:
        pieces: of the curve; 1 is a temperature.
        log_loss: mean over the held-out folds.
        gain: how much lower that is than with a temperature.
        standard_error: of the gain, over pictures.
        accepted: whether it is the one that was taken.
    """

    pieces: int
    log_loss: float
    gain: float
    standard_error: float
    accepted: bool

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def fit_calibration(
    logit: np.ndarray, label: np.ndarray, *, picture: np.ndarray | None = None, seed: int = 0
) -> tuple[Calibration, list[Trial]]:
    """Fit a temperature, or a curve where cross-validation says beyond noise that it is better.

    Args:
        logit: float (N, K), of validation pictures.
        label: int (N,), the true ones.
        picture: int (N,), which picture each is a version of; None: each of another. Versions
            of one share a fold and count as one picture.
        seed: draws the folds.

    Returns:
        What was taken, fitted on all N; and what was tried (empty below `LEAST_PICTURES`).

    Raises:
        ShapeError: the arrays do not go together, or a logit is not finite.
    """
    logit = _checked(logit, label)
    picture = np.arange(len(label)) if picture is None else picture
    pictures, place = np.unique(picture, return_inverse=True)
    versions = len(label) / len(pictures)
    if len(pictures) < LEAST_PICTURES:
        return fit_curve(logit, label, pieces=1, versions=versions), []
    fold = (np.random.default_rng(seed).permutation(len(pictures)) % NUM_FOLDS)[place]
    losses = {pieces: _held_out_losses(logit, label, fold, pieces, versions) for pieces in PIECES}
    losses = {
        pieces: np.bincount(place, each) / np.bincount(place) for pieces, each in losses.items()
    }
    best = PIECES[0]
    trials: list[Trial] = []
    for pieces in PIECES:
        gain = losses[PIECES[0]] - losses[pieces]
        over_best = losses[best] - losses[pieces]
        if pieces != best and over_best.mean() > NOISE * _standard_error(over_best):
            best = pieces
        trials.append(
            Trial(
                pieces=pieces,
                log_loss=float(losses[pieces].mean()),
                gain=float(gain.mean()),
                standard_error=_standard_error(gain),
                accepted=False,
            )
        )
    chosen = [Trial(**{**asdict(trial), "accepted": trial.pieces == best}) for trial in trials]
    return fit_curve(logit, label, pieces=best, versions=versions), chosen


def at_best_temperature(probability: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Probabilities as the best temperature for these pictures would have them.

    Two networks are compared by what they would ship: one that was held back by label smoothing
    or mixup has a high loss only until it is calibrated.

    Args:
        probability: float (N, K), rows sum to 1.
        label: int (N,).

    Returns:
        float64 (N, K), rows sum to 1.
    """
    logit = np.log(np.maximum(probability, np.finfo(np.float32).tiny))
    return fit_curve(logit, label, pieces=1).probabilities(logit)


def best_temperature(probability: np.ndarray, label: np.ndarray) -> float:
    """What the logits of these pictures are best divided by; arguments as above."""
    logit = np.log(np.maximum(probability, np.finfo(np.float32).tiny))
    temperature = fit_curve(logit, label, pieces=1).temperature
    assert temperature is not None  # of a single piece
    return temperature


def fit_curve(
    logit: np.ndarray, label: np.ndarray, *, pieces: int, versions: float = 1.0
) -> Calibration:
    """Fit the slopes of a curve by maximum likelihood.

    The truth is taken to be 1 - 1/(N + 2) sure, so that a network that is right on every
    validation picture does not come out infinitely sure (Platt 1999, "Probabilistic outputs for
    support vector machines", section 2.2). The likelihood is convex in the slopes.

    Args:
        logit: float (N, K).
        label: int (N,).
        pieces: J, at most; fewer where too many gaps are equal.
        versions: of each picture that are among the N, on average.

    Raises:
        ShapeError: the arrays do not go together, or a logit is not finite.
    """
    logit = _checked(logit, label)
    gap = _gaps(logit)
    target = _softened(label, logit.shape[1], len(label) / versions)
    most = max(gap.max(), _SMALL)
    line = _fitted(gap, target, np.array([0.0, most]), min(1.0, LEAST_GAP / most))
    if pieces == 1:
        return line
    return _fitted(gap, target, _knots(gap, line, pieces), LEAST_SLOPE * float(line.slopes[0]))


def _fitted(
    gap: np.ndarray, target: np.ndarray, knots: np.ndarray, least: float = _SMALL
) -> Calibration:
    """Slopes of lowest loss, none below `least`.

    Newton's method on the slopes that are free: not at their bound, or pulled off it
    (projected Newton, Bertsekas 1982, SIAM J. Control Optim. 20(2)).
    """
    ramps = np.clip(gap[:, :, np.newaxis] - knots[:-1], 0, np.diff(knots))  # (N, K, J)
    slopes = np.full(ramps.shape[2], 1.0)
    for _ in range(_MOST_ROUNDS):
        before = slopes
        probability = softmax(-(ramps @ slopes))
        gradient, curvature = _derivatives(ramps, probability, target)
        free = (slopes > least) | (gradient < 0)
        step = np.zeros_like(slopes)
        step[free] = -np.linalg.solve(curvature[np.ix_(free, free)], gradient[free])
        slopes = _stepped(ramps, slopes, step, target, least)
        if np.abs(slopes - before).max() <= 1e-6 * max(1.0, slopes.max()):
            break
    values = np.concatenate([[0.0], np.cumsum(slopes * np.diff(knots))])
    return Calibration(gaps=knots, values=values)


def _derivatives(
    ramps: np.ndarray, probability: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of the loss by the slopes: float64 (J,), and (J, J), which can be inverted."""
    gradient = np.einsum("nk,nkj->j", target - probability, ramps)
    weighted = probability[:, :, np.newaxis] * ramps
    mean = weighted.sum(axis=1)
    num_pairs, num_slopes = ramps.shape[0] * ramps.shape[1], ramps.shape[2]
    flat = ramps.reshape(num_pairs, num_slopes)
    curvature = weighted.reshape(num_pairs, num_slopes).T @ flat - mean.T @ mean
    return gradient, curvature + _SMALL * np.eye(num_slopes)


def _stepped(
    ramps: np.ndarray, slopes: np.ndarray, step: np.ndarray, target: np.ndarray, least: float
) -> np.ndarray:
    """The slopes after the longest half of half … of a step that does not raise the loss."""
    here = _loss(softmax(-(ramps @ slopes)), target)
    for _ in range(30):
        tried = np.maximum(slopes + step, least)
        if _loss(softmax(-(ramps @ tried)), target) <= here:
            return tried
        step = step / 2
    return slopes


def _knots(gap: np.ndarray, line: Calibration, pieces: int) -> np.ndarray:
    """Where the curve may bend: half by pictures, half by what they can tell.

    Most pictures lie at large gaps, and the errors, which decide, at small ones; a picture
    weighs the square root of the variance of its answer.
    """
    probability = softmax(-np.interp(gap, line.gaps, line.values)).max(axis=1)
    second = np.partition(gap, 1, axis=1)[:, 1]
    order = np.argsort(second, kind="stable")
    share = np.arange(1, pieces) / pieces
    weight = np.cumsum(np.sqrt(probability * (1 - probability))[order] + _SMALL)
    places = np.searchsorted(weight, share * weight[-1])
    knots = np.unique(second[order][places.clip(0, len(order) - 1)])
    inner = knots[(knots > _SMALL) & (knots < gap.max() - _SMALL)]
    return np.concatenate([[0.0], inner, [gap.max()]])


def _held_out_losses(
    logit: np.ndarray, label: np.ndarray, fold: np.ndarray, pieces: int, versions: float
) -> np.ndarray:
    """Float64 (N,): the loss of each picture by what was fitted on the other folds."""
    losses = np.empty(len(label))
    for number in range(NUM_FOLDS):
        out = fold == number
        fitted = fit_curve(logit[~out], label[~out], pieces=pieces, versions=versions)
        losses[out] = log_losses(fitted.probabilities(logit[out]), label[out])
    return losses


def _softened(label: np.ndarray, num_labels: int, num_pictures: float) -> np.ndarray:
    doubt = 1 / (num_pictures + 2)
    target = np.full((len(label), num_labels), doubt / (num_labels - 1))
    target[np.arange(len(label)), label] = 1 - doubt
    return target


def _gaps(logit: np.ndarray) -> np.ndarray:
    logit = np.asarray(logit, dtype=np.float64)
    return np.asarray(logit.max(axis=1, keepdims=True) - logit)


def _loss(probability: np.ndarray, target: np.ndarray) -> float:
    return float(-(target * np.log(probability.clip(1e-300))).sum())


def _standard_error(values: np.ndarray | Sequence[float]) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def _checked(logit: np.ndarray, label: np.ndarray) -> np.ndarray:
    logit, label = np.asarray(logit, dtype=np.float64), np.asarray(label)
    check_together(logit, label)
    if not np.isfinite(logit).all():
        raise ShapeError("A logit is not a finite number; the network can't be calibrated.")
    return logit

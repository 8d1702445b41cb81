"""Part of the way back: weights on the line from where a stage started to where it ended.

A network that was fine-tuned for long on few labels forgets what it knew. Between its weights
and those it started from, the loss of networks that share a start hardly rises, and somewhere
there lies one that has learned the labels and forgotten less: better on held-out pictures, and
better at telling strangers. Source: Wortsman et al. 2022, "Robust fine-tuning of zero-shot
models" (WiSE-FT), arXiv:2109.01903.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pawsure.evaluation.metrics import accuracy, log_loss, softmax
from pawsure.trust.calibration import at_best_temperature, best_temperature

STEP = 0.1
"""Of the way; a validation loss tells neighbours nearer than that apart by chance alone."""

_LEAST = 1e-12
"""Probability: a logarithm of zero would be infinite."""

Weights = Sequence[np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Point:
    """A place on the line.

    Attributes:
        share: of the way from the start to the end, in [0, 1].
        validation_loss: there, at the best temperature.
        validation_accuracy: there.
    """

    share: float
    validation_loss: float
    validation_accuracy: float


def best_on_line(
    start: Weights,
    end: Weights,
    judge: Callable[[list[np.ndarray]], np.ndarray],
    label: np.ndarray,
    at_end: np.ndarray,
) -> tuple[list[np.ndarray], np.ndarray, list[Point]]:
    """Walk from the end towards the start while validation loss falls.

    Args:
        start: weights before learning.
        end: those after it, of the same shapes.
        judge: gives what a network of these weights says of the validation pictures, float64
            (M, K).
        label: of these, int (M,).
        at_end: what `judge` gives for `end`.

    Returns:
        The best weights, what they say of the validation pictures, and every place that was
        tried, the end first.
    """
    points: list[Point] = []
    best: tuple[list[np.ndarray], np.ndarray] | None = None
    for step in range(round(1 / STEP)):
        share = round(1 - step * STEP, 6)
        weights = between(start, end, share)
        found = judge(weights) if step else at_end
        judged = at_best_temperature(found, label)
        points.append(
            Point(
                share=share,
                validation_loss=log_loss(judged, label),
                validation_accuracy=accuracy(judged, label),
            )
        )
        if best is not None and points[-1].validation_loss >= points[-2].validation_loss:
            break
        best = weights, found
    assert best is not None
    return *best, points


def mean_of_logits(
    first: np.ndarray, second: np.ndarray, label: np.ndarray
) -> tuple[np.ndarray, tuple[float, float]]:
    """The mean of what two networks say, each at its best temperature.

    Args:
        first: probabilities of held-out pictures, float64 (M, K).
        second: the same of the other network.
        label: of these pictures, int (M,).

    Returns:
        The probabilities of the mean of both logits, and what the logits of each were multiplied
        by before they were added.
    """
    shares = (0.5 / best_temperature(first, label), 0.5 / best_temperature(second, label))
    logit = sum(
        share * np.log(np.clip(each, _LEAST, None))
        for share, each in zip(shares, (first, second), strict=True)
    )
    return softmax(np.asarray(logit)), shares


def between(start: Weights, end: Weights, share: float) -> list[np.ndarray]:
    """Weights that are `share` of the way from the start to the end, each in its dtype.

    What did not move stays as it is, to the bit.
    """
    return [
        last
        if share == 1 or np.array_equal(first, last)
        else ((1 - share) * first + share * last).astype(last.dtype)
        for first, last in zip(start, end, strict=True)
    ]


def kept_point(points: Sequence[Point]) -> Point:
    """The place whose weights were taken."""
    return min(points, key=lambda point: point.validation_loss)

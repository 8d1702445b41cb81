"""Weight interpolation (WiSE-FT): weights between the initial and the fine-tuned ones.

A network that was fine-tuned for long on few labels forgets what it knew. On the line between its
weights and the initial ones the loss hardly rises, and some point has learned the labels and
forgotten less: it is better on held-out pictures and at detecting OOD pictures. Source: Wortsman
et al. 2022, "Robust fine-tuning of zero-shot models" (WiSE-FT), arXiv:2109.01903.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pawsure.evaluation.metrics import accuracy, log_loss, softmax
from pawsure.trust.calibration import at_best_temperature, best_temperature

STEP = 0.1
"""Between shares; a validation loss tells nearer neighbours apart by chance alone."""

_LEAST = 1e-12
"""Probability: a logarithm of zero would be infinite."""

Weights = Sequence[np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Point:
    """A point on the line.

    Attributes:
        share: of the trained weights, in [0, 1].
        validation_loss: at the best temperature.
        validation_accuracy: in [0, 1].
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
    """Move from the trained weights towards the initial ones while the validation loss falls.

    Args:
        start: the initial weights.
        end: the trained weights, of the same shapes.
        judge: gives the validation probabilities of a network with given weights, float64 (M, K).
        label: of the validation pictures, int (M,).
        at_end: the probabilities for `end`.

    Returns:
        The best weights, their validation probabilities, and every point that was tried, `end`
        first.
    """
    points: list[Point] = []
    best: tuple[list[np.ndarray], np.ndarray] | None = None
    for step in range(round(1 / STEP)):
        share = round(1 - step * STEP, 6)
        weights = between(start, end, share)
        probability = judge(weights) if step else at_end
        judged = at_best_temperature(probability, label)
        points.append(
            Point(
                share=share,
                validation_loss=log_loss(judged, label),
                validation_accuracy=accuracy(judged, label),
            )
        )
        if best is not None and points[-1].validation_loss >= points[-2].validation_loss:
            break
        best = weights, probability
    assert best is not None
    return *best, points


def mean_of_logits(
    first: np.ndarray, second: np.ndarray, label: np.ndarray
) -> tuple[np.ndarray, tuple[float, float]]:
    """The mean of the logits of two networks, each at its best temperature.

    Args:
        first: probabilities of held-out pictures, float64 (M, K).
        second: the same of the other network.
        label: of these pictures, int (M,).

    Returns:
        The probabilities of the mean, and the factor of the logits of each network.
    """
    shares = (0.5 / best_temperature(first, label), 0.5 / best_temperature(second, label))
    logit = sum(
        share * np.log(np.clip(each, _LEAST, None))
        for share, each in zip(shares, (first, second), strict=True)
    )
    return softmax(np.asarray(logit)), shares


def between(start: Weights, end: Weights, share: float) -> list[np.ndarray]:
    """Interpolated weights, each in its dtype: `share` of the end, the rest of the start.

    Weights that did not change stay the same, to the bit.
    """
    return [
        last
        if share == 1 or np.array_equal(first, last)
        else ((1 - share) * first + share * last).astype(last.dtype)
        for first, last in zip(start, end, strict=True)
    ]


def best_point(points: Sequence[Point]) -> Point:
    """The point of the lowest validation loss, whose weights are used."""
    return min(points, key=lambda point: point.validation_loss)

"""Multinomial logistic regression in NumPy, for probabilities out of sample."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pawsure.evaluation.metrics import softmax

_MEMORY = 8
_MOST_STEPS = 100
_SMALLEST_GAIN = 1e-5  # of the loss, relative: a probability in its third digit
_SUFFICIENT = 1e-4  # Armijo's constant, as in Nocedal and Wright 2006, ch. 3

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]


def fit(
    features: np.ndarray,
    label: np.ndarray,
    *,
    num_labels: int,
    penalty: float,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """The weights of least cross-entropy, with a penalty on their squares.

    Args:
        features: float32 (N, F), best with a mean square of 1.
        label: int (N,), in [0, K).
        num_labels: K.
        penalty: what is added to the mean loss for each unit of half the squared weights;
            above 0. The bias is free.
        start: weights to start from, such as those of other rows of the same data.

    Returns:
        float64 (F + 1, K), the last row the bias.
    """
    rows = np.arange(len(label))

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(-1, num_labels)
        predicted = probabilities(features, weights)
        loss = -np.log(np.maximum(predicted[rows, label], 1e-12)).mean()
        error = predicted
        error[rows, label] -= 1
        slope = np.concatenate(
            [features.T @ error.astype(np.float32), error.sum(axis=0, keepdims=True)]
        ) / len(label)
        kernel = weights[:-1]
        slope[:-1] += penalty * kernel
        return float(loss + penalty / 2 * (kernel**2).sum()), slope.reshape(-1)

    zeros = np.zeros((features.shape[1] + 1, num_labels))
    first = zeros if start is None else start
    return _minimum(objective, first.reshape(-1).astype(np.float64)).reshape(-1, num_labels)


def probabilities(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Of each label: float64 (N, K), rows sum to 1.

    Args:
        features: float32 (N, F).
        weights: float (F + 1, K), of `fit`.
    """
    logit = (features @ weights[:-1].astype(np.float32)).astype(np.float64) + weights[-1]
    return softmax(logit)


def _minimum(objective: Objective, place: np.ndarray) -> np.ndarray:
    """Of a convex function, by L-BFGS (Nocedal and Wright 2006, algorithm 7.5)."""
    value, slope = objective(place)
    steps: list[tuple[np.ndarray, np.ndarray]] = []
    for _ in range(_MOST_STEPS):
        direction = -_like_inverse_hessian(slope, steps)
        length = 1.0 if steps else 1 / max(1.0, float(np.abs(slope).sum()))
        downhill = float(slope @ direction)
        new_value, new_slope = objective(place + length * direction)
        while new_value > value + _SUFFICIENT * length * downhill and length > 1e-8:
            length /= 2
            new_value, new_slope = objective(place + length * direction)
        if new_value >= value:
            break
        moved, bent = length * direction, new_slope - slope
        if moved @ bent > 0:
            steps = [*steps, (moved, bent)][-_MEMORY:]
        gain = (value - new_value) / max(abs(value), 1e-12)
        place, value, slope = place + moved, new_value, new_slope
        if gain < _SMALLEST_GAIN:
            break
    return place


def _like_inverse_hessian(
    slope: np.ndarray, steps: list[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """The two loops (algorithm 7.4)."""
    direction = slope.copy()
    shares = []
    for moved, bent in reversed(steps):
        share = (moved @ direction) / (moved @ bent)
        direction -= share * bent
        shares.append(share)
    if steps:
        moved, bent = steps[-1]
        direction *= (moved @ bent) / (bent @ bent)
    for (moved, bent), share in zip(steps, reversed(shares), strict=True):
        direction += (share - (bent @ direction) / (moved @ bent)) * moved
    return direction

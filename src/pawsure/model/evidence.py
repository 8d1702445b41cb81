"""Which places of a picture support an answer, and which oppose it.

A model file outputs a class activation map for every label: what each place of the picture adds
to the logit of the label (Zhou et al. 2016, arXiv:1512.04150). The map of one label alone can
mislead: a softmax depends on differences, so what is added to all labels changes no answer.
`relative_evidence` removes it.
"""

from __future__ import annotations

import numpy as np

from pawsure.errors import ShapeError

_SURE_OF_ONE = 1e-12
"""Below this the other labels have too little probability to be weighted by it."""


def relative_evidence(
    evidence: np.ndarray, probability: np.ndarray, label: int | None = None
) -> np.ndarray:
    """What each place contributes to one label relative to the others.

    The others are weighted by their probabilities, so the runner-up counts most: with these
    weights the log odds of the label change with the other logits.

    Args:
        evidence: float (h, w, K), of one picture; its mean over h and w is the logit.
        probability: float (K,), of the same picture.
        label: the column to explain; None takes the most probable.

    Returns:
        float32 (h, w): above 0 where a place supports the label, below 0 where it opposes it.
        With two labels the mean is the log odds of the label (before calibration), exactly;
        with more, their linear part: the logit less the weighted mean of the other logits.

    Raises:
        ShapeError: the shapes are incompatible.
    """
    num_labels = len(probability)
    if evidence.ndim != 3 or probability.ndim != 1 or evidence.shape[2] != num_labels:
        raise ShapeError(
            f"Evidence is (h, w, K) and probability (K,); got {evidence.shape} "
            f"and {probability.shape}."
        )
    column = int(probability.argmax()) if label is None else label
    weight = np.array(probability, dtype=np.float64)
    weight[column] = 0
    if weight.sum() < _SURE_OF_ONE:
        weight = _from_logits(evidence, column)
    direction = -weight / weight.sum()
    direction[column] = 1
    return (evidence @ direction).astype(np.float32)


def _from_logits(evidence: np.ndarray, column: int) -> np.ndarray:
    """The same weights if the label's probability has rounded to 1."""
    logit = evidence.mean(axis=(0, 1), dtype=np.float64)
    others = np.delete(logit, column)
    return np.insert(np.exp(others - others.max()), column, 0)


def spread(evidence: np.ndarray, width: int, height: int) -> np.ndarray:
    """Enlarge a map smoothly, without overshoot.

    Each value is the centre of a cubic B-spline as wide as its cell. Weights are never negative
    and sum to 1, so unlike bicubic interpolation no value leaves the range of its neighbours.

    Args:
        evidence: float (h, w).
        width: of the picture, in pixels.
        height: the same.

    Returns:
        float32 (height, width).

    Source: Unser 1999, "Splines: a perfect fit for signal and image processing", IEEE Signal
    Processing Magazine 16(6).
    """
    down, across = _weights(height, evidence.shape[0]), _weights(width, evidence.shape[1])
    return (down @ evidence @ across.T).astype(np.float32)


def _weights(length: int, num_cells: int) -> np.ndarray:
    """float32 (length, num_cells): how much of each cell a pixel takes."""
    place = (np.arange(length) + 0.5) / length * num_cells - 0.5
    before = np.floor(place).astype(np.int64)
    t = place - before
    taps = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    weights = np.zeros((length, num_cells), dtype=np.float32)
    for offset, tap in enumerate(taps, -1):
        cell = np.clip(before + offset, 0, num_cells - 1)
        np.add.at(weights, (np.arange(length), cell), tap / 6)
    return weights

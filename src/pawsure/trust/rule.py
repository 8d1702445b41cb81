"""The one rule that turns numbers into an answer: a label, "unsure" or "neither"."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

LABEL = "label"
UNSURE = "unsure"
NEITHER = "neither"

Thresholds = Mapping[str, float | None]
"""`unsure_below`, a probability, and `neither_below`, a familiarity; None or no entry: never."""


def outcomes(
    probability: np.ndarray, familiarity: np.ndarray | None, thresholds: Thresholds
) -> np.ndarray:
    """What to act on for each picture.

    An unfamiliar picture is "neither" before it is "unsure": the probability of a label means
    nothing for a picture of something else.

    Args:
        probability: float (N, K).
        familiarity: float (N,), in [0, 1]; None: the model has no such output.
        thresholds: as in the metadata of a model file.

    Returns:
        Strings (N,): `LABEL`, `UNSURE` or `NEITHER`.
    """
    neither_below, unsure_below = thresholds.get("neither_below"), thresholds.get("unsure_below")
    # float64, as the page and the exported code compute: a float32 next to a Python number
    # would have the number rounded first.
    largest = np.asarray(probability, np.float64).max(axis=1)
    found = np.full(len(largest), LABEL, dtype=object)
    if unsure_below is not None:
        found[largest < unsure_below] = UNSURE
    if neither_below is not None and familiarity is not None:
        found[np.asarray(familiarity, np.float64) < neither_below] = NEITHER
    return found

"""How deep to learn, chosen by data: deeper only while it gains more than noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pawsure.evaluation.metrics import accuracy, log_loss, log_losses

CONFIDENCE = 1.645
"""Standard errors by which validation must improve: a one-sided test at 5%."""


@dataclass(frozen=True, kw_only=True)
class DepthTrial:
    """One cut that was tried.

    Attributes:
        cut: the tensor that learning started behind.
        validation_loss: of the weights that were kept.
        validation_accuracy: the same.
        gain: by how much the loss is lower than that of the best before, a picture.
        standard_error: of the gain, over pictures.
        accepted: whether the gain is more than noise.
    """

    cut: str
    validation_loss: float
    validation_accuracy: float
    gain: float
    standard_error: float
    accepted: bool


def is_worth_it(
    cut: str, before: np.ndarray | None, after: np.ndarray, label: np.ndarray
) -> DepthTrial:
    """Compare a trial with the best before it on the same pictures.

    The test is paired: the pictures' own difficulty, which makes most of the spread of a
    loss, falls out of the differences.

    Args:
        cut: what was tried.
        before: float (M, K), calibrated probabilities of the best before; None if there is none.
        after: float (M, K), of the trial.
        label: int (M,).
    """
    gain, error = math.inf, 0.0
    if before is not None:
        gains = log_losses(before, label) - log_losses(after, label)
        gain = float(gains.mean())
        error = float(gains.std(ddof=1) / math.sqrt(len(gains))) if len(gains) > 1 else math.inf
    return DepthTrial(
        cut=cut,
        validation_loss=log_loss(after, label),
        validation_accuracy=accuracy(after, label),
        gain=gain,
        standard_error=error,
        accepted=gain > CONFIDENCE * error,
    )

"""Precision against recall of one label, for every threshold on its probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pawsure.errors import ShapeError


@dataclass(frozen=True, kw_only=True)
class PrecisionRecall:
    """Precision and recall at every threshold, from the highest down.

    Attributes:
        threshold: float64 (T,), falling.
        precision: float64 (T,), of the pictures at or above it, the share that is of the label.
        recall: float64 (T,), of the pictures of the label, the share at or above it; rising to 1.
    """

    threshold: np.ndarray
    precision: np.ndarray
    recall: np.ndarray

    @property
    def average_precision(self) -> float:
        """Precision summed over steps of recall, in (0, 1]; no interpolation."""
        return float((self.precision * np.diff(self.recall, prepend=0.0)).sum())

    def to_dict(self, most: int = 200) -> dict[str, Any]:
        """JSON-ready lists of at most so many points, the last included; and the average."""
        kept = np.unique(np.linspace(0, len(self.threshold) - 1, most).round().astype(int))
        return {
            "threshold": self.threshold[kept].tolist(),
            "precision": self.precision[kept].tolist(),
            "recall": self.recall[kept].tolist(),
            "average_precision": self.average_precision,
        }


def precision_recall(score: np.ndarray, is_label: np.ndarray) -> PrecisionRecall | None:
    """The curve of one label against all others.

    Args:
        score: float (N,), higher means rather the label, such as its probability.
        is_label: bool (N,), whether it is.

    Returns:
        None if no picture, or every picture, has the label.

    Raises:
        ShapeError: the arrays are empty or differ in length.

    Source: average precision as in scikit-learn: Manning, Raghavan and Schütze 2008,
    "Introduction to Information Retrieval", section 8.4, without interpolation.
    """
    score, is_label = np.asarray(score, np.float64), np.asarray(is_label, bool)
    if score.shape != is_label.shape or score.ndim != 1 or not len(score):
        raise ShapeError(
            "A precision-recall curve wants a score and a truth for each of one or more "
            f"pictures; got {score.shape} and {is_label.shape}."
        )
    if not is_label.any() or is_label.all():
        return None
    order = np.argsort(-score, kind="stable")
    last_of_equal = np.flatnonzero(np.diff(score[order], append=-np.inf))
    hits = np.cumsum(is_label[order])[last_of_equal]
    return PrecisionRecall(
        threshold=score[order][last_of_equal],
        precision=hits / (last_of_equal + 1),
        recall=hits / hits[-1],
    )

"""The risk-coverage curve of selective prediction.

An answer is given where the probability of the best label is at least a threshold; the risk is
the share of wrong answers among those given, the coverage the share of pictures that get one.

Source: El-Yaniv and Wiener 2010, "On the Foundations of Noise-free Selective Classification",
J. Mach. Learn. Res. 11; Geifman and El-Yaniv 2017, arXiv:1705.08500.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pawsure.errors import ShapeError


@dataclass(frozen=True, kw_only=True)
class RiskCoverage:
    """Risk and coverage at every threshold, from the highest down.

    Attributes:
        threshold: float64 (T,), falling.
        answered: int64 (T,), pictures with at least that probability.
        errors: int64 (T,), of them, how many are wrong.
        n: pictures in all.
    """

    threshold: np.ndarray
    answered: np.ndarray
    errors: np.ndarray
    n: int

    @property
    def coverage(self) -> np.ndarray:
        """Float64 (T,): share of pictures that are answered."""
        return self.answered / self.n

    @property
    def risk(self) -> np.ndarray:
        """Float64 (T,): share of wrong answers among those given."""
        return self.errors / self.answered

    @property
    def area(self) -> float:
        """Mean risk over all coverages, lower is better (AURC)."""
        widths = np.diff(self.answered, prepend=0)
        return float((self.risk * widths).sum() / self.n)

    def to_dict(self, most: int = 200) -> dict[str, Any]:
        """JSON-ready lists of at most so many points, the last included; and the area."""
        kept = np.unique(np.linspace(0, len(self.threshold) - 1, most).round().astype(int))
        return {
            "threshold": self.threshold[kept].tolist(),
            "coverage": self.coverage[kept].tolist(),
            "risk": self.risk[kept].tolist(),
            "area": self.area,
        }


def risk_coverage(confidence: np.ndarray, right: np.ndarray) -> RiskCoverage:
    """The curve of a set of answers.

    Args:
        confidence: float (N,), the probability of each answer; N at least 1.
        right: bool (N,), whether it is the true label.

    Raises:
        ShapeError: the arrays are empty or differ in length.
    """
    confidence, right = np.asarray(confidence, np.float64), np.asarray(right, bool)
    if confidence.shape != right.shape or confidence.ndim != 1 or not len(right):
        raise ShapeError(
            "A risk-coverage curve wants a probability and whether it was right for each of one "
            f"or more pictures; got {confidence.shape} and {right.shape}."
        )
    order = np.argsort(-confidence, kind="stable")
    ordered = confidence[order]
    last_of_equal = np.flatnonzero(np.diff(ordered, append=-np.inf))
    return RiskCoverage(
        threshold=ordered[last_of_equal],
        answered=last_of_equal + 1,
        errors=np.cumsum(~right[order])[last_of_equal],
        n=len(right),
    )

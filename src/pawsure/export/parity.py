"""Compare an exported file with its source model, picture by picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pawsure.errors import ParityError, ShapeError


@dataclass(frozen=True, kw_only=True)
class ParityReport:
    """The difference between two sets of probabilities for the same N pictures.

    Attributes:
        n: pictures compared.
        max_difference: the largest between any two probabilities, in [0, 1].
        mean_difference: the mean over pictures of the largest of each, in [0, 1].
        answers_changed: pictures whose most probable label differs; within the tolerance, ties.
        tolerance: limit of `max_difference`.
    """

    n: int
    max_difference: float
    mean_difference: float
    answers_changed: int
    tolerance: float


def compare(
    reference: np.ndarray, candidate: np.ndarray, *, tolerance: float = 1e-3
) -> ParityReport:
    """Compare probabilities for the same pictures in the same order.

    Args:
        reference: float (N, K), of the model that was exported.
        candidate: float (N, K), of the exported file.
        tolerance: largest allowed difference of a probability. Runtimes that order the same
            float32 sums differently stay below 1e-4 on MobileNetV2.

    Raises:
        ParityError: a probability differs by more, or is not a number.
        ShapeError: the arrays differ in shape, or hold no pictures.
    """
    reference, candidate = np.asarray(reference), np.asarray(candidate)
    if reference.shape != candidate.shape or reference.ndim != 2 or not reference.size:
        raise ShapeError(
            "To compare an export give probabilities for the same pictures, (N, K) twice with "
            f"N above 0; got {reference.shape} and {candidate.shape}."
        )
    gap = np.abs(reference.astype(np.float64) - candidate).max(axis=1)
    changed = reference.argmax(axis=1) != candidate.argmax(axis=1)
    too_far = ~(gap <= tolerance)  # so that "not a number" is too far
    if too_far.any():
        worst = int(np.where(np.isnan(gap), np.inf, gap).argmax())
        raise ParityError(
            f"The exported file disagrees with its source on {int(too_far.sum())} of "
            f"{len(gap)} pictures; {int(changed.sum())} answers differ. The worst is number "
            f"{worst}: {_shown(reference[worst])} became {_shown(candidate[worst])}, where "
            f"{tolerance:g} is allowed. Nothing was written; this is a bug in pawsure, please "
            "report it with the recipe."
        )
    return ParityReport(
        n=len(gap),
        max_difference=float(gap.max()),
        mean_difference=float(gap.mean()),
        answers_changed=int(changed.sum()),
        tolerance=tolerance,
    )


def _shown(probability: np.ndarray) -> str:
    """The first few probabilities of one picture."""
    few = ", ".join(f"{value:.4f}" for value in probability[:4].tolist())
    return f"({few}{', …' if len(probability) > 4 else ''})"

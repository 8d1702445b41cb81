"""How many pictures it takes to detect a difference between two models."""

from __future__ import annotations

import math
from statistics import NormalDist

from pawsure.errors import ShapeError
from pawsure.evaluation.intervals import LEVEL

POWER = 0.8
"""How often a difference that is there should be found; the customary value (Cohen 1988)."""


def pictures_to_tell(
    difference: float, differing: float, *, level: float = LEVEL, power: float = POWER
) -> int:
    """Pictures that McNemar's test needs to tell two models apart.

    Args:
        difference: of their accuracies, not 0, in [-1, 1].
        differing: share of pictures that exactly one of them gets right, at least
            `abs(difference)`, at most 1.
        level: 1 less the share of equal models that the test may tell apart by chance.
        power: share of models this different that the test is to tell apart.

    Raises:
        ShapeError: the shares are no such shares.

    Source: Connor 1987, "Sample size for testing differences in proportions for the
    paired-sample design", Biometrics 43, eq. 3.
    """
    difference = abs(difference)
    if not 0 < difference <= differing <= 1:
        raise ShapeError(
            "Models can be told apart by a difference above 0 and no larger than the share of "
            f"pictures on which they differ; got {difference} and {differing}."
        )
    by_chance = NormalDist().inv_cdf((1 + level) / 2) * math.sqrt(differing)
    by_power = NormalDist().inv_cdf(power) * math.sqrt(differing - difference**2)
    # Rounded first: an exact result must not grow by one through its last bit.
    return math.ceil(round(((by_chance + by_power) / difference) ** 2, 6))


def pictures_to_tell_half(error: float) -> int:
    """Pictures on which a model that makes half the mistakes can be told from this one.

    It is taken to right three of four mistakes and to make a new one for every fourth, as
    models that are trained differently do.

    Args:
        error: share of mistakes of this model, in (0, 1].
    """
    return pictures_to_tell(error / 2, error)

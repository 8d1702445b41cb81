"""Compare two models on the same pictures: paired, so that hard pictures cancel out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pawsure.errors import ShapeError
from pawsure.evaluation.intervals import LEVEL, Interval, binomial_tail, bootstrap


@dataclass(frozen=True, kw_only=True)
class PairedComparison:
    """What two models did on the same N pictures.

    Attributes:
        only_first: pictures that only the first got right.
        only_second: pictures that only the second got right.
        difference: accuracy of the second less that of the first, in [-1, 1].
        interval: for the difference.
        p_value: of McNemar's exact test: how often models that are equally good would
            differ at least this much.
    """

    only_first: int
    only_second: int
    difference: float
    interval: Interval
    p_value: float


def compare_paired(
    first: np.ndarray, second: np.ndarray, *, level: float = LEVEL, seed: int = 0
) -> PairedComparison:
    """Compare two models by which pictures each got right.

    Args:
        first: bool (N,), whether the first model was right.
        second: bool (N,), whether the second was, on the same pictures in the same order.
        level: of confidence of the interval, in (0, 1).
        seed: of the bootstrap.

    Raises:
        ShapeError: the arrays are empty or differ in length.
    """
    first, second = np.asarray(first, bool), np.asarray(second, bool)
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ShapeError(
            "To compare two models give, for the same pictures, whether each was right: two "
            f"arrays of one length above 0; got {first.shape} and {second.shape}."
        )
    only_first = int((first & ~second).sum())
    only_second = int((second & ~first).sum())
    gain = second.astype(np.float64) - first
    return PairedComparison(
        only_first=only_first,
        only_second=only_second,
        difference=float(gain.mean()),
        interval=bootstrap(lambda drawn: float(drawn.mean()), gain, level=level, seed=seed),
        p_value=mcnemar(only_first, only_second),
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided p-value of McNemar's test in its exact, binomial form.

    Only the pictures on which the models differ count: were the models equally good, each
    would be as likely to be won by either.

    Args:
        only_first: pictures that only the first got right.
        only_second: pictures that only the second got right.

    Returns:
        In (0, 1]; 1 when they differ on none.

    Raises:
        ShapeError: a count is below 0.

    Source: McNemar 1947, "Note on the sampling error of the difference between correlated
    proportions or percentages", Psychometrika 12(2); exact form: the sign test of Conover
    1999, "Practical Nonparametric Statistics", section 3.5.
    """
    if min(only_first, only_second) < 0:
        raise ShapeError(f"Counts are 0 or more; got {only_first} and {only_second}.")
    more = max(only_first, only_second)
    return min(1.0, 2 * binomial_tail(more, only_first + only_second, 0.5))

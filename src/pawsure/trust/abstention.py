"""The abstention threshold: below which probability an answer is "unsure".

Source: El-Yaniv and Wiener 2010, "On the Foundations of Noise-free Selective Classification",
J. Mach. Learn. Res. 11; Geifman and El-Yaniv 2017, arXiv:1705.08500.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from pawsure.errors import UsageError
from pawsure.evaluation.intervals import binomial_tail
from pawsure.evaluation.selective import RiskCoverage, risk_coverage

LEVEL = 0.9
"""How often a bound on the error is to hold. A threshold is for use on many pictures, where one
that errs upwards in a run of ten is noticed; 95% would take a third more validation pictures."""


@dataclass(frozen=True, kw_only=True)
class UnsureThreshold:
    """From which probability on an answer is given.

    Attributes:
        threshold: answers with less are "unsure"; None: every answer is given.
        method: "bound": with confidence `level` no more than `max_error` of the answers given
            for pictures like the validation pictures are wrong; "estimate": there are too few
            of these for such a bound, and on them no more than `max_error` were wrong.
        max_error: what was asked for.
        level: of confidence.
        coverage: share of the validation pictures that are answered.
        error: share of wrong answers among those.
    """

    threshold: float | None
    method: Literal["bound", "estimate", "none"]
    max_error: float
    level: float
    coverage: float
    error: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def choose_threshold(
    confidence: np.ndarray,
    right: np.ndarray,
    max_error: float,
    *,
    level: float = LEVEL,
    versions: int = 1,
) -> UnsureThreshold:
    """The lowest threshold that keeps the error on answered pictures at or below a rate.

    It is the lowest whose exact upper bound on the error (Clopper and Pearson, one-sided) is at
    or below the rate. The bound is that of one threshold given beforehand; that the lowest of
    many is picked could cost some of its level. Measured: of 400 simulated validation sets each
    of 1,000 and 2,000 photographs, at rates of 0.5, 1 and 2%, the true error was above the rate
    in 4 to 10%, where 10% are allowed.

    Args:
        confidence: float (N,), probability of each validation picture's answer.
        right: bool (N,), whether it is right.
        max_error: in [0, 1]; 1 asks for nothing.
        level: of confidence of the bound, in (0, 1).
        versions: of each picture that are among the N; the bound counts pictures.

    Raises:
        ShapeError: the arrays are empty or differ in length.
        UsageError: a rate outside [0, 1].

    Source: the bound: Clopper and Pearson 1934; thresholds by such bounds, with a correction
    that costs a good part of the coverage: Geifman and El-Yaniv 2017, arXiv:1705.08500.
    """
    if not 0 <= max_error <= 1:
        raise UsageError(f"A share of errors is in [0, 1], such as 0.005; got {max_error}.")
    curve = risk_coverage(confidence, right)
    if max_error == 1:
        return _chosen(curve, len(curve.threshold) - 1, "none", max_error, level)
    place = _lowest_borne_out(curve, max_error, level, versions)
    if place is not None:
        return _chosen(curve, place, "bound", max_error, level)
    # The largest set of surest answers without more errors than asked for, though nothing can
    # be promised of it. Where even the surest is wrong, nothing is answered.
    within = np.flatnonzero(curve.risk <= max_error)
    return _chosen(curve, int(within[-1]) if len(within) else None, "estimate", max_error, level)


def pictures_needed(max_error: float, *, level: float = LEVEL) -> int:
    """Validation pictures, all answered rightly, from which on a rate can be borne out."""
    if max_error <= 0:
        raise UsageError("No number of pictures bears out that there are never errors.")
    return math.ceil(math.log(1 - level) / math.log1p(-max_error)) if max_error < 1 else 0


def _lowest_borne_out(
    curve: RiskCoverage, max_error: float, level: float, versions: int
) -> int | None:
    """The place of the lowest threshold whose bound keeps to the rate."""
    if max_error <= 0:
        return None
    needed = pictures_needed(max_error, level=level)
    enough = np.flatnonzero(curve.answered // versions >= needed)
    for place in enough[::-1].tolist():
        errors = -(-int(curve.errors[place]) // versions)
        answered = int(curve.answered[place]) // versions
        # The upper bound is at or below a rate at which so few errors are this rare.
        if 1 - binomial_tail(errors + 1, answered, max_error) <= 1 - level:
            return place
    return None


def _chosen(
    curve: RiskCoverage, place: int | None, method: Any, max_error: float, level: float
) -> UnsureThreshold:
    if place is None:
        threshold, coverage, error = float(np.nextafter(curve.threshold[0], np.inf)), 0.0, 0.0
    else:
        is_all = place == len(curve.threshold) - 1
        threshold = 0.0 if is_all else _between(curve, place)
        coverage, error = float(curve.coverage[place]), float(curve.risk[place])
    return UnsureThreshold(
        threshold=None if threshold == 0.0 else threshold,
        method=method,
        max_error=max_error,
        level=level,
        coverage=coverage,
        error=error,
    )


def _between(curve: RiskCoverage, place: int) -> float:
    """Midway to the next lower probability, so that rounding decides nothing."""
    return float((curve.threshold[place] + curve.threshold[place + 1]) / 2)

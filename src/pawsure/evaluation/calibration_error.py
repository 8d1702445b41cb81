"""Whether confidence means what it says: the reliability diagram and its one figure.

Only the most probable label of each picture counts here: its probability is the
confidence, and it is right or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pawsure.errors import UsageError
from pawsure.evaluation.intervals import LEVEL, Interval, resample
from pawsure.evaluation.metrics import correct

Binning = Literal["width", "mass"]

NUM_BINS = 15  # as in Guo et al. 2017


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Confidence against accuracy, bin by bin: what a reliability diagram shows.

    Attributes:
        count: int64 (B,), pictures in the bin; empty bins are left out.
        confidence: float64 (B,), mean confidence in the bin.
        accuracy: float64 (B,), share of answers in the bin that is right.
    """

    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def error(self) -> float:
        """Mean gap between confidence and accuracy, weighted by bin size."""
        gap = np.abs(self.accuracy - self.confidence)
        return float(self.count @ gap / self.count.sum())


def reliability(
    probability: np.ndarray,
    label: np.ndarray,
    *,
    num_bins: int = NUM_BINS,
    binning: Binning = "width",
) -> Reliability:
    """Sort answers into bins by confidence.

    Args:
        probability: float (N, K), rows sum to 1.
        label: int (N,) in [0, K).
        num_bins: at most this many bins.
        binning: "width": bins of equal width over (0, 1], upper edges belong to the bin, as
            in the paper. "mass": bins of equally many pictures, which a confident model
            does not leave nearly empty (Nguyen and O'Connor 2015, arXiv:1508.05154);
            equally confident answers are never told apart, so bins may differ in size.

    Raises:
        ShapeError: the arrays do not go together.
        UsageError: no such binning.
    """
    return _SortedAnswers(probability, label, num_bins, binning).reliability()


def expected_calibration_error(
    probability: np.ndarray,
    label: np.ndarray,
    *,
    num_bins: int = NUM_BINS,
    binning: Binning = "width",
) -> float:
    """Mean gap between confidence and accuracy, weighted by bin size.

    Args:
        probability: float (N, K), rows sum to 1.
        label: int (N,) in [0, K).
        num_bins: see `reliability`.
        binning: see `reliability`.

    Returns:
        A fraction in [0, 1]; 0 is perfectly calibrated. It is biased upwards: chance alone
        opens a gap where bins hold few pictures, see `calibration_error_interval`.

    Raises:
        ShapeError: the arrays do not go together.
        UsageError: no such binning.

    Source: Guo et al. 2017, arXiv:1706.04599, eq. 3.
    """
    return reliability(probability, label, num_bins=num_bins, binning=binning).error


@dataclass(frozen=True, kw_only=True)
class CalibrationInterval:
    """How far a calibration error can be believed.

    Attributes:
        interval: for the error that endless pictures would show.
        by_chance: the error that a perfectly calibrated model with these confidences
            shows on average on as many pictures.
    """

    interval: Interval
    by_chance: float


def calibration_error_interval(
    probability: np.ndarray,
    label: np.ndarray,
    *,
    num_bins: int = NUM_BINS,
    binning: Binning = "width",
    num_resamples: int = 1000,
    level: float = LEVEL,
    seed: int = 0,
) -> CalibrationInterval:
    """Bootstrap interval for the calibration error, made honest about its bias.

    The error is biased upwards and resampling biases it once more, so the plain percentile
    interval misses: for calibrated models it never reached the truth in 450 simulated
    sets of 200 to 3,000 pictures. Here the upper end is the percentile's, the lower end is
    mirrored at the estimate (the basic bootstrap), which takes the bias off, and is 0 where
    the error is within what calibrated models show by chance. The same simulations, at
    true errors of 0, 2.7% and 6.1%, gave 90 to 98% coverage at a level of 95%.

    Args:
        probability: float (N, K), rows sum to 1.
        label: int (N,) in [0, K).
        num_bins: see `reliability`.
        binning: see `reliability`.
        num_resamples: draws, both of pictures and of chance.
        level: of confidence, in (0, 1).
        seed: same seed, same interval.

    Raises:
        ShapeError: the arrays do not go together.
        UsageError: no such binning.

    Source: basic and percentile bootstrap: Davison and Hinkley 1997, "Bootstrap Methods and
    their Application", section 5.2; labels drawn from the model's own probabilities: Bröcker
    and Smith 2007, "Increasing the Reliability of Reliability Diagrams", Weather and
    Forecasting 22(3).
    """
    answers = _SortedAnswers(probability, label, num_bins, binning)
    n = len(answers.confidence)
    estimate = answers.reliability().error

    def error_of_draw(drawn: np.ndarray) -> float:
        return answers.reliability(times=np.bincount(drawn, minlength=n)).error

    resampled = resample(error_of_draw, np.arange(n), num_resamples=num_resamples, seed=seed)
    rng = np.random.default_rng(seed)
    chance = [
        answers.reliability(right=rng.random(n) < answers.confidence).error
        for _ in range(num_resamples)
    ]
    high = float(np.quantile(resampled, (1 + level) / 2))
    calibrated = estimate <= np.quantile(chance, level)
    return CalibrationInterval(
        interval=Interval(0.0 if calibrated else max(0.0, 2 * estimate - high), high),
        by_chance=float(np.mean(chance)),
    )


class _SortedAnswers:
    """Answers in order of confidence, so that a resample is binned without sorting again."""

    def __init__(
        self, probability: np.ndarray, label: np.ndarray, num_bins: int, binning: str
    ) -> None:
        if binning not in ("width", "mass"):
            raise UsageError(f"Bins are of equal 'width' or of equal 'mass'; got '{binning}'.")
        right = correct(probability, label)
        confidence = probability.max(axis=1).astype(np.float64)
        order = np.argsort(confidence, kind="stable")
        self.confidence = confidence[order]
        self._right = right[order]
        self._num_bins = num_bins
        # Where equal confidences begin: they share the lowest rank, so are in one bin.
        self._first_equal = np.searchsorted(self.confidence, self.confidence, side="left")
        self._by_width = None
        if binning == "width":
            upper_edge = np.ceil(self.confidence * num_bins).astype(np.int64)
            self._by_width = upper_edge.clip(1, num_bins) - 1

    def reliability(
        self, *, times: np.ndarray | None = None, right: np.ndarray | None = None
    ) -> Reliability:
        """The bins, with each answer taken `times` times, or with other answers right."""
        times = np.ones(len(self.confidence), np.int64) if times is None else times
        right = self._right if right is None else right
        which = self._by_rank(times) if self._by_width is None else self._by_width
        count, confidence, hits = (
            np.bincount(which, weight, minlength=self._num_bins)
            for weight in (times, times * self.confidence, times * right)
        )
        filled = count > 0
        return Reliability(
            count=count[filled].astype(np.int64),
            confidence=confidence[filled] / count[filled],
            accuracy=hits[filled] / count[filled],
        )

    def _by_rank(self, times: np.ndarray) -> np.ndarray:
        """Int64 (N,) in [0, num_bins): bins of equally many answers."""
        up_to = np.cumsum(times)
        rank = (up_to - times)[self._first_equal]
        # An answer that was not drawn, at the very end, has a rank beyond the last.
        return np.minimum(rank * self._num_bins // up_to[-1], self._num_bins - 1)

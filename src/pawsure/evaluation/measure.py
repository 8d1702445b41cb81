"""Figures of predictions, with intervals, JSON-ready."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from pawsure.errors import ShapeError
from pawsure.evaluation import metrics
from pawsure.evaluation.calibration_error import (
    NUM_BINS,
    calibration_error_interval,
    expected_calibration_error,
    reliability,
)
from pawsure.evaluation.intervals import Interval, bootstrap, wilson
from pawsure.evaluation.paired import compare_paired
from pawsure.evaluation.precision_recall import precision_recall
from pawsure.evaluation.selective import risk_coverage


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Predictions for N labelled pictures.

    Attributes:
        indices: int64 (N,), rows of the catalog.
        probability: float32 (N, K).
        label: int64 (N,), the true ones, as columns of `probability`.
        problems: (row of the catalog, reason) of those that could not be read.
        logit: float32 (N, K), before calibration; None where the predictor gives none.
        familiarity: float32 (N,); None likewise.
        outcome: (N,) of "label", "unsure" or "neither", as the predictor decides; None where it
            always gives a label.
    """

    indices: np.ndarray
    probability: np.ndarray
    label: np.ndarray
    problems: list[tuple[int, str]]
    logit: np.ndarray | None = None
    familiarity: np.ndarray | None = None
    outcome: np.ndarray | None = None

    def at(self, which: np.ndarray) -> Predictions:
        """Those of some of the pictures: bool (N,)."""
        return replace(
            self,
            indices=self.indices[which],
            probability=self.probability[which],
            label=self.label[which],
            logit=None if self.logit is None else self.logit[which],
            familiarity=None if self.familiarity is None else self.familiarity[which],
            outcome=None if self.outcome is None else self.outcome[which],
        )


def measure(
    probability: np.ndarray,
    label: np.ndarray,
    labels: Sequence[str],
    *,
    outcome: np.ndarray | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Every figure of a set of probabilities.

    Args:
        probability: float (N, K), rows sum to 1.
        label: int (N,) in [0, K).
        labels: the K class names.
        outcome: (N,) of "label", "unsure" or "neither"; None: each picture gets a label.
        seed: of the bootstrap.

    Returns:
        JSON-ready: "n", "labels"; "accuracy" (with its Wilson interval), "log_loss",
        "brier_score" (bootstrap), "calibration_error" (15 bins of equal mass; `by_chance`
        is what a calibrated model would show on as many pictures): each with "value", "low"
        and "high", a 95% interval; "calibration_error_equal_width", to compare with other
        tools; "confusion_matrix", a row for each true label; "per_class": by label, "n",
        "precision", "recall" (with its Wilson interval), "f1". null: nothing to divide by.
        "answers": how many pictures were "answered" with a label, "unsure" and "neither", and
        the "error" among the answered, shares with their Wilson intervals. To be drawn:
        "reliability" (the bins of "calibration_error"), "risk_coverage", "precision_recall" by
        label; see `Reliability`, `RiskCoverage`, `PrecisionRecall`.

    Raises:
        ShapeError: the arrays do not go together.
    """
    right = metrics.correct(probability, label)
    confusion = metrics.confusion_matrix(probability.argmax(axis=1), label, len(labels))
    calibration = calibration_error_interval(probability, label, binning="mass", seed=seed)
    error = expected_calibration_error(probability, label, binning="mass")
    return {
        "n": len(label),
        "labels": list(labels),
        "accuracy": share_figure(int(right.sum()), len(right)),
        "log_loss": mean_figure(metrics.log_losses(probability, label), seed),
        "brier_score": mean_figure(metrics.brier_scores(probability, label), seed),
        "calibration_error": {
            **_with_interval(error, calibration.interval),
            "by_chance": calibration.by_chance,
            "num_bins": NUM_BINS,
        },
        "calibration_error_equal_width": expected_calibration_error(probability, label),
        "answers": measure_answers(right, outcome),
        "reliability": _bins(probability, label),
        "risk_coverage": risk_coverage(probability.max(axis=1), right).to_dict(),
        "precision_recall": _precision_recall(probability, label, labels),
        "confusion_matrix": confusion.tolist(),
        "per_class": {
            name: {
                **asdict(figures),
                "recall": share_figure(int(confusion[k, k]), figures.n) if figures.n else None,
            }
            for k, (name, figures) in enumerate(
                zip(labels, metrics.per_class(confusion), strict=True)
            )
        },
    }


def measure_answers(right: np.ndarray, outcome: np.ndarray | None) -> dict[str, Any]:
    """How many pictures get a label, "unsure" or "neither" for an answer, and how many err.

    Args:
        right: bool (N,), whether the most probable label is the true one.
        outcome: see `measure`.

    Returns:
        JSON-ready: "answered", "unsure", "neither": shares of all, with "n"; "error": the share
        of wrong ones among the answered, null where none is. Each with its Wilson interval.
    """
    n = len(right)
    outcome = np.full(n, "label") if outcome is None else outcome
    answered = outcome == "label"
    counts = {"answered": "label", "unsure": "unsure", "neither": "neither"}
    return {
        **{name: _counted(int((outcome == value).sum()), n) for name, value in counts.items()},
        "error": share_figure(int((~right[answered]).sum()), int(answered.sum()))
        if answered.any()
        else None,
    }


def compare_predictions(other: Predictions, this: Predictions, *, seed: int = 0) -> dict[str, Any]:
    """Compare two predictors on the same pictures, paired; JSON-ready.

    Args:
        other: to be compared with.
        this: of the same pictures.
        seed: of the bootstrap.

    Returns:
        "n"; "accuracy", "log_loss" of the other, with intervals; "difference" in accuracy and
        "log_loss_difference", this less other, with paired 95% intervals; "only_other",
        "only_this": pictures that only one got right; "p_value" of McNemar's test.

    Raises:
        ShapeError: they are of other pictures.
    """
    if not np.array_equal(other.indices, this.indices):
        raise ShapeError("To compare two predictors, give their predictions for the same pictures.")
    first, second = (metrics.correct(each.probability, each.label) for each in (other, this))
    losses = [metrics.log_losses(each.probability, each.label) for each in (other, this)]
    paired = compare_paired(first, second, seed=seed)
    return {
        "n": len(first),
        "accuracy": share_figure(int(first.sum()), len(first)),
        "log_loss": mean_figure(losses[0], seed),
        "difference": _with_interval(paired.difference, paired.interval),
        "log_loss_difference": mean_figure(losses[1] - losses[0], seed),
        "only_other": paired.only_first,
        "only_this": paired.only_second,
        "p_value": paired.p_value,
    }


def share_figure(successes: int, n: int) -> dict[str, float]:
    """A share with its Wilson interval, JSON-ready."""
    return _with_interval(successes / n, wilson(successes, n))


def mean_figure(values: np.ndarray, seed: int = 0) -> dict[str, float]:
    """A mean over pictures with its bootstrap interval, JSON-ready."""
    interval = bootstrap(lambda drawn: float(drawn.mean()), values, seed=seed)
    return _with_interval(float(values.mean()), interval)


def _counted(count: int, n: int) -> dict[str, float]:
    return {"n": count, **share_figure(count, n)}


def _bins(probability: np.ndarray, label: np.ndarray) -> dict[str, Any]:
    """The reliability diagram, with an interval for each bin's accuracy."""
    bins = reliability(probability, label, binning="mass")
    hits = np.round(bins.accuracy * bins.count).astype(int).tolist()
    intervals = [wilson(hit, n) for hit, n in zip(hits, bins.count.tolist(), strict=True)]
    return {
        "count": bins.count.tolist(),
        "confidence": bins.confidence.tolist(),
        "accuracy": bins.accuracy.tolist(),
        "low": [interval.low for interval in intervals],
        "high": [interval.high for interval in intervals],
    }


def _precision_recall(
    probability: np.ndarray, label: np.ndarray, labels: Sequence[str]
) -> dict[str, Any]:
    most = max(20, 400 // len(labels))  # so that a hundred labels do not fill a megabyte
    curves = {
        name: precision_recall(probability[:, k], label == k) for k, name in enumerate(labels)
    }
    return {name: None if curve is None else curve.to_dict(most) for name, curve in curves.items()}


def _with_interval(value: float, interval: Interval) -> dict[str, float]:
    return {"value": value, "low": interval.low, "high": interval.high}

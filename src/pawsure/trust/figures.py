"""What `metrics.json` says of trust: what was fitted, and what it does."""

from __future__ import annotations

from typing import Any

import numpy as np

from pawsure.evaluation.calibration_error import (
    calibration_error_interval,
    expected_calibration_error,
)
from pawsure.evaluation.measure import Predictions, mean_figure, share_figure
from pawsure.evaluation.metrics import brier_scores, log_losses, softmax
from pawsure.trust.abstention import pictures_needed
from pawsure.trust.familiarity import auroc
from pawsure.trust.fit import Trust
from pawsure.trust.rule import LABEL, NEITHER, outcomes


def trust_figures(
    trust: Trust,
    validation: Predictions,
    test: Predictions,
    others: tuple[np.ndarray, np.ndarray] | None,
) -> dict[str, Any]:
    """What `metrics.json` says of trust, all of it JSON-ready.

    Args:
        trust: what was fitted.
        validation: by the file that is written.
        test: the same.
        others: probability (S, K) and familiarity (S,) of held-out pictures outside
            the labels; None: there are none.
    """
    assert trust.calibration is not None and trust.unsure is not None
    assert trust.familiarity is not None
    max_error = trust.unsure.max_error
    return {
        "calibration": {
            **trust.calibration.to_dict(),
            "trials": [trial.to_dict() for trial in trust.trials],
            "validation": before_and_after(validation),
            "test": before_and_after(test),
        },
        "unsure": {
            **trust.unsure.to_dict(),
            "pictures_needed": pictures_needed(max_error) if max_error else None,
            "answers": trust.answers,
        },
        "neither": {
            "threshold": trust.neither_below,
            "num_pictures": trust.num_pictures,
            "num_ood": trust.num_ood,
            "num_bytes": trust.familiarity.num_bytes,
            "num_held_out": trust.num_held_out,
            "num_backgrounds": len(trust.familiarity.backgrounds),
            "classes": trust.familiarity.classes_by,
            "validation": histogram(validation.familiarity),
            "test": histogram(test.familiarity),
            "ood": None if others is None else _of_others(trust, *others, test.familiarity),
        },
    }


def _of_others(
    trust: Trust, probability: np.ndarray, familiarity: np.ndarray, known: np.ndarray | None
) -> dict[str, Any]:
    outcome = outcomes(probability, familiarity, trust.thresholds)
    return {
        "n": len(familiarity),
        "accepted": share_figure(int((outcome != NEITHER).sum()), len(outcome)),
        "answered": share_figure(int((outcome == LABEL).sum()), len(outcome)),
        "auroc": None if known is None else auroc(known, familiarity),
        "familiarity": histogram(familiarity),
    }


def before_and_after(found: Predictions) -> dict[str, Any]:
    """Log loss, Brier score and calibration error of plain and of calibrated probabilities."""
    assert found.logit is not None
    return {
        "before": _how_calibrated(softmax(found.logit).astype(np.float32), found.label),
        "after": _how_calibrated(found.probability, found.label),
    }


def _how_calibrated(probability: np.ndarray, label: np.ndarray) -> dict[str, Any]:
    error = calibration_error_interval(probability, label, binning="mass")
    return {
        "log_loss": mean_figure(log_losses(probability, label)),
        "brier_score": mean_figure(brier_scores(probability, label)),
        "calibration_error": {
            "value": expected_calibration_error(probability, label, binning="mass"),
            "low": error.interval.low,
            "high": error.interval.high,
            "by_chance": error.by_chance,
        },
    }


def histogram(familiarity: np.ndarray | None, num_bins: int = 20) -> list[int] | None:
    """How many pictures there are in each of so many equal parts of 0 to 1."""
    if familiarity is None:
        return None
    return np.histogram(familiarity, bins=num_bins, range=(0, 1))[0].tolist()

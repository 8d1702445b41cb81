"""What a run says of itself."""

from __future__ import annotations

import numpy as np
import pytest

from pawsure.evaluation.diagnosis import diagnose
from pawsure.evaluation.metrics import accuracy, log_loss
from pawsure.training.figures import _records
from pawsure.training.learned import StageResult
from pawsure.training.recipe import recipe_from_text
from pawsure.trust.calibration import at_best_temperature

SOFTENED = recipe_from_text(
    """
[[stages]]
name = "probe"
optimizer = "logistic"
[[stages]]
name = "learn"
train_from = "head"
epochs = 2
label_smoothing = 0.1
""",
    "softened",
)


def test_epochs_are_compared_by_what_they_were_judged_by():
    """A network that learned from softened targets: right, and far less sure than it may be."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 400)
    sure = np.where(rng.random(400) < 0.95, label, 1 - label)
    timid = np.where(sure[:, np.newaxis] == np.arange(2), 0.6, 0.4)
    judged = at_best_temperature(timid, label)
    assert log_loss(judged, label) < log_loss(timid, label) / 2
    loss = log_loss(judged, label)
    result = StageResult(
        name="learn",
        history=[
            {"epoch": 1, "loss": 0.5, "validation_loss": loss},
            {"epoch": 2, "loss": 0.5, "validation_loss": loss + 1e-6},
        ],
        kept=0,
        validation_probability=timid,
        judged_probability=judged,
        validation_loss=loss,
        validation_accuracy=accuracy(judged, label),
        epoch_probability={1: judged, 2: judged},
    )
    records = _records([result], SOFTENED, label)
    found = diagnose(records, label, train_probability=judged, train_label=label)
    assert found.overfitting.verdict == "no"
    assert found.overfitting.interval.low <= 0 <= found.overfitting.interval.high


def test_stages_are_judged_alike_where_one_of_them_softens_its_targets():
    """A linear probe that is right and sure, and a stage that is as right and never so sure."""
    label = np.random.default_rng(0).integers(0, 2, 30)
    sure, timid = (
        np.where(label[:, np.newaxis] == np.arange(2), right, 1 - right)
        for right in (1 - 1e-6, 0.8)
    )
    judged = at_best_temperature(timid, label)
    assert log_loss(judged, label) > 1000 * log_loss(sure, label)
    probe, tuned = (
        StageResult(
            name=name,
            history=[{"epoch": 1, "loss": 0.1, "validation_loss": log_loss(found, label), **more}],
            kept=0,
            validation_probability=raw,
            judged_probability=found,
            validation_loss=log_loss(found, label),
            validation_accuracy=1.0,
            epoch_probability={} if more else {1: found},
        )
        for name, raw, found, more in (
            ("probe", sure, sure, {"penalty": 1.0}),
            ("learn", timid, judged, {}),
        )
    )
    records = _records([probe, tuned], SOFTENED, label)
    found = diagnose(records, label, train_probability=sure, train_label=label)
    assert found.overfitting.verdict == "no"
    assert found.overfitting.rise == pytest.approx(0, abs=1e-3)
    assert found.gains[0].loss_difference == pytest.approx(0, abs=1e-3)

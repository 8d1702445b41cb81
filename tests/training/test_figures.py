"""What a run says of itself."""

from __future__ import annotations

import numpy as np

from pawsure.evaluation.diagnosis import diagnose
from pawsure.evaluation.metrics import log_loss
from pawsure.training.figures import _record
from pawsure.training.learner import StageResult
from pawsure.trust.calibration import at_best_temperature


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
        epoch_probability={1: judged, 2: judged},
    )
    found = diagnose([_record(result)], label, train_probability=judged, train_label=label)
    assert found.overfitting.verdict == "no"
    assert found.overfitting.interval.low <= 0 <= found.overfitting.interval.high

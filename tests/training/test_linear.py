from __future__ import annotations

import numpy as np
import pytest

from pawsure.evaluation.metrics import log_loss
from pawsure.training.linear import PENALTIES, fit_linear_head


def clouds(num_labels: int, count: int, *, seed: int, spread: float = 2.0):
    """Labels with a mean each, in 20 features of which the last ten mean nothing."""
    label = np.arange(count) % num_labels
    middles = np.random.default_rng(7).normal(0, 1, (num_labels, 10))
    rng = np.random.default_rng(seed)
    rows = np.concatenate([middles[label], np.zeros((count, 10))], axis=1)
    return (rows + rng.normal(0, spread, rows.shape)).astype(np.float32), label


@pytest.mark.parametrize("num_labels", [2, 4])
def test_the_kept_head_is_the_best_of_those_that_scikit_learn_fits(num_labels):
    linear = pytest.importorskip("sklearn.linear_model")
    rows, label = clouds(num_labels, 200, seed=0)
    judged, truth = clouds(num_labels, 300, seed=1)
    head = fit_linear_head(rows, label, judged, truth, num_labels=num_labels)

    scale = np.sqrt((rows**2).mean())
    losses = []
    for penalty in PENALTIES:
        # Of two labels scikit-learn has one column, where ours has one and its negative.
        one = penalty / 2 if num_labels == 2 else penalty
        theirs = linear.LogisticRegression(C=1 / (one * len(label)), tol=1e-8, max_iter=5000)
        theirs.fit(rows / scale, label)
        losses.append(log_loss(theirs.predict_proba(judged / scale), truth))
    assert head.kept == int(np.argmin(losses))
    assert head.history[head.kept]["validation_loss"] == pytest.approx(min(losses), abs=2e-3)
    assert log_loss(head.probabilities(judged), truth) == pytest.approx(min(losses), abs=2e-3)


def test_the_scale_of_the_features_does_not_matter():
    rows, label = clouds(3, 150, seed=0)
    judged, truth = clouds(3, 150, seed=1)
    one = fit_linear_head(rows, label, judged, truth, num_labels=3)
    other = fit_linear_head(64 * rows, label, 64 * judged, truth, num_labels=3)
    np.testing.assert_allclose(
        one.probabilities(judged), other.probabilities(64 * judged), atol=1e-3
    )


def test_penalties_are_tried_from_strong_to_weak_until_they_only_overfit():
    rows, label = clouds(2, 30, seed=0, spread=4.0)
    judged, truth = clouds(2, 300, seed=1, spread=4.0)
    head = fit_linear_head(rows, label, judged, truth, num_labels=2)
    assert [row["penalty"] for row in head.history] == list(PENALTIES[: len(head.history)])
    assert len(head.history) < len(PENALTIES)
    losses = [row["validation_loss"] for row in head.history]
    assert losses[-1] > 1.1 * losses[head.kept]

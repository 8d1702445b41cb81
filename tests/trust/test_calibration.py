from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pawsure.errors import ShapeError
from pawsure.evaluation.metrics import log_loss
from pawsure.trust.calibration import (
    LEAST_PICTURES,
    Calibration,
    at_best_temperature,
    fit_calibration,
    fit_curve,
    softmax,
)


def drawn(n: int, *, num_labels: int = 2, sharpness: float = 1.0, seed: int = 0):
    """Logits whose softmax, after division by `sharpness`, is the truth."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, 2, (n, num_labels))
    truth = softmax(logit)
    label = (truth.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return logit * sharpness, label


@pytest.mark.parametrize("num_labels", [2, 5])
@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0])
def test_the_temperature_that_was_put_in_is_found(sharpness, num_labels):
    logit, label = drawn(4000, num_labels=num_labels, sharpness=sharpness)
    assert fit_curve(logit, label, pieces=1).temperature == pytest.approx(sharpness, rel=0.08)


def test_the_temperature_is_that_of_another_implementation():
    """Platt's scaling without a constant: scikit-learn's logistic regression of the margin."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    logit, label = drawn(3000, sharpness=2.5, seed=3)
    margin = (logit[:, 1] - logit[:, 0])[:, np.newaxis]
    other = linear_model.LogisticRegression(C=1e9, fit_intercept=False).fit(margin, label)
    found = fit_curve(logit, label, pieces=1)
    assert 1 / found.temperature == pytest.approx(float(other.coef_[0, 0]), rel=0.01)


def test_a_curve_is_taken_where_a_temperature_can_not_do():
    rng = np.random.default_rng(1)
    gap = rng.uniform(0, 8, 4000)
    sure = np.where(gap < 4, 0.6, 0.995)  # no straight line does this
    label = (rng.random(4000) > sure).astype(int)
    logit = np.stack([gap, np.zeros(4000)], axis=1)
    found, trials = fit_calibration(logit, label)
    assert found.method == "curve" and found.temperature is None
    assert [trial.accepted for trial in trials].count(True) == 1
    line = fit_curve(logit, label, pieces=1).probabilities(logit)
    assert log_loss(found.probabilities(logit), label) < log_loss(line, label) - 0.02


def test_a_temperature_is_kept_where_a_curve_brings_nothing():
    logit, label = drawn(2000, sharpness=2.0)
    assert fit_calibration(logit, label)[0].method == "temperature"


def test_few_pictures_get_a_temperature_and_no_trials():
    logit, label = drawn(LEAST_PICTURES - 1)
    found, trials = fit_calibration(logit, label)
    assert found.method == "temperature" and trials == []


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(2, 6), st.integers(0, 10_000), st.floats(0.01, 50))
def test_order_and_range_are_kept_whatever_the_logits(n, num_labels, seed, scale):
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, scale, (n, num_labels))
    found = fit_curve(logit, rng.integers(0, num_labels, n), pieces=4)
    new = np.concatenate([logit, rng.normal(0, 10 * scale, (20, num_labels))])
    probability = found.probabilities(new)
    assert np.isfinite(probability).all() and (probability > 0).all()
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert (probability.argmax(axis=1) == new.argmax(axis=1)).all()
    assert (np.diff(found.values) > 0).all() or len(found.values) == 2


def test_a_network_that_is_right_on_everything_does_not_come_out_infinitely_sure():
    label = np.array([0, 1] * 20)
    logit = np.where(label[:, np.newaxis] == [0, 1], 5.0, 0.0)
    sure = fit_curve(logit, label, pieces=1).probabilities(logit).max()
    assert sure == pytest.approx(1 - 1 / 42, abs=1e-3)


def test_nothing_is_surer_than_the_surest_of_validation():
    logit, label = drawn(500)
    found = fit_curve(logit, label, pieces=1)
    surest = found.probabilities(logit).max()
    assert found.probabilities(np.array([[1e6, 0.0]])).max() == pytest.approx(surest)


def test_what_has_learned_nothing_stays_within_the_numbers_of_a_model_file():
    rng = np.random.default_rng(0)
    logit, label = rng.normal(0, 3, (25, 2)), np.arange(25) % 2
    label[np.abs(logit[:, 0] - logit[:, 1]).argmax()] = logit[
        np.abs(logit[:, 0] - logit[:, 1]).argmax()
    ].argmin()  # sure, and wrong
    found = fit_curve(logit, label, pieces=1)
    assert found.temperature < 1e5
    double = found.probabilities(logit).max(axis=1)
    single = found.probabilities(logit).astype(np.float32).max(axis=1)
    assert len(np.unique(single)) == len(np.unique(double)) == 25


def test_logits_that_are_all_equal_are_no_harm():
    found = fit_curve(np.zeros((10, 3)), np.arange(10) % 3, pieces=4)
    np.testing.assert_allclose(found.probabilities(np.zeros((2, 3))), 1 / 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_no_numbers_are_refused(bad):
    with pytest.raises(ShapeError, match="not a finite number"):
        fit_curve(np.array([[bad, 0.0]]), np.array([0]), pieces=1)


def test_a_straight_curve_is_division_by_the_temperature():
    logit, _ = drawn(50, num_labels=3)
    line = Calibration(gaps=np.array([0.0, 100.0]), values=np.array([0.0, 50.0]))
    assert line.temperature == 2
    np.testing.assert_allclose(line.probabilities(logit), softmax(logit / 2))


def test_the_best_temperature_undoes_any_other():
    rng = np.random.default_rng(0)
    logit = rng.normal(0, 2, (500, 3))
    label = np.array([rng.choice(3, p=each) for each in softmax(logit)])
    found = [at_best_temperature(softmax(logit * scale), label) for scale in (0.2, 1.0, 3.0)]
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)
    np.testing.assert_allclose(found[2], found[1], atol=1e-3)
    assert log_loss(found[0], label) <= log_loss(softmax(logit), label)
    assert np.isfinite(at_best_temperature(np.eye(3)[label], label)).all()

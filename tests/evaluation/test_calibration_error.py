from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from pawsure.errors import UsageError
from pawsure.evaluation.calibration_error import (
    calibration_error_interval,
    expected_calibration_error,
    reliability,
)

BINNINGS = ["width", "mass"]


def two_classes(confidence, right):
    """Probabilities and labels in which class 1 is always said, with these confidences."""
    confidence = np.asarray(confidence, float)
    return np.stack([1 - confidence, confidence], axis=1), np.asarray(right).astype(int)


def simulate(rng, n: int, overconfidence: float):
    """A model whose logits are `overconfidence` times what they should be."""
    logit = rng.normal(0, 4, n)
    label = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(int)
    second = 1 / (1 + np.exp(-overconfidence * logit))
    return np.stack([1 - second, second], axis=1), label


def error_by_definition(probability, label, num_bins):
    """Guo et al. 2017, eq. 3, in plain Python: bins ((m-1)/M, m/M]."""
    total = 0.0
    for m in range(1, num_bins + 1):
        inside = [
            (max(row), row.index(max(row)) == true)
            for row, true in zip(probability.tolist(), label.tolist(), strict=True)
            if (m - 1) / num_bins < max(row) <= m / num_bins
        ]
        total += abs(sum(right for _, right in inside) - sum(c for c, _ in inside))
    return total / len(label)


@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.integers(2, 4))
def test_equal_width_error_is_that_of_the_paper(seed, n, num_labels):
    rng = np.random.default_rng(seed)
    probability = rng.dirichlet(np.full(num_labels, 0.5), n)
    label = rng.integers(0, num_labels, n)
    assert expected_calibration_error(probability, label) == pytest.approx(
        error_by_definition(probability, label, 15), abs=1e-12
    )


@pytest.mark.parametrize(("binning", "theirs"), [("width", "uniform"), ("mass", "quantile")])
def test_reliability_agrees_with_scikit_learn(binning, theirs):
    # 500 different confidences above one half, in ten bins: no ties, no edge is met.
    rng = np.random.default_rng(3)
    confidence = rng.uniform(0.5, 1, 500)
    right = rng.random(500) < confidence
    bins = reliability(*two_classes(confidence, right), num_bins=10, binning=binning)
    accuracy, mean = calibration_curve(right, confidence, n_bins=10, strategy=theirs)
    np.testing.assert_allclose(bins.accuracy, accuracy)
    np.testing.assert_allclose(bins.confidence, mean)


@pytest.mark.parametrize("binning", BINNINGS)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 100), num_bins=st.integers(1, 30))
def test_error_is_a_fraction_and_every_picture_is_in_one_bin(binning, seed, n, num_bins):
    rng = np.random.default_rng(seed)
    probability = rng.dirichlet(np.full(3, 0.3), n).astype(np.float32)
    label = rng.integers(0, 3, n)
    bins = reliability(probability, label, num_bins=num_bins, binning=binning)
    assert bins.count.sum() == n and len(bins.count) <= num_bins
    assert (bins.count > 0).all()
    assert 0 <= bins.error <= 1


def test_error_worked_by_hand():
    # Width: (0.6, 0.8] holds 0.7 (right) and 0.8 (wrong), (0.8, 1] holds 0.9 (right).
    probability, label = two_classes([0.7, 0.8, 0.9], [True, False, True])
    assert expected_calibration_error(probability, label, num_bins=5) == pytest.approx(
        (abs(1 - 1.5) + abs(1 - 0.9)) / 3
    )
    # Mass, three bins: one picture each.
    assert expected_calibration_error(
        probability, label, num_bins=3, binning="mass"
    ) == pytest.approx((0.3 + 0.8 + 0.1) / 3)


@pytest.mark.parametrize("binning", BINNINGS)
def test_certain_and_right_is_calibrated_and_certain_and_wrong_is_not(binning):
    sure = np.ones(50)
    assert expected_calibration_error(*two_classes(sure, sure), binning=binning) == 0
    assert expected_calibration_error(*two_classes(sure, sure - 1), binning=binning) == 1


def test_equal_confidences_are_never_told_apart():
    bins = reliability(
        *two_classes([0.9] * 10 + [0.95], [True] * 5 + [False] * 5 + [True]), binning="mass"
    )
    assert bins.count.tolist() == [10, 1]


def test_unknown_binning_names_the_known():
    with pytest.raises(UsageError, match="'width' or of equal 'mass'; got 'depth'"):
        reliability(*two_classes([0.9], [True]), binning="depth")  # type: ignore[arg-type]


def test_interval_of_a_calibrated_model_reaches_zero_and_names_the_chance():
    probability, label = simulate(np.random.default_rng(0), 1000, 1.0)
    result = calibration_error_interval(probability, label, binning="mass")
    error = expected_calibration_error(probability, label, binning="mass")
    assert result.interval.low == 0 < error < result.interval.high
    # On average a calibrated model of 1,000 pictures showed 2.4% in simulation.
    assert 0.015 < result.by_chance < 0.035


def test_interval_of_an_overconfident_model_leaves_zero_out():
    probability, label = simulate(np.random.default_rng(0), 3000, 2.0)
    interval = calibration_error_interval(probability, label, binning="mass").interval
    # The error of endless pictures is 6.09% (four million drawn).
    assert 0.03 < interval.low < 0.0609 < interval.high < 0.09


def test_interval_is_the_same_for_the_same_seed():
    drawn = simulate(np.random.default_rng(1), 200, 1.3)
    once, again, other = (
        calibration_error_interval(*drawn, num_resamples=100, seed=seed) for seed in (4, 4, 5)
    )
    assert once == again != other


@pytest.mark.slow
@pytest.mark.parametrize(("overconfidence", "truth"), [(1.0, 0.0), (1.3, 0.0269), (2.0, 0.0609)])
def test_interval_covers_the_truth_about_as_often_as_it_says(overconfidence, truth):
    covered = 0
    for turn in range(100):
        drawn = simulate(np.random.default_rng(turn), 1000, overconfidence)
        interval = calibration_error_interval(*drawn, binning="mass", num_resamples=200).interval
        covered += interval.low <= truth <= interval.high
    # 95 expected; five standard deviations of the count below are some 84.
    assert covered >= 95 - 5 * math.sqrt(100 * 0.95 * 0.05)

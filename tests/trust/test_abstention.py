from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pawsure.errors import ShapeError, UsageError
from pawsure.evaluation.selective import risk_coverage
from pawsure.trust.abstention import choose_threshold, pictures_needed


def exact_upper(errors, n):
    """A one-sided bound of 90%: the upper end of Clopper and Pearson's interval of 80%."""
    return stats.binomtest(errors, n).proportion_ci(0.8, method="exact").high


def answers(n: int, seed: int = 0):
    """Confidences that mean what they say, and whether each answer is right."""
    rng = np.random.default_rng(seed)
    confidence = 1 - 0.5 * rng.beta(0.3, 3, n)
    return confidence, rng.random(n) < confidence


@given(st.lists(st.tuples(st.sampled_from([0.5, 0.7, 0.9, 0.95, 1.0]), st.booleans()), min_size=1))
def test_the_curve_is_what_counting_gives(pairs):
    confidence, right = (np.array(part) for part in zip(*pairs, strict=True))
    curve = risk_coverage(confidence, right)
    for threshold, coverage, risk in zip(curve.threshold, curve.coverage, curve.risk, strict=True):
        taken = confidence >= threshold
        assert coverage == taken.mean() and risk == pytest.approx((~right[taken]).mean())
    assert curve.coverage[-1] == 1 and (np.diff(curve.threshold) < 0).all()
    assert 0 <= curve.area <= 1


def test_the_chosen_threshold_keeps_to_the_rate_by_its_bound():
    confidence, right = answers(3000)
    found = choose_threshold(confidence, right, 0.02)
    taken = confidence >= found.threshold
    assert found.method == "bound" and found.coverage == taken.mean()
    errors = int((~right[taken]).sum())
    assert exact_upper(errors, int(taken.sum())) <= 0.02


def test_a_lower_rate_answers_no_more_pictures():
    confidence, right = answers(4000)
    coverages = [
        choose_threshold(confidence, right, rate).coverage for rate in (0.2, 0.1, 0.05, 0.02)
    ]
    assert coverages == sorted(coverages, reverse=True)


def test_the_promise_is_kept_on_other_pictures_as_often_as_it_says():
    every, truth = answers(200_000, seed=9)
    broken = 0
    for seed in range(60):
        found = choose_threshold(*answers(1000, seed), 0.03)
        taken = every >= (found.threshold or 0)
        broken += (~truth[taken]).mean() > 0.03
    assert broken <= 12  # 10% are allowed; more than 12 of 60 would be a chance of 1 in 100


def test_too_few_pictures_give_an_estimate_that_says_so():
    confidence = np.linspace(0.5, 0.99, 20)
    right = confidence > 0.7
    found = choose_threshold(confidence, right, 0.01)
    assert found.method == "estimate" and found.error == 0
    assert (confidence >= found.threshold).sum() == right.sum()


def test_all_is_answered_where_all_is_right():
    assert choose_threshold(np.full(500, 0.9), np.ones(500, bool), 0.01).threshold is None


def test_nothing_is_answered_where_even_the_surest_is_wrong():
    found = choose_threshold(np.array([0.6, 0.9]), np.array([True, False]), 0.01)
    assert found.threshold > 0.9 and found.coverage == 0


def test_a_rate_of_one_asks_for_nothing():
    found = choose_threshold(np.array([0.5]), np.array([False]), 1.0)
    assert found.threshold is None and found.method == "none"


def test_how_many_pictures_a_rate_needs():
    assert pictures_needed(0.01) == 230 and pictures_needed(0.005) == 460
    n = pictures_needed(0.01)
    assert exact_upper(0, n) <= 0.01 < exact_upper(0, n - 1)


@pytest.mark.parametrize("rate", [-0.1, 1.5, float("nan")])
def test_a_rate_that_is_no_share_is_refused(rate):
    with pytest.raises(UsageError, match="share of errors"):
        choose_threshold(np.array([0.5]), np.array([True]), rate)


def test_nothing_to_measure_is_refused():
    with pytest.raises(ShapeError, match="one or more"):
        risk_coverage(np.array([]), np.array([], bool))

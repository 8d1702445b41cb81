from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from pawsure.errors import ShapeError
from pawsure.evaluation import logistic
from pawsure.evaluation.intervals import (
    binomial_tail,
    bootstrap,
    cross_validated,
    newcombe,
    wilson,
)

counts = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
levels = st.sampled_from([0.5, 0.9, 0.95, 0.99])

# Newcombe 1998, Statistics in Medicine 17, table I: successes, n, method 3 (score), to the four
# digits printed there.
NEWCOMBE = [
    (81, 263, (0.2553, 0.3662)),
    (15, 148, (0.0624, 0.1605)),
    (0, 20, (0.0000, 0.1611)),
    (1, 29, (0.0061, 0.1718)),
]


@pytest.mark.parametrize(("successes", "n", "printed"), NEWCOMBE)
def test_published_intervals(successes, n, printed):
    interval = wilson(successes, n)
    assert (round(interval.low, 4), round(interval.high, 4)) == printed


@given(counts, levels)
def test_proportions_agree_with_scipy(count, level):
    interval = wilson(*count, level=level)
    theirs = scipy.stats.binomtest(*count).proportion_ci(level, method="wilson")
    assert (interval.low, interval.high) == pytest.approx(tuple(theirs), rel=1e-8, abs=1e-9)


@given(counts, levels)
def test_proportions_lie_inside_their_interval_and_that_in_zero_to_one(count, level):
    interval = wilson(*count, level=level)
    assert 0 <= interval.low <= count[0] / count[1] <= interval.high <= 1


@given(counts)
def test_failures_mirror_successes(count):
    successes, n = count
    one, other = wilson(successes, n), wilson(n - successes, n)
    assert (one.low, one.high) == pytest.approx((1 - other.high, 1 - other.low), abs=1e-12)


@given(counts, st.floats(0, 1))
def test_binomial_tail_agrees_with_scipy(count, share):
    least, n = count
    assert binomial_tail(least, n, share) == pytest.approx(
        scipy.stats.binom.sf(least - 1, n, share),
        rel=1e-8,
        abs=1e-200,  # both lose digits there
    )


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused(successes, n):
    with pytest.raises(ShapeError, match=f"got {successes}/{n}"):
        wilson(successes, n)


@pytest.mark.parametrize("level", [0, 1, 95])
def test_level_is_a_fraction(level):
    with pytest.raises(ShapeError, match="between 0 and 1"):
        wilson(1, 2, level=level)


def test_bootstrap_agrees_with_scipy():
    values = np.random.default_rng(0).exponential(1, 300)
    ours = bootstrap(np.mean, values, num_resamples=4000)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=1
    ).confidence_interval
    # The ends of two draws of 4,000 differ by some hundredths of the standard error.
    spread = values.std() / np.sqrt(len(values))
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs), abs=0.2 * spread)


def test_bootstrap_is_the_same_for_the_same_seed():
    values = np.random.default_rng(0).normal(0, 1, 50)
    assert bootstrap(np.mean, values, seed=1) == bootstrap(np.mean, values, seed=1)
    assert bootstrap(np.mean, values, seed=1) != bootstrap(np.mean, values, seed=2)


def test_bootstrap_draws_rows_of_all_arrays_together():
    values = np.arange(20.0)
    interval = bootstrap(lambda one, other: float(np.abs(one - other).max()), values, values)
    assert (interval.low, interval.high) == (0, 0)


@pytest.mark.parametrize("arrays", [(np.ones(3), np.ones(4)), (np.ones(0),), ()])
def test_bootstrap_refuses_arrays_of_no_one_length(arrays):
    with pytest.raises(ShapeError, match="one length above 0"):
        bootstrap(lambda *drawn: 0.0, *arrays)


# The same author and year, Statistics in Medicine 17, 873-890, table II, method 10.
NEWCOMBE_DIFFERENCES = [
    ((56, 70, 48, 80), (0.0524, 0.3339)),
    ((9, 10, 3, 10), (0.1705, 0.8090)),
    ((6, 7, 2, 7), (0.0582, 0.8062)),
    ((5, 56, 0, 29), (-0.0381, 0.1926)),
    ((0, 10, 0, 20), (-0.1611, 0.2775)),
    ((10, 10, 0, 20), (0.6791, 1.0000)),
]


@pytest.mark.parametrize(("counts", "printed"), NEWCOMBE_DIFFERENCES)
def test_published_intervals_of_differences(counts, printed):
    interval = newcombe(*counts)
    assert (round(interval.low, 4), round(interval.high, 4)) == printed


@given(counts, counts)
def test_a_difference_lies_inside_its_interval_and_turns_its_sign(one, other):
    interval, turned = newcombe(*one, *other), newcombe(*other, *one)
    difference = one[0] / one[1] - other[0] / other[1]
    assert -1 <= interval.low <= difference <= interval.high <= 1
    assert (interval.low, interval.high) == pytest.approx((-turned.high, -turned.low))


def test_cross_validated_intervals_are_wilsons_of_fewer_pictures():
    # 180 answers of 5 folds count as 100, by 2 - 1/5.
    assert cross_validated(162, 180, num_folds=5) == pytest.approx(wilson(90, 100))
    fewer = cross_validated(162, 180, num_folds=5, num_groups=90)
    assert fewer == pytest.approx(wilson(45, 50))
    assert cross_validated(30, 30, num_folds=5).high == 1.0
    assert cross_validated(30, 30, num_folds=5).low < wilson(30, 30).low


@pytest.mark.parametrize(("folds", "groups"), [(1, 10), (5, 0), (5, 11)])
def test_counts_that_no_cross_validation_has_are_refused(folds, groups):
    with pytest.raises(ShapeError, match="2 folds or more"):
        cross_validated(5, 10, num_folds=folds, num_groups=groups)


def test_cross_validated_intervals_hold_the_true_accuracy():
    """Of probes on drawn features of two labels, with the truth from many other pictures."""
    rng = np.random.default_rng(0)

    def draw(n):
        label = rng.integers(0, 2, n)
        features = rng.normal(size=(n, 60)).astype(np.float32)
        features[:, 0] += np.where(label == 1, 1.0, -1.0)
        return features, label

    n, folds, held, naive = 60, 5, 0, 0
    for _ in range(60):
        features, label = draw(n)
        fold, right = np.arange(n) % folds, 0
        for each in range(folds):
            out = fold == each
            weights = logistic.fit(features[~out], label[~out], num_labels=2, penalty=0.1)
            said = logistic.probabilities(features[out], weights).argmax(axis=1)
            right += int((said == label[out]).sum())
        others, truth = draw(2000)
        weights = logistic.fit(features, label, num_labels=2, penalty=0.1)
        true = (logistic.probabilities(others, weights).argmax(axis=1) == truth).mean()
        interval = cross_validated(right, n, num_folds=folds)
        held += interval.low <= true <= interval.high
        interval = wilson(right, n)
        naive += interval.low <= true <= interval.high
    assert held >= 0.9 * 60
    assert naive < held

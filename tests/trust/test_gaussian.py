from __future__ import annotations

import numpy as np
import pytest

from pawsure.errors import ShapeError
from pawsure.trust.background import background_of, load_background, save_background
from pawsure.trust.familiarity import auroc
from pawsure.trust.gaussian import fit_gaussian, fit_labels, fit_within


def test_few_directions_do_nearly_as_well_as_all():
    rng = np.random.default_rng(0)
    train, held_out, strange = rng.normal(0, 0.7 ** np.arange(60), (3, 600, 60))
    strange[:, -1] += 0.5  # small, but nothing familiar lies there
    few = fit_gaussian(train, most_directions=20)
    assert few.directions.shape == (60, 20)
    assert auroc(-few.distance(held_out), -few.distance(strange)) > 0.95


def test_with_all_directions_it_is_the_distance_of_mahalanobis():
    rng = np.random.default_rng(0)
    train = rng.normal(0, np.linspace(1, 0.3, 6), (500, 6))
    covariance = np.cov(train.T, bias=True)
    covariance += 0.1 * np.trace(covariance) / 6 * np.eye(6)
    others = rng.normal(0, 2, (50, 6))
    away = others - train.mean(axis=0)
    expected = np.einsum("ni,ij,nj->n", away, np.linalg.inv(covariance), away) / 6
    found = fit_gaussian(train).distance(others)
    np.testing.assert_allclose(found, expected, rtol=0.05)  # directions are kept as bytes


def test_fewer_pictures_than_features_give_what_the_full_product_gives():
    rng = np.random.default_rng(1)
    train = rng.normal(0, 1, (30, 30))
    others = rng.normal(0, 1, (20, 40))
    padded = np.pad(train[:29], ((0, 0), (0, 10)))
    wide, tall = fit_gaussian(padded), fit_gaussian(np.repeat(padded, 2, axis=0))
    np.testing.assert_allclose(wide.distance(others), tall.distance(others), rtol=0.02)


def test_statistics_come_back_from_a_file_as_they_were(tmp_path):
    features = np.random.default_rng(0).normal(0, 1, (300, 500))
    for kinds in (None, np.arange(300) // 3):
        found = background_of(features, kinds)
        save_background(found, tmp_path / "some.npz")
        again = load_background(tmp_path / "some.npz")
        assert (found.within is None) == (again.within is None) == (kinds is None)
        both = [(again.whole, found.whole)]
        if again.within is not None and found.within is not None:
            both.append((again.within, found.within))
        for mine, its in both:
            np.testing.assert_allclose(mine.distance(features), its.distance(features), rtol=1e-5)
        num_bytes = sum(its.num_bytes for _, its in both)
        assert (tmp_path / "some.npz").stat().st_size < 1.2 * num_bytes


def drawn(num: int, seed: int, *, num_labels: int = 4, width: int = 12):
    """Labels with means of their own and one covariance: features (N, D), label (N,), means."""
    means = np.random.default_rng(99).normal(0, 2, (num_labels, width))
    label = np.arange(num) % num_labels
    spread = np.linspace(1, 0.4, width)
    return means[label] + np.random.default_rng(seed).normal(0, spread, (num, width)), label, means


def test_with_labels_it_is_the_distance_to_the_nearest_mean():
    train, label, _ = drawn(2000, 0)
    others = np.random.default_rng(5).normal(0, 2, (50, 12))
    middles = np.stack([train[label == each].mean(axis=0) for each in range(4)])
    away = train - middles[label]
    covariance = away.T @ away / (len(train) - 4)
    covariance += 0.1 * np.trace(covariance) / 12 * np.eye(12)
    gaps = others[:, None] - middles
    expected = np.einsum("nki,ij,nkj->nk", gaps, np.linalg.inv(covariance), gaps) / 12
    sureness = 500 / 501
    found = fit_labels(train, label).distance(others)
    np.testing.assert_allclose(found, sureness * expected.min(axis=1), rtol=0.05)


def test_few_pictures_have_the_covariance_of_kinds_and_many_their_own():
    width = 12
    kinds = np.repeat(np.arange(200), 5)
    rng = np.random.default_rng(1)
    prior = fit_within(
        rng.normal(0, 1, (200, width))[kinds] + rng.normal(0, 3, (1000, width)), kinds
    )
    for num, most, least in ((8, 1.2, 0.0), (4000, np.inf, 5.0)):
        train, label, means = drawn(num, 0)
        ratio = fit_labels(train, label, prior=prior).distance(means + 3.0).mean()
        ratio /= prior.distance(np.full((1, width), 3.0)).mean()
        assert least < ratio < most


def test_each_kind_counts_the_same_however_many_pictures_it_has():
    many, few = np.full((90, 3), [1.0, 0, 0]), np.full((10, 3), [0, 1.0, 0])
    found = background_of(np.concatenate([many, few]), np.repeat(["many", "few"], [90, 10]))
    np.testing.assert_allclose(found.whole.middle, [0.5, 0.5, 0], atol=1e-6)


@pytest.mark.parametrize("kinds", [np.repeat("folder", 40), np.arange(40), np.arange(40) % 30])
def test_too_few_pictures_of_a_kind_and_one_folder_for_all_say_nothing_of_kinds(kinds):
    features = np.random.default_rng(0).random((40, 6))
    assert background_of(features, kinds).within is None


def test_a_gaussian_that_is_compared_is_smoothed_like_the_other():
    features = np.random.default_rng(0).normal(0, np.linspace(1, 0.1, 50), (400, 50))
    background = fit_gaussian(features, most_directions=10)
    beside = fit_gaussian(0.1 * features, background=background, most_directions=10)
    assert beside.rest_precision == background.rest_precision
    variance = 1 / fit_gaussian(0.1 * features, most_directions=10).precision / 50
    more = 1 / beside.precision / 50 - variance
    np.testing.assert_allclose(more, background.added * (1 - 0.01), rtol=0.02)


def test_features_that_are_no_numbers_are_refused():
    bad = np.ones((10, 3))
    bad[3, 1] = np.nan
    with pytest.raises(ShapeError, match="not a finite number"):
        fit_gaussian(bad)

from __future__ import annotations

import numpy as np
import pytest

from pawsure.errors import ShapeError
from pawsure.trust.background import load_background, save_background
from pawsure.trust.familiarity import auroc
from pawsure.trust.gaussian import fit_gaussian


def test_few_directions_do_nearly_as_well_as_all():
    rng = np.random.default_rng(0)
    train, held_out, strange = rng.normal(0, 0.7 ** np.arange(60), (3, 600, 60))
    strange[:, -1] += 0.5  # small, but nothing familiar lies there
    few = fit_gaussian(train, most_directions=20)
    assert few.directions.shape == (60, 20)
    assert auroc(few.score(held_out), few.score(strange)) > 0.95


def test_with_all_directions_it_is_the_distance_of_mahalanobis():
    rng = np.random.default_rng(0)
    train = rng.normal(0, np.linspace(1, 0.3, 6), (500, 6))
    covariance = np.cov(train.T, bias=True)
    covariance += 0.1 * np.trace(covariance) / 6 * np.eye(6)
    others = rng.normal(0, 2, (50, 6))
    away = others - train.mean(axis=0)
    expected = np.einsum("ni,ij,nj->n", away, np.linalg.inv(covariance), away) / 6
    found = np.exp(-fit_gaussian(train).score(others))
    np.testing.assert_allclose(found, expected, rtol=0.05)  # directions are kept as bytes


def test_fewer_pictures_than_features_give_what_the_full_product_gives():
    rng = np.random.default_rng(1)
    train = rng.normal(0, 1, (30, 30))
    others = rng.normal(0, 1, (20, 40))
    padded = np.pad(train[:29], ((0, 0), (0, 10)))
    wide, tall = fit_gaussian(padded), fit_gaussian(np.repeat(padded, 2, axis=0))
    np.testing.assert_allclose(wide.score(others), tall.score(others), rtol=0.02)


def test_statistics_come_back_from_a_file_as_they_were(tmp_path):
    features = np.random.default_rng(0).normal(0, 1, (300, 500))
    found = fit_gaussian(features)
    save_background(found, tmp_path / "some.npz")
    again = load_background(tmp_path / "some.npz")
    np.testing.assert_allclose(again.score(features), found.score(features), atol=1e-5)
    assert (tmp_path / "some.npz").stat().st_size < 1.2 * found.num_bytes


def test_features_that_are_no_numbers_are_refused():
    bad = np.ones((10, 3))
    bad[3, 1] = np.nan
    with pytest.raises(ShapeError, match="not a finite number"):
        fit_gaussian(bad)

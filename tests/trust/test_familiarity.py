from __future__ import annotations

import numpy as np
import pytest

from pawsure.errors import ShapeError
from pawsure.trust.familiarity import (
    auroc,
    fit_detector,
    fit_familiarity,
    fit_gaussian,
    unit_length,
)


def cloud(n: int, *, width: int = 20, shift: float = 0.0, seed: int = 0) -> np.ndarray:
    """Points in a flat ellipsoid; `shift` moves them out of its plane."""
    rng = np.random.default_rng(seed)
    points = rng.normal(0, np.linspace(2, 0.05, width), (n, width))
    points[:, -1] += shift
    return points


def test_strangers_are_told_from_what_was_held_out():
    found = fit_familiarity(cloud(500), cloud(300, seed=1))
    familiar, strange = found(cloud(400, seed=2)), found(cloud(400, seed=3, shift=1.0))
    assert auroc(familiar, strange) > 0.99
    assert (strange < 0.05).mean() > 0.95


def test_familiarity_is_the_share_of_held_out_pictures_that_are_less_familiar():
    found = fit_familiarity(cloud(500), cloud(2000, seed=1))
    familiar = found(cloud(4000, seed=2))
    for share in (0.01, 0.05, 0.5, 0.9):
        assert (familiar < share).mean() == pytest.approx(share, abs=0.02)


def test_it_stays_within_0_and_1_and_keeps_the_order_of_strangers():
    found = fit_familiarity(cloud(500), cloud(200, seed=1))
    away = found(cloud(1, seed=2) + np.outer([0, 1, 2, 4, 1e6], np.ones(20)))
    assert ((away >= 0) & (away <= 1)).all() and (np.diff(away) <= 0).all()
    assert away[1] > away[2] > away[3]


def test_few_directions_do_nearly_as_well_as_all():
    rng = np.random.default_rng(0)
    train, held_out, strange = rng.normal(0, 0.7 ** np.arange(60), (3, 600, 60))
    strange[:, -1] += 0.15  # small, but nothing familiar lies there
    few = fit_gaussian(train, most_bytes=60 * 4 * 20)
    assert few.directions.shape == (60, 20)
    assert auroc(few.score(held_out), few.score(strange)) > 0.95


def test_examples_help_where_shape_alone_can_not():
    """Strangers in the middle of the cloud, but for a direction that only examples show."""
    rng = np.random.default_rng(4)

    def strangers(n):
        return rng.normal(0, 0.02, (n, 20)) + 4.0 * np.eye(20)[0]

    alone = fit_familiarity(cloud(500), cloud(300, seed=1))
    shown = fit_familiarity(cloud(500), cloud(300, seed=1), strangers(200))
    familiar, strange = cloud(500, seed=5), strangers(200)
    assert auroc(alone(familiar), alone(strange)) < 0.2
    assert auroc(shown(familiar), shown(strange)) > auroc(alone(familiar), alone(strange)) + 0.3


def test_examples_that_lie_in_one_folder_are_judged_one_by_one():
    rng = np.random.default_rng(4)
    strangers = rng.normal(0, 0.02, (50, 20)) + 4.0 * np.eye(20)[0]
    found = fit_familiarity(cloud(500), cloud(300, seed=1), strangers, np.repeat("x", 50))
    assert found.detector is not None


def test_examples_of_one_kind_do_not_cost_what_shape_knows():
    shown = fit_familiarity(
        cloud(500), cloud(300, seed=1), cloud(60, seed=6, shift=3.0), np.repeat("car", 60)
    )
    other = cloud(300, seed=7)
    other[:, -2] += 2.0  # strange in another direction
    assert auroc(shown(cloud(300, seed=8)), shown(other)) > 0.9


def test_the_detector_is_that_of_another_implementation():
    linear_model = pytest.importorskip("sklearn.linear_model")
    familiar, strange = cloud(300, width=8), cloud(100, width=8, seed=1, shift=0.3)
    weight = fit_detector(familiar, strange, familiar.mean(axis=0))
    spread = familiar.std(axis=0) + 1e-6
    rows = (np.concatenate([familiar, strange]) - familiar.mean(axis=0)) / spread
    other = linear_model.LogisticRegression(C=0.03, class_weight="balanced", tol=1e-8)
    other.fit(rows, np.repeat([1, 0], [300, 100]))
    np.testing.assert_allclose(weight * spread, other.coef_[0], atol=1e-3)


def test_lengths_are_taken_a_tensor_at_a_time():
    scaled = unit_length(np.array([[3.0, 4.0, 0.0, 5.0], [0.0, 0.0, 1.0, 0.0]]), [2, 2])
    np.testing.assert_allclose(scaled, [[0.6, 0.8, 0, 1], [0, 0, 1, 0]])


@pytest.mark.parametrize("num_held_out", [1, 3])
def test_a_handful_of_pictures_is_enough_to_run(num_held_out):
    found = fit_familiarity(cloud(4), cloud(num_held_out, seed=1))
    assert np.isfinite(found(cloud(50, seed=2))).all()


def test_pictures_that_are_all_the_same_are_no_harm():
    found = fit_familiarity(np.ones((10, 5)), np.ones((4, 5)))
    assert np.isfinite(found(np.ones((2, 5)))).all() and (found(np.ones((2, 5))) > 0.05).all()


def test_features_that_are_no_numbers_are_refused():
    bad = cloud(10)
    bad[3, 3] = np.nan
    with pytest.raises(ShapeError, match="not a finite number"):
        fit_familiarity(bad, cloud(5))


def test_auroc_is_that_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    familiar, strange = rng.integers(3, 12, 40), rng.integers(0, 9, 30)
    truth = np.repeat([1, 0], [40, 30])
    expected = metrics.roc_auc_score(truth, np.concatenate([familiar, strange]))
    assert auroc(familiar, strange) == pytest.approx(expected)

"""Weight interpolation (WiSE-FT)."""

from __future__ import annotations

import numpy as np
import pytest

from pawsure.errors import RecipeError
from pawsure.training.interpolation import STEP, best_on_line, best_point, between
from pawsure.training.recipe import Recipe, Stage

LABEL = np.arange(400) % 2


def says(weights: list[np.ndarray]) -> np.ndarray:
    """Pictures of two kinds, each of which one weight alone can tell: best with both alike."""
    side = np.where(LABEL == 1, 1.0, -1.0)
    noise = np.random.default_rng(0).normal(0, 2, (2, len(LABEL)))
    logit = weights[0][0] * (side + noise[0]) + weights[0][1] * (side + noise[1])
    return np.stack([1 / (1 + np.exp(logit)), 1 / (1 + np.exp(-logit))], axis=1)


def test_the_best_place_is_found_and_nothing_beyond_it_is_looked_at():
    start, end = [np.array([1.0, 0.0])], [np.array([0.0, 1.0])]
    weights, found, points = best_on_line(start, end, says, LABEL, says(end))
    kept = best_point(points)
    assert kept.share == pytest.approx(0.5, abs=0.11)
    np.testing.assert_allclose(weights[0], [1 - kept.share, kept.share])
    np.testing.assert_array_equal(found, says(weights))
    assert [point.share for point in points] == pytest.approx(
        [1 - number * STEP for number in range(len(points))]
    )
    losses = [point.validation_loss for point in points]
    assert points[-2] == kept
    assert losses[:-1] == sorted(losses[:-1], reverse=True)
    assert losses[-1] >= losses[-2]


def test_where_learning_only_helped_its_end_is_kept_to_the_bit():
    start, end = [np.array([1.0, -4.0])], [np.array([1.1, 1.0])]
    weights, _, points = best_on_line(start, end, says, LABEL, says(end))
    assert best_point(points).share == 1.0
    assert len(points) == 2
    assert weights[0] is end[0]


def test_what_did_not_move_stays_to_the_bit_and_dtypes_stay():
    rng = np.random.default_rng(0)
    frozen = rng.normal(size=1000).astype(np.float32)
    first, last = (rng.normal(size=1000).astype(np.float32) for _ in range(2))
    still, mixed = between([frozen.copy(), first], [frozen, last], 0.7)
    np.testing.assert_array_equal(still, frozen)
    assert mixed.dtype == np.float32
    np.testing.assert_allclose(mixed, 0.3 * first + 0.7 * last, rtol=1e-5, atol=1e-6)


def test_a_head_fitted_at_once_has_no_start_to_go_back_to():
    with pytest.raises(RecipeError, match="interpolate goes with steps"):
        Recipe(stages=(Stage(name="head", optimizer="logistic", interpolate=True),))

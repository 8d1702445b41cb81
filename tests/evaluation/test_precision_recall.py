from __future__ import annotations

import numpy as np
import pytest

from pawsure.errors import ShapeError
from pawsure.evaluation.precision_recall import precision_recall


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_is_that_of_scikit_learn(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    score, truth = rng.integers(0, 12, 60) / 12, rng.random(60) < 0.4  # with ties
    found = precision_recall(score, truth)
    assert found.average_precision == pytest.approx(metrics.average_precision_score(truth, score))
    assert found.recall[-1] == 1 and (np.diff(found.recall) >= 0).all()


def test_a_perfect_ranking_has_a_precision_of_one():
    found = precision_recall(np.array([0.9, 0.8, 0.1]), np.array([True, True, False]))
    assert found.average_precision == 1


def test_no_picture_of_the_label_gives_no_curve():
    assert precision_recall(np.array([0.5]), np.array([False])) is None


def test_a_long_curve_is_told_in_few_points_with_the_last():
    rng = np.random.default_rng(0)
    told = precision_recall(rng.random(5000), rng.random(5000) < 0.5).to_dict(100)
    assert len(told["recall"]) <= 100 and told["recall"][-1] == 1


def test_lengths_that_differ_are_refused():
    with pytest.raises(ShapeError, match="score and a truth"):
        precision_recall(np.array([0.5, 0.1]), np.array([True]))


def test_where_every_picture_is_of_the_label_there_is_no_curve():
    assert precision_recall(np.array([0.5, 0.1]), np.array([True, True])) is None

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from pawsure.errors import ShapeError
from pawsure.evaluation import metrics


@st.composite
def predictions(draw, *, largest: int = 60):
    """Probabilities (N, K) and labels (N,), some of them certain or tied."""
    n, k = draw(st.integers(1, largest)), draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sharpness = draw(st.sampled_from([0.0, 1.0, 5.0, 1000.0]))
    logit = rng.normal(0, 1, (n, k)).round(1) * sharpness
    exponential = np.exp(logit - logit.max(axis=1, keepdims=True))
    probability = exponential / exponential.sum(axis=1, keepdims=True)
    return probability, rng.integers(0, k, n)


@given(predictions())
def test_figures_stay_in_their_ranges(drawn):
    probability, label = drawn
    assert 0 <= metrics.accuracy(probability, label) <= 1
    assert metrics.log_loss(probability, label) >= 0
    assert 0 <= metrics.brier_score(probability, label) <= 2


@given(predictions(), st.randoms(use_true_random=False))
def test_order_of_pictures_does_not_matter(drawn, random):
    probability, label = drawn
    order = random.sample(range(len(label)), len(label))
    for metric in (metrics.accuracy, metrics.log_loss, metrics.brier_score):
        assert metric(probability[order], label[order]) == pytest.approx(
            metric(probability, label), abs=1e-12
        )


@given(predictions())
def test_figures_agree_with_scikit_learn(drawn):
    probability, label = drawn
    classes = list(range(probability.shape[1]))
    answer = probability.argmax(axis=1)
    assert metrics.accuracy(probability, label) == pytest.approx(
        sklearn.metrics.accuracy_score(label, answer)
    )
    assert metrics.log_loss(probability, label) == pytest.approx(
        sklearn.metrics.log_loss(label, probability, labels=classes), abs=1e-9
    )
    assert metrics.brier_score(probability, label) == pytest.approx(
        # One class of two is half the sum over both.
        sklearn.metrics.brier_score_loss(label, probability, labels=classes, scale_by_half=False),
        abs=1e-12,
    )
    confusion = metrics.confusion_matrix(answer, label, len(classes))
    np.testing.assert_array_equal(
        confusion, sklearn.metrics.confusion_matrix(label, answer, labels=classes)
    )
    theirs = sklearn.metrics.precision_recall_fscore_support(
        label, answer, labels=classes, zero_division=np.nan
    )
    ours = [
        (figures.precision, figures.recall, figures.f1, figures.n)
        for figures in metrics.per_class(confusion)
    ]
    np.testing.assert_allclose(np.array(ours, float).T, theirs)


def test_perfect_and_useless_models():
    label = np.array([0, 1, 2, 1])
    perfect, guess = np.eye(3)[label], np.full((4, 3), 1 / 3)
    assert metrics.accuracy(perfect, label) == 1
    assert metrics.log_loss(perfect, label) == 0
    assert metrics.brier_score(perfect, label) == 0
    assert metrics.log_loss(guess, label) == pytest.approx(np.log(3))
    assert metrics.brier_score(guess, label) == pytest.approx(2 / 3)


def test_brier_score_of_ten_rain_forecasts():
    """Worked by hand: 2 * (.49 + .01 + .04 + .36 + .04 + .01) / 10."""
    rain = np.array([0.7, 0.9, 0.8, 0.4, 0.2, 0, 0, 0, 0, 0.1])
    happened = np.array([0, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    assert metrics.brier_score(np.stack([1 - rain, rain], 1), happened) == pytest.approx(0.19)


def test_one_hopeless_answer_costs_what_the_dtype_can_tell():
    probability, label = np.array([[1, 0]], np.float32), np.array([1])
    assert metrics.log_loss(probability, label) == pytest.approx(-np.log(2**-23))
    assert metrics.log_loss(probability.astype(np.float64), label) == pytest.approx(-np.log(2**-52))


def test_class_that_is_never_there_and_never_said_has_no_figures():
    figures = metrics.per_class(metrics.confusion_matrix(np.array([0, 1]), np.array([0, 0]), 3))
    assert (figures[0].n, figures[0].precision, figures[0].recall) == (2, 1.0, 0.5)
    assert (figures[1].n, figures[1].precision, figures[1].recall) == (0, 0.0, None)
    assert (figures[2].precision, figures[2].recall, figures[2].f1) == (None, None, None)


@pytest.mark.parametrize(
    ("probability", "label", "words"),
    [
        (np.ones((2, 2)) / 2, np.zeros(3, int), r"got \(2, 2\) and \(3,\)"),
        (np.ones(2), np.zeros(2, int), r"got \(2,\) and \(2,\)"),
        (np.ones((0, 2)), np.zeros(0, int), "no pictures"),
        (np.ones((1, 2)) / 2, np.array([2]), r"in \[0, 2\); got 2 to 2"),
        (np.ones((1, 2)) / 2, np.array([-1]), r"in \[0, 2\); got -1 to -1"),
    ],
)
def test_arrays_that_do_not_go_together_are_refused(probability, label, words):
    for metric in (metrics.accuracy, metrics.log_loss, metrics.brier_score):
        with pytest.raises(ShapeError, match=words):
            metric(probability, label)


def test_confusion_matrix_refuses_labels_out_of_range():
    with pytest.raises(ShapeError, match=r"in \[0, 2\)"):
        metrics.confusion_matrix(np.array([0, 2]), np.array([0, 1]), 2)
    with pytest.raises(ShapeError, match="differ in shape"):
        metrics.confusion_matrix(np.array([0]), np.array([0, 1]), 2)

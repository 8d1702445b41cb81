from __future__ import annotations

import numpy as np
import pytest

from pawsure.evaluation import logistic


def clouds(num_labels: int, *, per_label: int = 60, features: int = 12, seed: int = 0):
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(num_labels), per_label)
    centres = rng.normal(0, 1, (num_labels, features))
    rows = centres[label] + rng.normal(0, 1, (len(label), features))
    return rows.astype(np.float32), label


@pytest.mark.parametrize("num_labels", [3, 5])
@pytest.mark.parametrize("penalty", [0.3, 0.01])
def test_weights_are_those_of_scikit_learn(num_labels, penalty):
    linear = pytest.importorskip("sklearn.linear_model")
    features, label = clouds(num_labels)
    weights = logistic.fit(features, label, num_labels=num_labels, penalty=penalty)
    theirs = linear.LogisticRegression(C=1 / (penalty * len(label)), tol=1e-8, max_iter=5000)
    theirs.fit(features, label)
    # We stop when the loss changes in its fifth digit: a probability in its third.
    np.testing.assert_allclose(
        logistic.probabilities(features, weights), theirs.predict_proba(features), atol=5e-3
    )


def test_a_label_that_nobody_has_is_not_expected():
    features, label = clouds(2)
    weights = logistic.fit(features, label, num_labels=3, penalty=0.1)
    assert logistic.probabilities(features, weights)[:, 2].max() < 0.1


def test_the_bias_is_not_penalised():
    """A constant feature apart, a strong penalty leaves the shares of the labels."""
    features, label = clouds(2)
    few = np.r_[label[:60], label[60:80]]
    weights = logistic.fit(features[:80], few, num_labels=2, penalty=1e4)
    np.testing.assert_allclose(
        logistic.probabilities(features[:80], weights)[:, 1], 0.25, atol=0.01
    )


def test_starting_near_the_end_ends_in_the_same_place():
    features, label = clouds(3)
    cold = logistic.fit(features, label, num_labels=3, penalty=0.1)
    warm = logistic.fit(features, label, num_labels=3, penalty=0.1, start=cold)
    np.testing.assert_allclose(
        logistic.probabilities(features, cold), logistic.probabilities(features, warm), atol=5e-3
    )

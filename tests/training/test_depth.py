from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from pawsure.training.depth import CONFIDENCE, is_worth_it

LABEL = np.array([0, 1] * 50)


def probabilities(of_label):
    """Rows that give each picture's label this probability."""
    of_label = np.broadcast_to(of_label, LABEL.shape)
    return np.where(np.eye(2, dtype=bool)[LABEL], of_label[:, None], 1 - of_label[:, None])


def test_the_first_trial_is_accepted_whatever_it_is():
    trial = is_worth_it("cut", None, probabilities(0.1), LABEL)
    assert trial.accepted and trial.gain == math.inf
    assert trial.validation_loss == pytest.approx(-math.log(0.1))
    assert trial.validation_accuracy == 0


@pytest.mark.parametrize(("before", "after", "accepted"), [(0.7, 0.8, True), (0.8, 0.7, False)])
def test_a_gain_on_every_picture_counts_and_a_loss_does_not(before, after, accepted):
    trial = is_worth_it("cut", probabilities(before), probabilities(after), LABEL)
    assert trial.gain == pytest.approx(math.log(after / before))
    assert trial.standard_error == pytest.approx(0, abs=1e-12)
    assert trial.accepted == accepted


def test_no_change_is_not_accepted():
    same = probabilities(np.linspace(0.3, 0.9, 100))
    assert not is_worth_it("cut", same, same, LABEL).accepted


@pytest.mark.parametrize(("shift", "accepted"), [(0.05, False), (0.5, True)])
def test_a_gain_is_held_against_its_spread(shift, accepted):
    noise = np.random.default_rng(0).normal(0, 1, 100)
    noise = (noise - noise.mean()) / noise.std(ddof=1)  # a standard error of 0.1
    before = probabilities(np.full(100, np.exp(-3.0)))
    after = probabilities(np.exp(np.minimum(-3.0 + shift + noise * 0.99, -1e-6)))
    trial = is_worth_it("cut", before, after, LABEL)
    assert trial.standard_error == pytest.approx(0.099, rel=0.05)
    assert trial.accepted == (trial.gain > CONFIDENCE * trial.standard_error) == accepted


def test_the_test_is_paired_and_one_sided_at_five_percent():
    assert pytest.approx(stats.norm.ppf(0.95), abs=1e-3) == CONFIDENCE
    hard = np.random.default_rng(0).uniform(0.01, 0.99, 100)  # pictures differ far more than 1%
    assert is_worth_it("cut", probabilities(hard), probabilities(hard * 1.01), LABEL).accepted


def test_one_picture_shows_nothing():
    before, after = probabilities(0.5)[:1], probabilities(0.9)[:1]
    assert not is_worth_it("cut", before, after, LABEL[:1]).accepted

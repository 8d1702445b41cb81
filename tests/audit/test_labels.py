from __future__ import annotations

import numpy as np
import pytest

from pawsure.audit.labels import find_wrong_labels


def clouds(num_labels: int = 3, per_label: int = 100, seed: int = 0):
    """Embeddings that tell labels apart well, but not perfectly."""
    rng = np.random.default_rng(seed)
    label = np.tile(np.arange(num_labels), per_label)
    centres = rng.normal(0, 1.2, (num_labels, 20))
    return np.abs(centres[label] + rng.normal(0, 0.6, (len(label), 20))), label


def test_swapped_labels_come_first():
    embeddings, label = clouds()
    swapped = np.array([4, 50, 111, 205, 280])
    given = label.copy()
    given[swapped] = (given[swapped] + 1) % 3
    found = find_wrong_labels(embeddings, given, np.arange(300), num_labels=3)
    assert set(np.argsort(-found.suspicion)[:9].tolist()) >= set(swapped.tolist())
    assert found.is_suspect[swapped].sum() >= 4  # one may be too near the border
    assert (found.likely[swapped] == label[swapped]).all()
    assert found.accuracy > 0.9


def test_scores_are_within_0_and_1_and_probabilities_sum_to_1():
    embeddings, label = clouds()
    found = find_wrong_labels(embeddings, label, np.arange(300), num_labels=3)
    assert (found.suspicion >= 0).all() and (found.suspicion <= 1).all()
    np.testing.assert_allclose(found.probability.sum(axis=1), 1, atol=1e-5)
    # What is flagged is what another label is confidently likelier for.
    assert (found.likely[found.is_suspect] != label[found.is_suspect]).all()


def test_a_wrong_label_is_not_vouched_for_by_copies_with_the_same_wrong_label():
    embeddings, label = clouds(2, 40)
    odd = np.full(20, 40.0)  # far from all else: only its own copies could teach its label
    copies = np.vstack([embeddings, np.tile(odd, (10, 1))])
    given = np.r_[label, np.ones(10, int)]
    grouped = np.r_[np.arange(80), np.full(10, 80)]
    alone = find_wrong_labels(copies, given, np.arange(90), num_labels=2).suspicion[80:]
    together = find_wrong_labels(copies, given, grouped, num_labels=2).suspicion[80:]
    assert alone.mean() < 0.2
    assert together.mean() > alone.mean()


def test_a_label_that_no_other_picture_has_is_not_judged():
    # Its judge has not learned it, so all that it can say is another label.
    embeddings, label = clouds(2, 10)
    given = np.zeros(20, int)
    given[7] = 1
    found = find_wrong_labels(embeddings, given, np.arange(20), num_labels=2)
    assert not found.is_suspect[7] and found.suspicion[7] == 0
    # Where the rare label is always next to nothing, "more than usual" is still next to nothing.
    assert (found.likely[found.is_suspect] != given[found.is_suspect]).all()


@pytest.mark.parametrize("per_label", [1, 2, 3])
def test_a_handful_of_pictures_is_no_trouble(per_label):
    embeddings, label = clouds(2, per_label)
    found = find_wrong_labels(embeddings, label, np.arange(len(label)), num_labels=2)
    assert np.isfinite(found.suspicion).all()

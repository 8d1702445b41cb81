from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pawsure.trust.familiarity import auroc
from pawsure.trust.log_odds import CompactClassifier, LogOdds
from pawsure.trust.profiles import (
    Profiles,
    affinity_to_others,
    classifier_score,
    equally_certain,
)

CLASSES = 30
CLASSIFIER = CompactClassifier.of(np.eye(CLASSES), np.zeros(CLASSES))
"""On embeddings that are logits."""


def pictures(num: int, classes: list[int], *, seed: int = 0) -> np.ndarray:
    """Logits of pictures that show one of these classes each, in turn."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, 0.5, (num, CLASSES))
    logit[np.arange(num), np.array(classes)[np.arange(num) % len(classes)]] += 6
    return logit


def labels(*of: list[int], num: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    embedding = [pictures(num, classes, seed=seed + place) for place, classes in enumerate(of)]
    return np.concatenate(embedding), np.repeat(np.arange(len(of)), num)


def test_labels_of_one_kind_of_thing_have_profiles():
    found = classifier_score(CLASSIFIER, *labels([0], [1], [2]))
    assert isinstance(found, Profiles) and found.roots.shape == (CLASSES, 3)


def test_labels_of_many_kinds_have_odds():
    found = classifier_score(CLASSIFIER, *labels(list(range(10)), list(range(10, 20))))
    assert isinstance(found, LogOdds)
    odd = found.score(pictures(60, list(range(20, 30)), seed=8))
    assert auroc(found.score(pictures(60, list(range(20)), seed=9)), odd) > 0.99


def test_how_certain_the_classifier_is_does_not_decide_what_is_broad():
    """A classifier trained with softened targets finds all pictures a little alike."""
    embedding, label = labels(list(range(10)), list(range(10, 20)))
    softened = [
        CompactClassifier.of(scale * np.eye(CLASSES), np.zeros(CLASSES)).probabilities(embedding)
        for scale in (0.5, 0.4, 0.3)
    ]
    plain = [affinity_to_others(each, label) for each in softened]
    equal = [affinity_to_others(equally_certain(each), label) for each in softened]
    assert plain[0] < plain[1] < plain[2]
    assert equal == pytest.approx([equal[0]] * 3, abs=0.01)


def test_pictures_of_other_classes_are_further_from_every_profile():
    found = classifier_score(CLASSIFIER, *labels([0], [1], [2]))
    same, other = pictures(60, [0, 1, 2], seed=8), pictures(60, list(range(3, 30)), seed=9)
    assert auroc(found.score(same), found.score(other)) > 0.99


def test_a_label_that_no_class_fits_is_known_by_its_profile():
    """Torn between the same few classes: log odds of classes would accept each of these."""
    torn = np.tile([3.0, 3, 3] + [0.0] * (CLASSES - 3), (40, 1))
    torn += np.random.default_rng(0).normal(0, 0.3, torn.shape)
    embedding = np.concatenate([torn, pictures(40, [5])])
    found = classifier_score(CLASSIFIER, embedding, np.repeat([0, 1], 40))
    assert isinstance(found, Profiles)
    assert found.score(torn).min() > found.score(pictures(60, [0, 1, 2], seed=9)).max()


def test_one_picture_of_each_label_says_nothing_of_how_broad_they_are():
    embedding, label = labels([0], [1], [2], num=1)
    assert affinity_to_others(CLASSIFIER.probabilities(embedding), label) == 0.0
    assert isinstance(classifier_score(CLASSIFIER, embedding, label), LogOdds)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**16), num_labels=st.integers(1, 6), num=st.integers(2, 12))
def test_affinity_is_a_share_and_the_order_of_pictures_and_labels_does_not_matter(
    seed, num_labels, num
):
    rng = np.random.default_rng(seed)
    probability = rng.dirichlet(np.full(CLASSES, 0.2), num_labels * num)
    label = rng.integers(0, num_labels, num_labels * num)
    found = affinity_to_others(probability, label)
    order = rng.permutation(len(label))
    names = rng.permutation(num_labels)
    assert 0 <= found <= 1 + 1e-9
    assert affinity_to_others(probability[order], names[label[order]]) == pytest.approx(found)


def test_the_same_pictures_of_a_label_are_as_alike_as_can_be():
    probability = np.tile(np.random.default_rng(0).dirichlet(np.ones(CLASSES)), (5, 1))
    assert affinity_to_others(probability, np.zeros(5, int)) == pytest.approx(1)

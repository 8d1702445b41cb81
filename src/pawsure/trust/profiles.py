"""What a pretrained classifier knows of narrow labels: which classes a label is taken for.

A label that is one kind of thing, such as a part of a machine that ImageNet has no class for, is
taken for much the same few classes, with much the same probabilities, in every picture. The mean of
these probabilities is its profile. A label of many kinds, such as all breeds of dogs, has a profile
that no picture resembles; there the odds of all classes in it say more (`pawsure.trust.log_odds`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pawsure.trust.gaussian import rounded
from pawsure.trust.log_odds import CompactClassifier, LogOdds

NARROW = 0.65
"""Mean affinity of pictures to the profile of the others of their label from which on labels are
narrow, by classifiers that are equally certain (`CERTAINTY`). Of 332 draws of 3 to 24 classes of
Caltech-101, 90% lie above it with EfficientNet-Lite0 and 95% with Lite2 (the lowest 0.54 and 0.56);
560 draws of cats and dogs, photographs of four sources, lie at 0.39 to 0.62, all below it."""

CERTAINTY = 0.5
"""Mean of the largest probability. How certain a classifier is depends on how it was trained: the
affinities of Lite2, trained with softened targets, are 0.77 for cats and dogs as they are, those of
Lite0 0.64."""

_MOST_SHARPENED = 200
"""Pictures that the temperature is found on."""

LEAST = 1e-3
"""Added to an affinity before its logarithm: what one of 1,000 classes has by chance."""

_TINY = 1e-12


@dataclass(frozen=True, kw_only=True)
class Profiles:
    """The score.

    Attributes:
        classifier: see `CompactClassifier`.
        roots: float32 (C, K), as `rounded` has them: square roots of each label's profile.
    """

    classifier: CompactClassifier
    roots: np.ndarray

    def score(self, embedding: np.ndarray) -> np.ndarray:
        """Float64 (N,): logarithm of the affinity to the nearest profile.

        Source: Bhattacharyya 1943, "On a measure of divergence between two statistical
        populations", Bull. Calcutta Math. Soc. 35.
        """
        affinity = np.sqrt(self.classifier.probabilities(embedding)) @ self.roots
        return np.asarray(np.log(affinity.max(axis=1) + LEAST))

    @property
    def num_bytes(self) -> int:
        """What it adds to a model file, about."""
        held = self.classifier
        return held.kernel.size + 4 * 2 * held.bias.size + self.roots.size

    def fitted(self, embedding: np.ndarray, label: np.ndarray) -> Profiles:
        """The same classifier, with profiles of training pictures (N, F) of labels (N,)."""
        sums, num, _ = _sums(self.classifier.probabilities(embedding), label)
        return replace(self, roots=rounded(np.sqrt(sums / num[:, np.newaxis]).T))


def classifier_score(
    classifier: CompactClassifier, embedding: np.ndarray, label: np.ndarray
) -> LogOdds | Profiles:
    """The score that suits the labels, fitted on training pictures: float (N, F), int (N,)."""
    nothing = np.zeros((len(classifier.bias), 1), np.float32)
    if affinity_to_others(equally_certain(classifier.probabilities(embedding)), label) >= NARROW:
        return Profiles(classifier=classifier, roots=nothing).fitted(embedding, label)
    return LogOdds(classifier=classifier, weight=nothing[:, 0]).fitted(embedding, label)


def equally_certain(probability: np.ndarray) -> np.ndarray:
    """Probabilities (N, C), sharpened until the largest are `CERTAINTY` on average."""
    logit = np.log(probability + _TINY)
    logit -= logit.max(axis=1, keepdims=True)
    some = logit[:: max(1, len(logit) // _MOST_SHARPENED)]
    low, high = 1.0, 100.0
    for _ in range(20):
        sharpness = float(np.sqrt(low * high))
        if (1 / np.exp(sharpness * some).sum(axis=1)).mean() < CERTAINTY:
            low = sharpness
        else:
            high = sharpness
    powers = np.exp(sharpness * logit)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def affinity_to_others(probability: np.ndarray, label: np.ndarray) -> float:
    """Mean affinity of pictures to the profile of the others of their label; 0: no label has two.

    Args:
        probability: float (N, C).
        label: int (N,).
    """
    sums, num, place = _sums(probability, label)
    has_others = num[place] > 1
    if not has_others.any():
        return 0.0
    mine, place = probability[has_others], place[has_others]
    others = (sums[place] - mine).clip(0) / (num[place] - 1)[:, np.newaxis]
    return float(np.sqrt(mine * others).sum(axis=1).mean())


def _sums(probability: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums (K, C) by label, how many pictures each is of, and the place of each label."""
    found, place, num = np.unique(label, return_inverse=True, return_counts=True)
    sums = np.zeros((len(found), probability.shape[1]))
    np.add.at(sums, place, probability)
    return sums, num, place

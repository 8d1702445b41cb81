"""What a pretrained classifier knows: how likely a picture shows what the training pictures show.

Its classes are ordinary things. Those that training pictures are taken for count for a picture,
all others against it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pawsure.evaluation.metrics import softmax
from pawsure.trust.gaussian import rounded

HALF_WEIGHT = 1e-3
"""The mean probability at which a class counts half for a picture and half against it: what each
of 1,000 classes gets by chance. Fewer other pictures pass than with a third of it."""

LEAST = 1e-4
"""Added to probabilities before their logarithm, so that no picture is beyond all doubt."""


@dataclass(frozen=True, kw_only=True)
class CompactClassifier:
    """A classifier of ordinary things on the embedding of a frozen backbone, a byte a weight.

    In low rank it would be smaller, and another one: of EfficientNet-Lite0's kernel 256 of 1,000
    directions name another class for three pictures in ten.

    Attributes:
        kernel: float32 (F, C), as `rounded` has it.
        bias: float32 (C,).
    """

    kernel: np.ndarray
    bias: np.ndarray

    @classmethod
    def of(cls, kernel: np.ndarray, bias: np.ndarray) -> CompactClassifier:
        """From its kernel (F, C) and bias (C,)."""
        return cls(kernel=rounded(kernel), bias=np.asarray(bias, np.float32))

    def probabilities(self, embedding: np.ndarray) -> np.ndarray:
        """Float64 (N, C) of embeddings (N, F)."""
        return softmax(np.asarray(embedding, np.float64) @ self.kernel + self.bias)


@dataclass(frozen=True, kw_only=True)
class LogOdds:
    """The score.

    Attributes:
        classifier: see `CompactClassifier`.
        weight: float32 (C,), in [0, 1]: how much each class counts for a picture.
    """

    classifier: CompactClassifier
    weight: np.ndarray

    def score(self, embedding: np.ndarray) -> np.ndarray:
        """Float64 (N,): log odds of the classes that training pictures are taken for."""
        probability = self.classifier.probabilities(embedding)
        speaking_for = probability @ self.weight
        against = probability @ (1 - self.weight)
        return np.log(speaking_for + LEAST) - np.log(against + LEAST)

    @property
    def num_bytes(self) -> int:
        """What it adds to a model file, about."""
        held = self.classifier
        return held.kernel.size + 4 * (2 * held.bias.size + 2 * self.weight.size)

    def fitted(self, embedding: np.ndarray) -> LogOdds:
        """The same classifier, with weights from training pictures (N, F)."""
        mean = self.classifier.probabilities(embedding).mean(axis=0)
        return replace(self, weight=(mean / (mean + HALF_WEIGHT)).astype(np.float32))


def log_odds_of(classifier: CompactClassifier, embedding: np.ndarray) -> LogOdds:
    """Fit the weights on training pictures: float (N, F)."""
    nothing = np.zeros(len(classifier.bias), np.float32)
    return LogOdds(classifier=classifier, weight=nothing).fitted(embedding)

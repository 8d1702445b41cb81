"""Labels that are probably wrong, by the answers of held-out classifiers.

Source: Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in
Dataset Labels", J. Artif. Intell. Res. 70, arXiv:1911.00068.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from pawsure.data.threads import one_thread_a_product
from pawsure.evaluation import logistic
from pawsure.features.views import Rows
from pawsure.progress import NO_PROGRESS, Progress

FOLDS = 5

PENALTIES = (1.0, 0.3, 0.1, 0.03, 0.01)
"""Tried from the strongest down, for embeddings with a mean square of 1. On 20,000 photographs of
which 2% had their labels swapped, 0.1 was the best at 160 and at 224 pixels."""

MOST_PICTURES = 50_000
"""That one fold is trained on; more hardly change a linear classifier, and this bounds memory."""

_BATCH_SIZE = 4096


@dataclass(frozen=True, eq=False)
class LabelFindings:
    """The judgement of held-out classifiers on N labels.

    Attributes:
        probability: float32 (N, K), by classifiers that saw neither the picture nor copies of it.
        suspicion: float32 (N,), 1 less the probability of the given label; 0 where the classifier
            never saw that label, because all its pictures are held out together.
        is_suspect: bool (N,), in the off-diagonal of the confident joint, with another label as
            the most probable one.
        likely: int64 (N,), the most probable label.
        accuracy: share of pictures whose most probable label is the given one.
    """

    probability: np.ndarray
    suspicion: np.ndarray
    is_suspect: np.ndarray
    likely: np.ndarray
    accuracy: float


def find_wrong_labels(
    embeddings: Rows,
    label: np.ndarray,
    group: np.ndarray,
    *,
    num_labels: int,
    progress: Progress = NO_PROGRESS,
) -> LabelFindings:
    """Judge every label by cross-validation.

    Args:
        embeddings: float (N, F).
        label: int64 (N,), in [0, K), two or more different ones.
        group: int64 (N,); copies share a group, and a group is held out together.
        num_labels: K.
        progress: told of every fold.
    """
    with one_thread_a_product():
        probability, can_judge = _cross_validated(embeddings, label, group, num_labels, progress)
    rows = np.arange(len(label))
    likely = probability.argmax(axis=1)
    suspect = _confidently_of_another(probability, label) & (likely != label)
    return LabelFindings(
        probability=probability,
        suspicion=np.where(can_judge, 1 - probability[rows, label], 0).astype(np.float32),
        is_suspect=suspect & can_judge,
        likely=likely,
        accuracy=float((likely == label).mean()),
    )


def _confidently_of_another(probability: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Whether each is in the confident joint (eq. 1 and 2), off its diagonal: bool (N,)."""
    num_labels = probability.shape[1]
    counts = np.bincount(label, minlength=num_labels)
    sums = np.bincount(
        label, weights=probability[np.arange(len(label)), label], minlength=num_labels
    )
    # A label without pictures can't be confident.
    threshold = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    confident = np.where(probability >= threshold, probability, -1)
    return np.asarray((confident.max(axis=1) >= 0) & (confident.argmax(axis=1) != label))


def _cross_validated(
    embeddings: Rows, label: np.ndarray, group: np.ndarray, num_labels: int, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """float32 (N, K), and bool (N,): whether the classifier was trained on the given label."""
    # By shuffled group number: pictures are often sorted by label.
    fold = np.random.default_rng(0).permutation(int(group.max()) + 1)[group] % FOLDS
    probability = np.zeros((len(label), num_labels), dtype=np.float32)
    can_judge = np.zeros(len(label), dtype=bool)
    scale = root_mean_square(embeddings)
    weights, penalty = None, None
    progress.start("Judging labels", FOLDS, unit="folds")
    for number in range(FOLDS):
        held_out = np.flatnonzero(fold == number)
        train = _sample(np.flatnonzero(fold != number))
        if len(held_out) and len(train):
            learn = partial(
                logistic.fit,
                scaled(embeddings, train, scale),
                label[train],
                num_labels=num_labels,
            )
            if penalty is None:
                penalty, weights = _choose(learn, embeddings, label, held_out, scale)
            else:
                weights = learn(penalty=penalty, start=weights)
            probability[held_out] = judge(embeddings, held_out, weights, scale)
            can_judge[held_out] = np.isin(label[held_out], label[train])
        progress.advance()
    progress.finish()
    return probability, can_judge


def _choose(
    learn: Callable[..., np.ndarray],
    embeddings: Rows,
    label: np.ndarray,
    held_out: np.ndarray,
    scale: float,
) -> tuple[float, np.ndarray]:
    """The penalty with the lowest held-out loss, and its weights."""
    best: tuple[float, float, np.ndarray] | None = None
    weights = None
    for penalty in PENALTIES:
        weights = learn(penalty=penalty, start=weights)
        given = judge(embeddings, held_out, weights, scale)[
            np.arange(len(held_out)), label[held_out]
        ]
        loss = float(-np.log(np.maximum(given, 1e-6)).mean())
        if best is not None and loss > best[0]:
            break
        best = (loss, penalty, weights)
    assert best is not None
    return best[1], best[2]


def judge(embeddings: Rows, rows: np.ndarray, weights: np.ndarray, scale: float) -> np.ndarray:
    """Probabilities float32 (B, K) of some pictures, by fitted weights."""
    return np.concatenate(
        [
            logistic.probabilities(
                scaled(embeddings, rows[start : start + _BATCH_SIZE], scale), weights
            ).astype(np.float32)
            for start in range(0, len(rows), _BATCH_SIZE)
        ]
    )


def scaled(embeddings: Rows, rows: np.ndarray, scale: float) -> np.ndarray:
    """float32 (B, F) of some rows, with a mean square near 1."""
    features = np.asarray(embeddings[rows], dtype=np.float32)
    features /= scale
    return features


def root_mean_square(embeddings: Rows) -> float:
    """Of a sample of the embeddings; scaling by it makes penalties comparable between networks."""
    some = np.asarray(embeddings[_sample(np.arange(len(embeddings)), 2000)], dtype=np.float32)
    return float(np.sqrt((some**2).mean())) or 1.0


def _sample(indices: np.ndarray, most: int = MOST_PICTURES) -> np.ndarray:
    if len(indices) <= most:
        return indices
    return np.sort(np.random.default_rng(0).choice(indices, most, replace=False))

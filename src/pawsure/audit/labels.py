"""Labels that look wrong: what a classifier that never saw a picture makes of it.

Source: Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in
Dataset Labels", J. Artif. Intell. Res. 70, arXiv:1911.00068.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pawsure.data.threads import one_thread_a_product
from pawsure.evaluation import logistic
from pawsure.features.views import Rows
from pawsure.progress import NO_PROGRESS, Progress

FOLDS = 5

PENALTIES = (1.0, 0.3, 0.1, 0.03, 0.01)
"""Tried from the strongest on, for embeddings with a mean square of 1. On 20,000 photographs of
which 2% had their labels swapped, 0.1 was the best at 160 and at 224 pixels."""

MOST_ROWS = 50_000
"""That one fold learns from; more hardly move a plane, and this bounds memory."""

_ROWS_AT_A_TIME = 4096


@dataclass(frozen=True, eq=False)
class LabelFindings:
    """What held-out classifiers say of N labels.

    Attributes:
        probability: float32 (N, K), by classifiers that saw neither the picture nor copies of it.
        suspicion: float32 (N,), 1 less the probability of the given label; 0 where the classifier
            never saw that label, since all pictures of it are held out together.
        is_suspect: bool (N,), confidently of another label (the off-diagonal of the confident
            joint), which is also the most probable one.
        likely: int64 (N,), the most probable label.
        accuracy: how often that is the given one.
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
        group: int64 (N,); copies, which share a group, are never learned from.
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
    # A label that nobody has can't be confident.
    threshold = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    confident = np.where(probability >= threshold, probability, -1)
    return np.asarray((confident.max(axis=1) >= 0) & (confident.argmax(axis=1) != label))


def _cross_validated(
    embeddings: Rows, label: np.ndarray, group: np.ndarray, num_labels: int, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """float32 (N, K), and bool (N,): whether the classifier had learned the given label."""
    # By group number, scattered: labels often come one after the other.
    fold = np.random.default_rng(0).permutation(int(group.max()) + 1)[group] % FOLDS
    probability = np.zeros((len(label), num_labels), dtype=np.float32)
    can_judge = np.zeros(len(label), dtype=bool)
    scale = root_mean_square(embeddings)
    weights, penalty = None, None
    progress.start("Judging labels", FOLDS, unit="folds")
    for number in range(FOLDS):
        held_out = np.flatnonzero(fold == number)
        rows = _some(np.flatnonzero(fold != number))
        if len(held_out) and len(rows):
            learn = _Learner(embeddings, label, rows, scale, num_labels)
            if penalty is None:
                penalty, weights = _choose(learn, embeddings, label, held_out, scale)
            else:
                weights = learn(penalty, weights)
            probability[held_out] = judge(embeddings, held_out, weights, scale)
            can_judge[held_out] = np.isin(label[held_out], label[rows])
        progress.advance()
    progress.finish()
    return probability, can_judge


class _Learner:
    """Fits one fold's rows."""

    def __init__(
        self, embeddings: Rows, label: np.ndarray, rows: np.ndarray, scale: float, num_labels: int
    ) -> None:
        self._features = scaled(embeddings, rows, scale)
        self._label = label[rows]
        self._num_labels = num_labels

    def __call__(self, penalty: float, start: np.ndarray | None) -> np.ndarray:
        return logistic.fit(
            self._features,
            self._label,
            num_labels=self._num_labels,
            penalty=penalty,
            start=start,
        )


def _choose(
    learn: Callable[[float, np.ndarray | None], np.ndarray],
    embeddings: Rows,
    label: np.ndarray,
    held_out: np.ndarray,
    scale: float,
) -> tuple[float, np.ndarray]:
    """The penalty with the least loss on what is held out, and its weights."""
    best: tuple[float, float, np.ndarray] | None = None
    weights = None
    for penalty in PENALTIES:
        weights = learn(penalty, weights)
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
    """float32 (B, K): what fitted weights make of some rows."""
    return np.concatenate(
        [
            logistic.probabilities(
                scaled(embeddings, rows[start : start + _ROWS_AT_A_TIME], scale), weights
            ).astype(np.float32)
            for start in range(0, len(rows), _ROWS_AT_A_TIME)
        ]
    )


def scaled(embeddings: Rows, rows: np.ndarray, scale: float) -> np.ndarray:
    """float32 (B, F) of some rows, with a mean square near 1."""
    features = np.asarray(embeddings[rows], dtype=np.float32)
    features /= scale
    return features


def root_mean_square(embeddings: Rows) -> float:
    """Of some of the embeddings: what makes penalties mean the same for every network."""
    some = np.asarray(embeddings[_some(np.arange(len(embeddings)), 2000)], dtype=np.float32)
    return float(np.sqrt((some**2).mean())) or 1.0


def _some(rows: np.ndarray, most: int = MOST_ROWS) -> np.ndarray:
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, most, replace=False))

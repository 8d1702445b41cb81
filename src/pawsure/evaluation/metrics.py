"""How good probabilities are, and the answers they lead to.

Everywhere: `probability` is float (N, K) with rows that sum to 1, `label` is int (N,) in
[0, K), and N is at least 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pawsure.errors import ShapeError


def softmax(logit: np.ndarray) -> np.ndarray:
    """Probabilities of logits (N, K): float64 (N, K), rows sum to 1."""
    logit = np.asarray(logit, dtype=np.float64)
    powers = np.exp(logit - logit.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def accuracy(probability: np.ndarray, label: np.ndarray) -> float:
    """Share of pictures whose most probable label is the true one, in [0, 1].

    Raises:
        ShapeError: the arrays do not go together.
    """
    return float(correct(probability, label).mean())


def correct(probability: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Bool (N,): whether the most probable label is the true one.

    Raises:
        ShapeError: the arrays do not go together.
    """
    check_together(probability, label)
    return probability.argmax(axis=1) == label


def log_losses(probability: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Float64 (N,): minus the natural logarithm of the probability of the true label.

    A probability is taken to be at least the spacing of its dtype (1.2e-7 for float32), as
    in scikit-learn: one answer that is wrong beyond what the dtype can tell costs 16, not
    infinity.

    Raises:
        ShapeError: the arrays do not go together.
    """
    check_together(probability, label)
    least = np.finfo(probability.dtype).eps
    true = probability[np.arange(len(label)), label].astype(np.float64)
    return -np.log(np.clip(true, least, 1.0))


def log_loss(probability: np.ndarray, label: np.ndarray) -> float:
    """Mean of `log_losses`: 0 is perfect, log(K) is what guessing gives.

    Raises:
        ShapeError: the arrays do not go together.

    Source: Good 1952, "Rational Decisions", J. R. Stat. Soc. B 14(1).
    """
    return float(log_losses(probability, label).mean())


def brier_scores(probability: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Float64 (N,): squared distance between the row and the one-hot truth, in [0, 2].

    Raises:
        ShapeError: the arrays do not go together.
    """
    check_together(probability, label)
    difference = probability.astype(np.float64)
    difference[np.arange(len(label)), label] -= 1
    return np.square(difference).sum(axis=1)


def brier_score(probability: np.ndarray, label: np.ndarray) -> float:
    """Mean of `brier_scores`, in [0, 2]; 0 is perfect.

    This is Brier's own definition, over all K classes. For two classes it is twice the
    figure that looks at one class only.

    Raises:
        ShapeError: the arrays do not go together.

    Source: Brier 1950, "Verification of forecasts expressed in terms of probability",
    Monthly Weather Review 78(1), eq. 2.
    """
    return float(brier_scores(probability, label).mean())


def confusion_matrix(answer: np.ndarray, label: np.ndarray, num_labels: int) -> np.ndarray:
    """Count pictures by truth and answer.

    Args:
        answer: int (N,) in [0, num_labels), what was said.
        label: int (N,) in [0, num_labels), what is true.
        num_labels: K.

    Returns:
        int64 (K, K); row: true label, column: answer.

    Raises:
        ShapeError: the lengths differ, or a value is out of range.
    """
    answer, label = np.asarray(answer), np.asarray(label)
    if answer.shape != label.shape or label.ndim != 1:
        raise ShapeError(f"Answers and labels differ in shape: {answer.shape}, {label.shape}.")
    for values in (answer, label):
        if values.size and not 0 <= values.min() <= values.max() < num_labels:
            raise ShapeError(
                f"Labels are to be in [0, {num_labels}); got {values.min()} to {values.max()}."
            )
    flat = label.astype(np.int64) * num_labels + answer
    return np.bincount(flat, minlength=num_labels**2).reshape(num_labels, num_labels)


@dataclass(frozen=True, kw_only=True)
class ClassFigures:
    """How one class fares; None where there is nothing to divide by.

    Attributes:
        n: pictures that truly are of the class.
        precision: of the answers of this class, the share that is right.
        recall: of the pictures of this class, the share that is answered so.
        f1: harmonic mean of the two, 2 TP / (2 TP + FP + FN).
    """

    n: int
    precision: float | None
    recall: float | None
    f1: float | None


def per_class(confusion: np.ndarray) -> list[ClassFigures]:
    """Precision, recall and F1 of each class.

    Args:
        confusion: int (K, K) of `confusion_matrix`.

    Source: van Rijsbergen 1979, "Information Retrieval", chapter 7.
    """

    def ratio(part: int, whole: int) -> float | None:
        return part / whole if whole else None

    true, said = confusion.sum(axis=1).tolist(), confusion.sum(axis=0).tolist()
    return [
        ClassFigures(
            n=true[k],
            precision=ratio(hits, said[k]),
            recall=ratio(hits, true[k]),
            f1=ratio(2 * hits, true[k] + said[k]),
        )
        for k, hits in enumerate(confusion.diagonal().tolist())
    ]


def check_together(probability: np.ndarray, label: np.ndarray) -> None:
    """Refuse arrays that are not (N, K) and (N,) with N above 0 and labels in [0, K).

    Raises:
        ShapeError: they are not.
    """
    if probability.ndim != 2 or label.shape != probability.shape[:1]:
        raise ShapeError(
            f"Probabilities are to be (N, K) and labels (N,); got {probability.shape} "
            f"and {label.shape}."
        )
    if not len(label):
        raise ShapeError("There are no pictures to measure on.")
    num_labels = probability.shape[1]
    if not 0 <= label.min() <= label.max() < num_labels:
        raise ShapeError(
            f"Labels are to be in [0, {num_labels}); got {label.min()} to {label.max()}."
        )

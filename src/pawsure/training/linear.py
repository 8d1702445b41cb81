"""A linear probe on stored embeddings: logistic regression, in seconds, without Keras.

A head that is trained by gradient steps ends somewhere near the optimum of a convex problem;
this goes there at once, with the strength of its penalty chosen on validation.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from pawsure.evaluation import logistic
from pawsure.evaluation.metrics import accuracy, log_loss, softmax
from pawsure.features.views import Rows

PENALTIES = (20.0, 2.0, 0.2, 0.02, 0.002, 0.0002)
"""For embeddings that are scaled to a mean square of 1 (below); see `logistic.fit`."""

_AT_A_TIME = 4096

MOST_ROWS = 50_000
"""More do not change a plane in a thousand dimensions; this bounds memory."""


@dataclass(frozen=True, kw_only=True)
class LinearHead:
    """A fitted head.

    Attributes:
        kernel: float32 (F, K).
        bias: float32 (K,).
        history: a row for each penalty that was tried, in order.
        kept: the row that was taken.
    """

    kernel: np.ndarray
    bias: np.ndarray
    history: list[dict[str, Any]]
    kept: int

    def probabilities(self, rows: Rows) -> np.ndarray:
        """Of stored embeddings (N, F): float64 (N, K)."""
        logits = [
            np.asarray(rows[slice(start, start + _AT_A_TIME)], np.float32) @ self.kernel
            for start in range(0, len(rows), _AT_A_TIME)
        ]
        return softmax(np.concatenate(logits) + self.bias)


def fit_linear_head(
    train_rows: Rows,
    train_labels: np.ndarray,
    validation_rows: Rows,
    validation_labels: np.ndarray,
    *,
    num_labels: int,
    seed: int = 0,
) -> LinearHead:
    """Fit heads of several strengths and take the one with the lowest validation loss.

    Args:
        train_rows: embeddings, float (N, F); at most `MOST_ROWS` of them, drawn at random,
            are used.
        train_labels: int (N,), in [0, K); every label occurs.
        validation_rows: float (M, F).
        validation_labels: int (M,).
        num_labels: K.
        seed: draws the rows, where there are too many.
    """
    picked = _picked(len(train_rows), seed)
    embedding = np.asarray(train_rows[picked], dtype=np.float32)
    learned = train_labels[picked]
    judged = np.asarray(validation_rows[slice(None)], dtype=np.float32)
    # One scale for all features: it makes penalties comparable between backbones, and is
    # taken back out of the kernel.
    scale = float(np.sqrt((embedding**2).mean())) or 1.0
    scaled = embedding / scale
    weights: np.ndarray | None = None
    history: list[dict[str, Any]] = []
    heads: list[tuple[np.ndarray, np.ndarray]] = []
    for penalty in PENALTIES:
        started = time.perf_counter()
        # Products of a matrix and a vector: more threads wait for each other than they work.
        with threadpool_limits(1):
            weights = logistic.fit(
                scaled, learned, num_labels=num_labels, penalty=penalty, start=weights
            )
        kernel = (weights[:-1] / scale).astype(np.float32)
        bias = weights[-1].astype(np.float32)
        heads.append((kernel, bias))
        of_train = softmax(embedding @ kernel + bias)
        of_validation = softmax(judged @ kernel + bias)
        history.append(
            {
                "epoch": len(history) + 1,
                "penalty": penalty,
                "loss": log_loss(of_train, learned),
                "accuracy": accuracy(of_train, learned),
                "validation_loss": log_loss(of_validation, validation_labels),
                "validation_accuracy": accuracy(of_validation, validation_labels),
                "seconds": round(time.perf_counter() - started, 3),
            }
        )
        losses = [row["validation_loss"] for row in history]
        if losses[-1] > 1.1 * min(losses):
            break  # weaker penalties only overfit more
    kept = losses.index(min(losses))
    return LinearHead(kernel=heads[kept][0], bias=heads[kept][1], history=history, kept=kept)


def fit_at(
    rows: np.ndarray, labels: np.ndarray, *, num_labels: int, penalty: float
) -> tuple[np.ndarray, np.ndarray]:
    """Fit one head, of a penalty that is known; see `fit_linear_head`.

    Args:
        rows: embeddings, float32 (N, F).
        labels: int (N,), in [0, K).
        num_labels: K.
        penalty: one of `PENALTIES`, as a rule.

    Returns:
        Kernel (F, K) and bias (K,), float32.
    """
    scale = float(np.sqrt((rows**2).mean())) or 1.0
    with threadpool_limits(1):
        weights = logistic.fit(rows / scale, labels, num_labels=num_labels, penalty=penalty)
    return (weights[:-1] / scale).astype(np.float32), weights[-1].astype(np.float32)


def _picked(num_rows: int, seed: int) -> np.ndarray:
    if num_rows <= MOST_ROWS:
        return np.arange(num_rows)
    return np.sort(np.random.default_rng(seed).choice(num_rows, MOST_ROWS, replace=False))

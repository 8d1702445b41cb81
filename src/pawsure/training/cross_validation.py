"""A figure for small sets: the linear probe, cross-validated over all pictures but the test split.

A test split of a few pictures can't tell 80% from 100%. Cross-validation holds out every training
and validation picture once. It measures the linear probe on the frozen layers, which takes
seconds: nothing is decoded again and no layer of the network is trained.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pawsure.data.catalog import Catalog
from pawsure.data.folds import assign_folds
from pawsure.evaluation import metrics
from pawsure.evaluation.intervals import cross_validated
from pawsure.features.extract import extract
from pawsure.features.prefix import POOLED, Prefix
from pawsure.features.views import ORIGINAL
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.training.linear import PENALTIES, fit_at, fit_linear_head

FOLDS = 5

FEW_TEST_PICTURES = 100
"""With fewer, the interval of an accuracy about 90% is wider than twelve points."""


def cross_validate(
    catalog: Catalog, prefix: Prefix, *, seed: int, progress: Progress = NO_PROGRESS
) -> dict[str, Any] | None:
    """Cross-validate a linear probe on the frozen layers over training and validation pictures.

    Args:
        catalog: with splits and groups of copies.
        prefix: the frozen layers of the run.
        seed: of the folds.
        progress: told of every picture whose features are not stored yet, and of every fold.

    Returns:
        JSON-ready: "of": "linear probe"; "folds"; "n", how many pictures were held out once;
        "num_groups", how many of them are different; "labels"; "accuracy", with its 95% interval
        (see `pawsure.evaluation.intervals.cross_validated`); "accuracy_by_fold";
        "confusion_matrix" and "per_class" as in `pawsure.evaluation.measure.measure`. None where
        it is not needed, because there are `FEW_TEST_PICTURES` for a test or more, or can't be
        had: the recipe stores no features of the whole backbone, or too few pictures are
        different.
    """
    if len(catalog.where("test")) >= FEW_TEST_PICTURES or POOLED not in prefix.shapes:
        return None
    rows = np.sort(np.concatenate([catalog.where("train"), catalog.where("validation")]))
    fold = assign_folds(catalog, rows, num_folds=FOLDS, seed=seed)
    held_out = fold >= 0
    if len(np.unique(fold[held_out])) < 2:
        return None
    extract(catalog.read, catalog.content, rows, prefix, [POOLED], progress=progress)
    stored = prefix.store(POOLED, ORIGINAL.name).rows(catalog.content[rows])
    embedding = np.asarray(stored[:], np.float32)
    label = catalog.label[rows]
    probability = _held_out_probabilities(
        embedding, label, fold, len(catalog.labels), seed, progress
    )
    return _figures(probability[held_out], label[held_out], fold[held_out], catalog, rows[held_out])


def _held_out_probabilities(
    embedding: np.ndarray,
    label: np.ndarray,
    fold: np.ndarray,
    num_labels: int,
    seed: int,
    progress: Progress,
) -> np.ndarray:
    """Of each picture by a probe that never saw its fold: float64 (N, K).

    The penalty is selected inside of each training set (nested cross-validation): selected on
    the pictures that are measured on, it would flatter them. Source: Varma and Simon 2006, "Bias
    in error estimation when using cross-validation for model selection", BMC Bioinformatics 7.
    """
    probability = np.zeros((len(label), num_labels))
    folds = np.unique(fold[fold >= 0])
    progress.start("Cross-validating", len(folds), unit="folds")
    for place, each in enumerate(folds):
        learned, out = fold != each, fold == each
        penalty = _best_penalty(
            embedding[learned],
            label[learned],
            fold[learned] == folds[(place + 1) % len(folds)],
            num_labels,
            seed,
        )
        kernel, bias = fit_at(
            embedding[learned], label[learned], num_labels=num_labels, penalty=penalty
        )
        probability[out] = metrics.softmax(embedding[out] @ kernel + bias)
        progress.advance()
    progress.finish()
    return probability


def _best_penalty(
    embedding: np.ndarray, label: np.ndarray, judged: np.ndarray, num_labels: int, seed: int
) -> float:
    """The penalty of least loss on a fold of the training pictures."""
    # A label whose pictures all lie in that fold stays with those that are learned from.
    judged = judged & np.isin(label, label[~judged])
    if not judged.any():
        return PENALTIES[len(PENALTIES) // 2]
    head = fit_linear_head(
        embedding[~judged],
        label[~judged],
        embedding[judged],
        label[judged],
        num_labels=num_labels,
        seed=seed,
    )
    return float(head.history[head.kept]["penalty"])


def _figures(
    probability: np.ndarray,
    label: np.ndarray,
    fold: np.ndarray,
    catalog: Catalog,
    rows: np.ndarray,
) -> dict[str, Any]:
    labels, group = catalog.labels, catalog.group[rows]
    num_folds = len(np.unique(fold))
    right = metrics.correct(probability, label)
    confusion = metrics.confusion_matrix(probability.argmax(axis=1), label, len(labels))

    def share(which: np.ndarray) -> dict[str, float] | None:
        if not which.any():
            return None
        interval = cross_validated(
            int(right[which].sum()),
            int(which.sum()),
            num_folds=num_folds,
            num_groups=len(np.unique(group[which])),
        )
        return {"value": float(right[which].mean()), "low": interval.low, "high": interval.high}

    return {
        "of": "linear probe",
        "folds": num_folds,
        "n": len(label),
        "num_groups": len(np.unique(group)),
        "labels": list(labels),
        "accuracy": share(np.ones(len(label), bool)),
        "accuracy_by_fold": [float(right[fold == each].mean()) for each in np.unique(fold)],
        "confusion_matrix": confusion.tolist(),
        "per_class": {
            name: {
                "n": figures.n,
                "precision": figures.precision,
                "recall": share(label == k),
                "f1": figures.f1,
            }
            for k, (name, figures) in enumerate(
                zip(labels, metrics.per_class(confusion), strict=True)
            )
        },
    }

"""Outliers: pictures that may show none of the labels, by their distance to all others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pawsure.data.parallel import available_cores, in_order
from pawsure.data.threads import one_thread_a_product
from pawsure.features.views import Rows
from pawsure.progress import NO_PROGRESS, Progress

NEIGHBOUR = 5
"""The nearest neighbour that decides. Of other pictures planted among 5,000 photographs, the 5th
finds 96% in the top 3%, the 10th 95%, the 20th 93%; and a label with six pictures is no outlier."""

MOST_REFERENCES = 10_000
"""Pictures that others are compared with: the work grows with their number."""

_BATCH_SIZE = 1024

_FENCE = 3.0  # interquartile ranges above the upper quartile (Tukey 1977)


@dataclass(frozen=True, eq=False)
class OutlierFindings:
    """How far N pictures are from all others.

    Attributes:
        distance: float32 (N,), in [0, 1]: 1 less the cosine of the embeddings of a picture and of
            its fifth nearest neighbour.
        is_outlier: bool (N,), beyond the outer fence of all distances.
    """

    distance: np.ndarray
    is_outlier: np.ndarray


def find_outliers(
    embeddings: Rows, group: np.ndarray, *, progress: Progress = NO_PROGRESS
) -> OutlierFindings:
    """Find pictures that are far from all others.

    Args:
        embeddings: float (N, F), none of them negative.
        group: int64 (N,); of copies, which share a group, only one counts as a neighbour, and
            none for each other: two copies of an outlier would be neighbours.
        progress: told of every picture.
    """
    _, first = np.unique(group, return_index=True)
    references = _sample(np.sort(first))
    reference = np.concatenate([_unit(embeddings[batch]) for batch in _batches(references)])
    batches = list(_batches(np.arange(len(group))))

    def nearest(indices: np.ndarray) -> np.ndarray:
        cosine = _unit(embeddings[indices]) @ reference.T
        cosine[group[indices][:, np.newaxis] == group[references]] = -1
        last = cosine.shape[1] - min(NEIGHBOUR, max(cosine.shape[1] - 1, 1))
        return np.partition(cosine, last, axis=1)[:, last]

    progress.start("Finding outliers", len(group))
    cosine = np.zeros(len(group), dtype=np.float32)
    workers = available_cores()
    with one_thread_a_product():
        results = in_order(nearest, batches, workers=workers, ahead=workers)
        for indices, result in zip(batches, results, strict=True):
            cosine[indices] = result
            progress.advance(len(indices))
    progress.finish()
    distance = np.clip(1 - cosine, 0, 1)
    low, high = np.quantile(distance, [0.25, 0.75])
    return OutlierFindings(distance, distance > float(high + _FENCE * (high - low)))


def _unit(embeddings: np.ndarray) -> np.ndarray:
    embeddings = np.asarray(embeddings, dtype=np.float32)
    return embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-6)


def _batches(indices: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(indices), _BATCH_SIZE):
        yield indices[start : start + _BATCH_SIZE]


def _sample(indices: np.ndarray) -> np.ndarray:
    if len(indices) <= MOST_REFERENCES:
        return indices
    return np.sort(np.random.default_rng(0).choice(indices, MOST_REFERENCES, replace=False))

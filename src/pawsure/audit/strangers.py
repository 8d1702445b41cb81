"""Pictures out of place: of none of the labels, told by how far they are from all others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pawsure.data.parallel import available_cores, in_order
from pawsure.data.threads import one_thread_a_product
from pawsure.features.views import Rows
from pawsure.progress import NO_PROGRESS, Progress

NEIGHBOUR = 5
"""The neighbour that counts. Planted strangers among 5,000 photographs: the 5th finds 96% of
them in the top 3%, the 10th 95%, the 20th 93%; and a label with six pictures is no stranger."""

MOST_REFERENCES = 10_000
"""Pictures that others are compared with: the work grows with their number."""

_ROWS_AT_A_TIME = 1024

_FAR_OUT = 3.0  # quartile distances above the upper quartile (Tukey 1977)


@dataclass(frozen=True, eq=False)
class StrangerFindings:
    """How strange N pictures are.

    Attributes:
        strangeness: float32 (N,), in [0, 1]: 1 less the cosine of the embeddings of a picture
            and its fifth nearest. With it grows how little is like the picture here.
        is_far_out: bool (N,), stranger than the set's own spread explains.
    """

    strangeness: np.ndarray
    is_far_out: np.ndarray


def find_strangers(
    embeddings: Rows, group: np.ndarray, *, progress: Progress = NO_PROGRESS
) -> StrangerFindings:
    """Find pictures that are like no others.

    Args:
        embeddings: float (N, F), none of them negative.
        group: int64 (N,); of copies, which share a group, one stands for all, as two copies of
            a stranger would know each other.
        progress: told of every picture.
    """
    _, first = np.unique(group, return_index=True)
    references = _some(np.sort(first))
    known = np.concatenate(
        [_unit(embeddings[rows]) for rows in _blocks(references)] or [np.empty((0, 0))]
    )
    blocks = list(_blocks(np.arange(len(group))))

    def look(rows: np.ndarray) -> np.ndarray:
        cosine = _unit(embeddings[rows]) @ known.T
        cosine[group[rows][:, np.newaxis] == group[references]] = -1
        last = cosine.shape[1] - min(NEIGHBOUR, max(cosine.shape[1] - 1, 1))
        return np.partition(cosine, last, axis=1)[:, last]

    progress.start("Finding outliers", len(group))
    found = np.zeros(len(group), dtype=np.float32)
    workers = available_cores()
    with one_thread_a_product():
        looks = in_order(look, blocks, workers=workers, ahead=workers)
        for rows, cosine in zip(blocks, looks, strict=True):
            found[rows] = cosine
            progress.advance(len(rows))
    progress.finish()
    strangeness = np.clip(1 - found, 0, 1)
    return StrangerFindings(strangeness, strangeness > _limit(strangeness))


def _limit(strangeness: np.ndarray) -> float:
    low, high = np.quantile(strangeness, [0.25, 0.75])
    return float(high + _FAR_OUT * (high - low))


def _unit(rows: np.ndarray) -> np.ndarray:
    embedding = np.asarray(rows, dtype=np.float32)
    return embedding / np.maximum(np.linalg.norm(embedding, axis=1, keepdims=True), 1e-6)


def _blocks(rows: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), _ROWS_AT_A_TIME):
        yield rows[start : start + _ROWS_AT_A_TIME]


def _some(rows: np.ndarray) -> np.ndarray:
    if len(rows) <= MOST_REFERENCES:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, MOST_REFERENCES, replace=False))

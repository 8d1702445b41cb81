"""Folds for cross-validation: copies together, every label spread evenly."""

from __future__ import annotations

import numpy as np

from pawsure.data.catalog import Catalog
from pawsure.data.split import draw, grouped

NEVER_HELD_OUT = -1


def assign_folds(catalog: Catalog, indices: np.ndarray, *, num_folds: int, seed: int) -> np.ndarray:
    """Put pictures into folds; copies and near-copies share a fold.

    The groups of each label are dealt out in the order of a hash of seed and content, so that
    folds have equally many of each, give or take one.

    Args:
        catalog: with groups of copies; see `pawsure.copies.grouping`.
        indices: of the catalog, int (N,).
        num_folds: 2 or more.
        seed: of the order.

    Returns:
        int64 (N,), in [0, num_folds); `NEVER_HELD_OUT` for the only group of a label: without it
        the label could not be learned.
    """
    of_label: dict[int, list[tuple[float, list[int]]]] = {}
    for group in grouped(catalog, indices):
        key = min(catalog.content[index] for index in group)
        label = min(int(catalog.label[index]) for index in group)
        of_label.setdefault(label, []).append((draw(seed, key), group))
    fold_of: dict[int, int] = {}
    num_dealt = 0  # goes on from label to label, or the first folds would be the largest
    for _, groups in sorted(of_label.items()):
        for _, group in sorted(groups):
            fold = num_dealt % num_folds if len(groups) > 1 else NEVER_HELD_OUT
            num_dealt += len(groups) > 1
            fold_of |= dict.fromkeys(group, fold)
    return np.array([fold_of[index] for index in indices.tolist()], np.int64)

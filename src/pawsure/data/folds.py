"""Folds for cross-validation: copies together, every label spread evenly."""

from __future__ import annotations

import numpy as np

from pawsure.data.catalog import Catalog
from pawsure.data.split import draw, rows_of_groups

NEVER_HELD_OUT = -1


def assign_folds(catalog: Catalog, rows: np.ndarray, *, num_folds: int, seed: int) -> np.ndarray:
    """Put pictures into folds.

    Copies and near-copies share a fold. The groups of each label are dealt out one after the
    other, in the order of a hash of seed and content, so that folds have equally many of each,
    give or take one.

    Args:
        catalog: with groups of copies; see `pawsure.copies.grouping`.
        rows: of the catalog, int (N,).
        num_folds: 2 or more.
        seed: of the order.

    Returns:
        int64 (N,), in [0, num_folds); `NEVER_HELD_OUT` for the only group of a label: without it
        the label could not be learned.
    """
    of_label: dict[int, list[tuple[float, list[int]]]] = {}
    for group in rows_of_groups(catalog, rows):
        key = min(catalog.content[row] for row in group)
        label = min(int(catalog.label[row]) for row in group)
        of_label.setdefault(label, []).append((draw(seed, key), group))
    fold_of: dict[int, int] = {}
    dealt = 0  # goes on from label to label, or the first folds would be the largest
    for _, groups in sorted(of_label.items()):
        for _, group in sorted(groups):
            fold = dealt % num_folds if len(groups) > 1 else NEVER_HELD_OUT
            dealt += len(groups) > 1
            fold_of |= dict.fromkeys(group, fold)
    return np.array([fold_of[row] for row in rows.tolist()], np.int64)

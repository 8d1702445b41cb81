"""What every export is held to: how many labels may change, and on which pictures."""

from __future__ import annotations

import numpy as np

from pawsure.data.catalog import Catalog

MAX_CHANGED = 0.001
"""Share of pictures that may get another label than the model file gives, in floats: two
runtimes that add the same numbers in another order differ on ties only."""

MAX_CHANGED_INT8 = 0.02
"""The same, in bytes: twice what was met. Three MobileNetV2 changed 0.1%, 0.2% and 1.0% of their
labels, half for the better; with one bit less, which costs accuracy, they change 4% and 7%. It
holds too where a file in bytes is computed in another runtime: a value that lies between two steps
is rounded another way, and what follows from it is as large as what the bytes themselves cost."""

MOST_COMPARED = 2000
"""Pictures of validation and test that an export is compared on."""


def compared_rows(catalog: Catalog, *, chosen_by: str | None = None) -> np.ndarray:
    """Rows to compare on, `MOST_COMPARED` at most: of test, and then of validation.

    Args:
        catalog: where there are no splits, all of it.
        chosen_by: a split of which there are as many again.
    """
    held_out = np.concatenate([catalog.where("test"), catalog.where("validation")])
    rows = held_out if len(held_out) else catalog.where()
    rows = rows[:MOST_COMPARED]
    if chosen_by:
        rows = np.union1d(rows, catalog.where(chosen_by)[:MOST_COMPARED])
    return np.sort(rows)

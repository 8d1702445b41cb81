"""The limits of every export: how many labels may change, and on which pictures."""

from __future__ import annotations

import numpy as np

from pawsure.data.catalog import Catalog

MAX_CHANGED = 0.001
"""Share of pictures whose label may change, in floats: runtimes that add the same numbers in
another order differ only on ties."""

MAX_CHANGED_INT8 = 0.02
"""The same in int8: twice the largest share observed. Three MobileNetV2 changed 0.1%, 0.2% and 1.0%
of their labels, half for the better; with one bit less, which costs accuracy, 4% and 7%. Also for
an int8 file in another runtime: values between two steps are rounded differently, which changes as
much as quantisation itself."""

MOST_COMPARED = 2000
"""Pictures of validation and test that an export is compared on."""


def compared_rows(catalog: Catalog, *, chosen_by: str | None = None) -> np.ndarray:
    """Rows to compare on, `MOST_COMPARED` at most: of test, and then of validation.

    Args:
        catalog: all of it, if it has no splits.
        chosen_by: a split to add as many pictures from.
    """
    held_out = np.concatenate([catalog.where("test"), catalog.where("validation")])
    rows = held_out if len(held_out) else catalog.where()
    rows = rows[:MOST_COMPARED]
    if chosen_by:
        rows = np.union1d(rows, catalog.where(chosen_by)[:MOST_COMPARED])
    return np.sort(rows)

from __future__ import annotations

import numpy as np

from pawsure.audit.owed import accuracy_owed
from pawsure.copies.grouping import grouped_catalog
from pawsure.copies.leakage import find_leakage
from pawsure.data.split import assign_splits


def test_what_accuracy_owes_to_copies_is_measured(leaky):
    """Labels of noise can't be learned but by heart; the two copies are then right by memory."""
    catalog = grouped_catalog(leaky).catalog
    leakage = find_leakage(catalog)
    rng = np.random.default_rng(0)
    embeddings = rng.normal(0, 1, (len(catalog), 200))
    for group in catalog.group[leakage.rows]:
        rows = np.flatnonzero(catalog.group == group)
        embeddings[rows] = embeddings[rows[0]]
    (owed,) = accuracy_owed(catalog, leakage, embeddings, np.arange(len(catalog)))
    assert owed.split == "validation"
    assert owed.with_copies >= owed.without_copies
    assert 0 <= owed.at_most <= 0.2


def test_without_leakage_nothing_is_owed(planted):
    catalog = assign_splits(grouped_catalog(planted).catalog, seed=3)
    embeddings = np.ones((len(catalog), 4))
    assert accuracy_owed(catalog, find_leakage(catalog), embeddings, np.arange(len(catalog))) == []

from __future__ import annotations

import numpy as np
import pytest
from drawn_pictures import put
from planted_copies import CHANGES, detailed_jpeg, opened

from pawsure.audit.grouping import grouped_catalog
from pawsure.audit.leakage import accuracy_owed, find_leakage, refuse_leakage
from pawsure.audit.summary import summarise
from pawsure.data.split import assign_splits
from pawsure.errors import DataError


@pytest.fixture
def leaky(tmp_path):
    """Given splits: of ten validation pictures, two are changed copies of training ones."""
    for seed in range(30):
        label = "cat" if seed % 2 else "dog"
        put(tmp_path / "train" / label / f"{seed}.jpg", detailed_jpeg(seed))
    for seed in range(30, 38):
        label = "cat" if seed % 2 else "dog"
        put(tmp_path / "val" / label / f"{seed}.jpg", detailed_jpeg(seed))
    put(tmp_path / "val" / "dog" / "small.jpg", CHANGES["half"](opened(detailed_jpeg(0))))
    put(tmp_path / "val" / "cat" / "turned.jpg", CHANGES["mirror"](opened(detailed_jpeg(1))))
    return tmp_path


def test_copies_across_given_splits_are_counted_and_named(leaky):
    leakage = find_leakage(grouped_catalog(leaky).catalog)
    assert leakage.groups == 2
    assert leakage.leaked == {"validation": 2, "test": 0}
    assert leakage.total["validation"] == 10
    assert {(pair.held_out, pair.learned) for pair in leakage.pairs} == {
        ("val/dog/small.jpg", "train/dog/0.jpg"),
        ("val/cat/turned.jpg", "train/cat/1.jpg"),
    }


def test_the_summary_says_so_first(leaky):
    grouped = grouped_catalog(leaky)
    said = summarise(grouped).sentences()
    assert said[0] == (
        "Leakage: 2 validation pictures of 10 (20.0%) have copies among the training pictures."
    )
    # A test split that is carved out of training pictures by group adds no leakage.
    assert summarise(grouped, assign_splits(grouped.catalog, seed=0)).leakage.groups <= 2


def test_strict_refuses_with_the_way_out(leaky):
    leakage = find_leakage(grouped_catalog(leaky).catalog)
    with pytest.raises(DataError, match=r"share copies: 2 groups.*--apply clean.csv.*--strict"):
        refuse_leakage(leakage, data="photos")


def test_drawn_splits_leak_nothing(planted):
    grouped = grouped_catalog(planted)
    leakage = find_leakage(assign_splits(grouped.catalog, seed=3))
    assert leakage.groups == 0
    refuse_leakage(leakage, data="photos")


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

from __future__ import annotations

import pytest

from pawsure.copies.grouping import grouped_catalog
from pawsure.copies.leakage import find_leakage, refuse_leakage
from pawsure.copies.summary import summarise
from pawsure.data.split import assign_splits
from pawsure.errors import DataError


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

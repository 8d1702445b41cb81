"""On real photographs: `PAWSURE_DATA` says where."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from planted_copies import CHANGES, opened

from pawsure.copies.fingerprints import thumbnail
from pawsure.copies.grouping import grouped_catalog
from pawsure.copies.near_copies import find_near_copies

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif("PAWSURE_DATA" not in os.environ, reason="needs PAWSURE_DATA"),
]


@pytest.fixture(scope="module")
def photographs():
    folder = Path(os.environ["PAWSURE_DATA"]) / "full-size"
    return [path.read_bytes() for path in sorted(folder.rglob("*.jpg"))]


def test_changed_copies_of_photographs_are_found_and_nothing_else(photographs):
    every = [thumbnail(data) for data in photographs]
    copies = {}
    for number, change in enumerate(list(CHANGES.values()) * 10):
        copies[len(every)] = number
        every.append(thumbnail(change(opened(photographs[number]))))
    near = find_near_copies(np.stack(every))
    pairs = set(zip(near.second.tolist(), near.first.tolist(), strict=True))
    planted = set(copies.items())
    assert len(pairs & planted) >= 0.98 * len(planted)
    # Of 300 photographs there is no copy but those.
    assert len(pairs - planted) == 0


def test_a_known_pair_of_copies_in_the_usual_small_set():
    grouped = grouped_catalog(Path(os.environ["PAWSURE_DATA"]) / "cats-vs-dogs-3k.csv")
    path = grouped.catalog.path
    pairs = {
        (path[a], path[b]) for a, b in zip(grouped.near.first, grouped.near.second, strict=True)
    }
    assert [{Path(name).name for name in pair} for pair in pairs] == [{"dog.180.jpg", "dog.74.jpg"}]

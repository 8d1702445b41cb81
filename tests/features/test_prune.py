"""The feature store keeps within its bounds."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from pawsure.errors import UsageError
from pawsure.features.prefix import Prefix, features_dir
from pawsure.features.prune import IN_USE_S, VARIABLE, prune

NOW = time.time()
ROW_BYTES = 2000


@pytest.fixture
def prefix(tmp_path, monkeypatch):
    monkeypatch.setenv("PAWSURE_CACHE", str(tmp_path))
    return Prefix(key="k", size_px=8, shapes={"pooled": (1000,)}, path=None)


def fill(prefix: Prefix, view: str, days_ago: float) -> None:
    store = prefix.store("pooled", view)
    store.add(["a", "b"], np.ones((2, 1000), np.float16))
    os.utime(store.folder, (NOW - days_ago * 86400,) * 2)


def views() -> set[str]:
    return {folder.name for folder in features_dir().glob("*/*")}


def test_the_longest_unused_goes_first_and_no_more_than_needed(prefix):
    for days, view in enumerate(("new", "older", "oldest"), start=2):
        fill(prefix, view, days)
    pruned = prune(2.5 * 2 * ROW_BYTES, now=NOW)
    assert views() == {"new", "older"}
    assert pruned.folders == 1
    assert pruned.num_bytes == pytest.approx(2 * ROW_BYTES, rel=0.1)  # and NumPy's header
    assert prune(2.5 * 2 * ROW_BYTES, now=NOW).folders == 0
    np.testing.assert_array_equal(prefix.store("pooled", "new").rows(["b"])[:], 1)


def test_what_was_used_in_the_last_day_stays_whatever_the_limit(prefix):
    fill(prefix, "today", 0.9 * IN_USE_S / 86400)
    fill(prefix, "before", 2)
    prune(0, now=NOW)
    assert views() == {"today"}


def test_opening_a_store_counts_as_using_it(prefix):
    fill(prefix, "read", 30)
    fill(prefix, "left", 20)
    prefix.store("pooled", "read")
    prune(0)
    assert views() == {"read"}


def test_the_limit_is_read_from_the_environment(prefix, monkeypatch):
    fill(prefix, "old", 9)
    assert prune(now=NOW).folders == 0
    monkeypatch.setenv(VARIABLE, "0")
    assert prune(now=NOW).folders == 1
    for wrong in ("much", "-1", "nan"):
        monkeypatch.setenv(VARIABLE, wrong)
        with pytest.raises(UsageError, match=f"{VARIABLE} is the size .* got '{wrong}'"):
            prune()


def test_without_a_store_there_is_nothing_to_do(prefix):
    assert prune(0).folders == 0

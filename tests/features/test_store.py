from __future__ import annotations

import numpy as np
import pytest

from pawsure.errors import ShapeError
from pawsure.features import store as store_module
from pawsure.features.store import FeatureStore


def rows_of(contents, shape=(2, 3), seed=0):
    return np.random.default_rng(seed).normal(size=(len(contents), *shape)).astype(np.float16)


def test_rows_come_back_in_the_order_asked_for(tmp_path):
    store = FeatureStore(tmp_path / "s", (2, 3))
    first, second = rows_of("abc", seed=1), rows_of("de", seed=2)
    store.add(list("abc"), first)
    store.add(list("de"), second)
    found = store.rows(list("dacbe"))
    everything = np.stack([second[0], first[0], first[2], first[1], second[1]])
    np.testing.assert_array_equal(found[np.arange(5)], everything)
    np.testing.assert_array_equal(found[1:3], everything[1:3])
    np.testing.assert_array_equal(found[np.array([4, 4, 0])], everything[[4, 4, 0]])


def test_another_run_finds_what_was_stored(tmp_path):
    FeatureStore(tmp_path / "s", (2, 3)).add(list("ab"), rows_of("ab"))
    again = FeatureStore(tmp_path / "s", (2, 3))
    assert "a" in again and "c" not in again and len(again) == 2


def test_rows_without_their_keys_are_not_there(tmp_path):
    store = FeatureStore(tmp_path / "s", (2, 3))
    store.add(list("ab"), rows_of("ab"))
    next(store.folder.glob("*.keys")).unlink()  # as a kill between the two would leave it
    assert len(FeatureStore(tmp_path / "s", (2, 3))) == 0


def test_nothing_half_written_is_left(tmp_path, monkeypatch):
    store = FeatureStore(tmp_path / "s", (2, 3))
    monkeypatch.setattr(store_module.np, "save", _fail)
    with pytest.raises(OSError, match="disk"):
        store.add(["a"], rows_of("a"))
    assert list(store.folder.iterdir()) == []


def _fail(*args, **kwargs):
    raise OSError("disk full")


def test_rows_of_another_shape_are_refused(tmp_path):
    store = FeatureStore(tmp_path / "s", (2, 3))
    with pytest.raises(ShapeError, match=r"rows of \(2, 3\); got \(1, 3, 2\)"):
        store.add(["a"], np.zeros((1, 3, 2)))


def test_mapped_pages_are_let_go(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "_RELEASE_AFTER_BYTES", 100)
    store = FeatureStore(tmp_path / "s", (2, 3))
    store.add(list("abcdefghij"), rows_of("abcdefghij"))
    found = store.rows(list("abcdefghij"))
    found[:2]
    assert found._mapped
    found[:9]
    assert not found._mapped

from __future__ import annotations

import numpy as np
import pytest

from pawsure.audit import outliers
from pawsure.audit.outliers import find_outliers


def crowd(count: int = 300, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.abs(np.r_[[5] * 8, [0.3] * 24] + rng.normal(0, 0.3, (count, 32)))


def test_what_is_like_nothing_else_comes_first_and_is_flagged():
    odd = np.zeros((3, 32))
    odd[[0, 1, 2], [20, 25, 30]] = 9
    found = find_outliers(np.vstack([crowd(), odd]), np.arange(303))
    assert set(np.argsort(-found.distance)[:3].tolist()) == {300, 301, 302}
    assert found.is_outlier[300:].all() and found.is_outlier[:300].mean() < 0.02
    assert (found.distance >= 0).all() and (found.distance <= 1).all()


def test_copies_of_an_outlier_do_not_count_as_neighbours():
    odd = np.zeros((20, 32))
    odd[:, 25] = 9
    rows = np.vstack([crowd(), odd])
    assert not find_outliers(rows, np.arange(320)).is_outlier[300:].any()
    assert find_outliers(rows, np.r_[np.arange(300), np.full(20, 300)]).is_outlier[300:].all()


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_handful_of_pictures_is_no_trouble(count):
    found = find_outliers(crowd(count), np.arange(count))
    assert np.isfinite(found.distance).all()


def test_a_limit_on_references_changes_little(monkeypatch):
    rows = crowd()
    all_of_them = find_outliers(rows, np.arange(300)).distance
    monkeypatch.setattr(outliers, "MOST_REFERENCES", 150)
    half = find_outliers(rows, np.arange(300)).distance
    assert np.corrcoef(all_of_them, half)[0, 1] > 0.8

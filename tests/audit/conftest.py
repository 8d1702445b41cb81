from __future__ import annotations

from pathlib import Path

import pytest
from drawn_pictures import put
from planted_copies import CHANGES, detailed_jpeg, opened


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Tests never see the cache of the person who runs them."""
    monkeypatch.setenv("PAWSURE_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def planted(tmp_path_factory) -> Path:
    """Two labels of 40 pictures each, and a copy of another picture for each change."""
    root = tmp_path_factory.mktemp("planted")
    for seed in range(80):
        label = "cat" if seed < 40 else "dog"
        put(root / label / f"{seed}.jpg", detailed_jpeg(seed))
    for seed, change in enumerate(CHANGES.values()):
        put(root / "cat" / f"{seed}-copy.jpg", change(opened(detailed_jpeg(seed))))
    return root

from __future__ import annotations

from pathlib import Path

import pytest

from pawsure.data.cache import cache_dir


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    monkeypatch.delenv("PAWSURE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)


def test_in_the_home_folder_by_default(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir() == tmp_path / ".cache" / "pawsure"


def test_where_the_desktop_standard_says(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "pawsure"


def test_a_relative_path_by_the_standard_is_ignored(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_dir() == Path.home() / ".cache" / "pawsure"


def test_our_own_setting_comes_first(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    monkeypatch.setenv("PAWSURE_CACHE", str(tmp_path / "mine"))
    assert cache_dir() == tmp_path / "mine"


def test_nothing_is_made_by_asking(monkeypatch, tmp_path):
    monkeypatch.setenv("PAWSURE_CACHE", str(tmp_path / "mine"))
    cache_dir()
    assert not (tmp_path / "mine").exists()

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawsure.data import listing
from pawsure.data.listing import count_pictures, iter_pictures, list_pictures, pictures_under
from pawsure.errors import SourceError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_paths_are_sorted_as_if_all_were_there_at_once(tmp_path):
    names = ["a.jpg", "a/z.jpg", "a-b/1.jpg", "a0.jpg", "a/b/c.png", "B.jpg", "a.d/x.gif", "é.jpg"]
    touch(tmp_path, *names)
    assert list(pictures_under(tmp_path)) == sorted(names)


def test_what_is_hidden_or_no_picture_is_left_out(tmp_path):
    touch(tmp_path, "a.jpg", ".b.jpg", ".c/d.jpg", "__MACOSX/e.jpg", "f.txt", ".jpg", "g.heic")
    assert list(pictures_under(tmp_path)) == ["a.jpg", "g.heic"]


def test_a_folder_may_be_named_like_a_picture(tmp_path):
    touch(tmp_path, "a.jpg/b.jpg")
    assert list(pictures_under(tmp_path)) == ["a.jpg/b.jpg"]


def test_links_are_followed_and_loops_are_not(tmp_path):
    touch(tmp_path, "in/a.jpg", "elsewhere/b.jpg")
    (tmp_path / "in/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/loop").symlink_to(tmp_path / "in")
    (tmp_path / "in/gone.jpg").symlink_to(tmp_path / "nowhere")
    assert list(pictures_under(tmp_path / "in")) == ["a.jpg", "gone.jpg", "linked/b.jpg"]


@given(st.lists(st.text(st.characters(exclude_characters="\0/"), min_size=1), max_size=30))
def test_names_survive_being_packed(names):
    assert list(listing._sorted(iter(names))) == sorted(names)


def test_more_names_than_a_run_are_merged(monkeypatch):
    monkeypatch.setattr(listing, "_NAMES_A_RUN", 7)
    names = [f"{number * 37 % 100}.jpg" for number in range(100)]
    assert list(listing._sorted(iter(names))) == sorted(names)


def test_a_great_many_names_take_little_memory():
    num_names = 300_000
    tracemalloc.start()
    try:
        names = listing._sorted(f"IMG_{number:012}.jpg" for number in range(num_names))
        assert sum(1 for _ in names) == num_names
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # As a list they take 77 bytes each, as paths more than 200.
    assert peak < 45 * num_names


def test_a_folder_is_searched_when_it_is_its_turn(tmp_path):
    touch(tmp_path, "a/1.jpg", "b/1.jpg")
    pictures = iter_pictures([tmp_path / "a", tmp_path / "b"])
    assert next(pictures) == tmp_path / "a/1.jpg"
    touch(tmp_path, "b/2.jpg")
    assert list(pictures) == [tmp_path / "b/1.jpg", tmp_path / "b/2.jpg"]


def test_counted_is_what_is_listed(tmp_path):
    touch(tmp_path, "a.jpg", "b/c.jpg", "b/d.txt")
    paths = [tmp_path, tmp_path / "a.jpg", "missing.jpg"]
    assert count_pictures(paths) == len(list_pictures(paths)) == 4


def test_a_folder_without_pictures_is_an_error_that_names_it(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="empty holds no pictures"):
        count_pictures([tmp_path / "empty"])

"""One item that can't be had does not end the whole."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from drawn_pictures import fill

from pawsure.data.catalog import build_catalog
from pawsure.data.images import read_file
from pawsure.data.listing import list_pictures
from pawsure.data.skipped import Skipped
from pawsure.data.sources import open_source
from pawsure.errors import PictureError, SourceError

GOOD = ["cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/2.jpg"]


@pytest.fixture
def locked(tmp_path, monkeypatch) -> Path:
    """A folder of pictures with one that may not be searched, not even by root."""
    fill(tmp_path, [*GOOD, "cat/locked/3.jpg"])
    real = os.scandir

    def scandir(path="."):
        if Path(os.fspath(path)).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    return tmp_path


def test_a_locked_folder_is_one_item_that_can_not_be_read(locked):
    assert list_pictures([locked]) == [*(locked / name for name in GOOD), locked / "cat/locked"]
    with pytest.raises(PictureError, match="a folder that can't be searched: Permission denied"):
        read_file(locked / "cat/locked")


def test_a_locked_folder_among_labelled_pictures_is_told(locked):
    source = open_source(locked)
    assert [entry.path for entry in source.entries] == GOOD
    assert source.notes == [
        "The folder cat/locked can't be searched (Permission denied); its pictures are missing."
    ]


def test_where_all_is_locked_that_is_said(locked):
    with pytest.raises(SourceError, match=r"locked can't be searched: Permission denied\."):
        open_source(locked / "cat/locked")
    assert list_pictures([locked / "cat/locked"]) == [locked / "cat/locked"]


@pytest.fixture
def special(tmp_path) -> Iterator[Path]:
    """Pictures among a pipe, a socket, links in a circle and links that lead nowhere."""
    fill(tmp_path, GOOD)
    os.mkfifo(tmp_path / "cat/pipe.jpg")
    (tmp_path / "cat/circle.jpg").symlink_to("circle.jpg")
    (tmp_path / "cat/gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "cat/again").symlink_to(tmp_path)
    (tmp_path / "linked_pipe.jpg").symlink_to("cat/pipe.jpg")
    with socket.socket(socket.AF_UNIX) as bound, contextlib.chdir(tmp_path):
        bound.bind("dog/socket.jpg")  # a socket's path may have 100 letters
        yield tmp_path


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_pipes_and_links_that_lead_nowhere_neither_hang_nor_end_it(special):
    skipped = Skipped()
    found = list_pictures([special], skipped)
    assert {path.name for path in found} == {"1.jpg", "2.jpg", "circle.jpg", "gone.jpg"}
    assert sorted(skipped.special) == [
        str(special / name) for name in ("cat/pipe.jpg", "dog/socket.jpg", "linked_pipe.jpg")
    ]
    problems = build_catalog(special).problems()
    assert problems["cat/gone.jpg"] == "there is no such file"
    assert problems["cat/circle.jpg"].startswith("can't be opened: ")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_that_is_named_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(PictureError, match="a pipe, not a file"):
        read_file(tmp_path / "pipe.jpg")


def test_names_that_no_system_takes_are_one_bad_item_each(tmp_path):
    fill(tmp_path, GOOD)
    for name in ("x" * 5000 + ".jpg", "zero\0.jpg"):
        assert list_pictures([tmp_path / "cat", name])[-1] == Path(name)
        with pytest.raises(PictureError, match="can't be opened"):
            read_file(name)
        with pytest.raises(SourceError, match="There is no"):
            open_source(name)


def test_an_empty_folder_among_others_is_passed_over(tmp_path):
    fill(tmp_path, GOOD)
    (tmp_path / "empty").mkdir()
    skipped = Skipped()
    assert len(list_pictures(sorted(tmp_path.iterdir()), skipped)) == 4
    assert skipped.empty == [str(tmp_path / "empty")]


def test_a_file_that_vanishes_is_one_bad_picture(tmp_path):
    source = open_source(fill(tmp_path, GOOD))
    (tmp_path / "cat/1.jpg").unlink()
    assert build_catalog(source, for_training=False).problems() == {
        "cat/1.jpg": "there is no such file"
    }


def test_many_problems_of_one_kind_are_told_in_a_few_lines(tmp_path):
    fill(tmp_path, GOOD)
    for number in range(40):
        (tmp_path / "cat" / f"{number}.heic").write_bytes(b"")
    lines = build_catalog(tmp_path).problem_lines()
    assert len(lines) == 6 and lines[-1] == "Left out 35 more: the file is empty"

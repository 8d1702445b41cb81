from __future__ import annotations

import os

import pytest
from typer.testing import CliRunner

from pawsure.cli.app import app_of
from pawsure.data.files import atomic_folder, atomic_path, check_place
from pawsure.errors import StorageError


def test_the_file_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "model.onnx"
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert os.listdir(tmp_path) == ["model.onnx"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "model.onnx"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half of the n")
        raise RuntimeError
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["model.onnx"]


def test_the_temporary_file_has_the_suffix_that_writers_go_by(tmp_path):
    with atomic_path(tmp_path / "weights.npz") as temporary:
        assert temporary.suffix == ".npz"
        assert temporary.parent == tmp_path
        temporary.touch()


def test_a_long_name_still_has_a_temporary_one(tmp_path):
    name = "n" * 250
    with atomic_path(tmp_path / name) as temporary:
        temporary.touch()
    assert (tmp_path / name).exists()


def test_writing_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a"):
        pass


def test_a_new_file_has_the_permissions_of_any_other(tmp_path):
    (tmp_path / "plain").touch()
    with atomic_path(tmp_path / "atomic") as temporary:
        temporary.touch()
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_folder_appears_whole(tmp_path):
    target = tmp_path / "cache" / "sample"
    with atomic_folder(target) as temporary:
        (temporary / "a").touch()
        assert not target.exists()
    assert os.listdir(target) == ["a"]
    assert os.listdir(target.parent) == ["sample"]


def test_a_folder_that_failed_is_gone(tmp_path):
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "sample") as temporary:
        (temporary / "a").touch()
        raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_the_folder_of_who_was_quicker_stays(tmp_path):
    target = tmp_path / "sample"
    with atomic_folder(target) as temporary:
        (temporary / "ours").touch()
        target.mkdir()
        (target / "theirs").touch()
    assert os.listdir(target) == ["theirs"]
    assert os.listdir(tmp_path) == ["sample"]


@pytest.mark.parametrize("name", ["new", "deep/er/new"])
def test_a_place_for_something_new_is_left_as_it_was(tmp_path, name):
    check_place(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_place_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file/new can't be read or written: not a directory"):
        check_place(tmp_path / "file" / "new")


def test_a_working_folder_that_is_gone_is_named(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(StorageError, match="runs/new can't be created: the folder that"):
        check_place("runs/new")


@pytest.mark.parametrize("command", ["train", "audit", "compare", "export"])
def test_commands_refuse_a_place_that_cannot_be_before_they_read_a_picture(tmp_path, command):
    (tmp_path / "file").write_text("")
    (tmp_path / "data" / "a").mkdir(parents=True)
    words = [command, tmp_path / "data", "--out", tmp_path / "file" / "new"]
    words += ["--to", "int8"] if command == "export" else []
    result = CliRunner().invoke(app_of(), list(map(str, words)))
    assert result.exit_code == 2
    assert "not a directory" in result.stderr

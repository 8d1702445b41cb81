"""Files that can't be written or went away: one sentence, and nothing half-written."""

from __future__ import annotations

import errno
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from tiny_models import red_or_blue_model_file
from typer.testing import CliRunner

from pawsure.cli.app import _Commands
from pawsure.data import cache
from pawsure.data.files import atomic_folder, atomic_path
from pawsure.errors import RecipeError, StorageError, storage_error
from pawsure.progress import NO_PROGRESS
from pawsure.training.recipe import load_recipe

SOURCES = Path(__file__).parents[2] / "src"


def pawsure(*words: object, stdout=subprocess.PIPE, **environment: str):
    return subprocess.run(
        [sys.executable, "-m", "pawsure", *map(str, words)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(SOURCES)} | environment,
        check=False,
    )


@pytest.fixture
def small_disk(tmp_path):
    """Makes file systems of a few bytes; only where the process may mount."""
    mounted = []

    def mount(num_bytes: int) -> Path:
        folder = tmp_path / f"disk-{len(mounted)}"
        folder.mkdir()
        options = ["-t", "tmpfs", "-o", f"size={num_bytes}", "tmpfs", str(folder)]
        try:
            done = subprocess.run(["mount", *options], capture_output=True, check=False)
        except OSError:
            pytest.skip("there is no mount")
        if done.returncode:
            pytest.skip("may not mount")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=False)


@pytest.fixture
def photos(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    for label, channel in (("blue", 2), ("red", 0)):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(0, 120, (64, 64, 3), dtype=np.uint8)
            pixels[..., channel] += 100
            Image.fromarray(pixels).save(tmp_path / "photos" / label / f"{number}.png")
    return tmp_path / "photos"


def assert_one_sentence(result, *words: str, code: int = 2) -> None:
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr and "Exception ignored" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: "), result.stderr
    for word in words:
        assert word in last


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "words", [["--version"], ["predict", "PHOTOS"], ["predict", "PHOTOS", "--json"]]
)
def test_a_full_disk_behind_standard_output(photos, words):
    named = [photos if word == "PHOTOS" else word for word in words]
    with open("/dev/full", "w") as full:
        result = pawsure(*named, stdout=full)
    assert_one_sentence(result, "Standard output can't be written: no space left")


def test_a_full_disk_for_heat_maps(photos, small_disk, tmp_path):
    model = red_or_blue_model_file(tmp_path / "model.onnx")
    disk = small_disk(20_000)
    result = pawsure("predict", photos, "--model", model, "--evidence", disk / "maps")
    assert_one_sentence(result, ".evidence.jpg can't be written: no space left")
    assert not [path for path in (disk / "maps").iterdir() if path.name.startswith(".")]


def test_a_full_disk_for_an_audit_and_its_cache(photos, small_disk, tmp_path):
    model = red_or_blue_model_file(tmp_path / "model.onnx")
    disk, small = small_disk(20_000), small_disk(20_000)
    result = pawsure(
        *("audit", photos, "--model", model, "--out", disk / "audit"), PAWSURE_CACHE=str(small)
    )
    assert f"The cache {small} can't be written" in result.stderr
    assert_one_sentence(result, f"{disk / 'audit'}", "can't be written: no space left")
    assert not list(disk.iterdir())
    result = pawsure(
        *("audit", photos, "--model", model, "--out", tmp_path / "audit"), PAWSURE_CACHE=str(small)
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "audit" / "audit.html").is_file()
    assert not list(small.rglob("*.keys"))


def test_a_cache_that_is_a_file_is_replaced_by_a_temporary_one(photos, tmp_path):
    model = red_or_blue_model_file(tmp_path / "model.onnx")
    (tmp_path / "cache").write_text("in the way")
    before = set(Path(tempfile.gettempdir()).glob("pawsure-cache-*"))
    result = pawsure(
        *("audit", photos, "--model", model, "--out", tmp_path / "audit"),
        PAWSURE_CACHE=str(tmp_path / "cache"),
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("can't be written") == 1
    assert set(Path(tempfile.gettempdir()).glob("pawsure-cache-*")) <= before


def test_without_a_home_folder_the_cache_is_temporary(monkeypatch):
    monkeypatch.setattr(cache, "_temporary", cache._Temporary())
    monkeypatch.setenv(cache.VARIABLE, "~/cache")

    def nobody(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", nobody)
    folder = cache.cache_dir()
    assert folder.is_dir() and folder == cache.cache_dir()
    assert os.environ[cache.VARIABLE] == str(folder)  # for the processes that this one starts


def test_what_writes_into_the_cache_is_tried_again_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_temporary", cache._Temporary())
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    tried = []

    def write() -> Path:
        tried.append(cache.cache_dir())
        if tmp_path in (tried[-1], *tried[-1].parents):
            raise OSError(errno.ENOSPC, "No space left on device")
        return tried[-1]

    assert cache.in_cache(write) == tried[1] != tmp_path
    said = []
    monkeypatch.setattr(NO_PROGRESS, "say", said.append, raising=False)
    cache.tell_notes(NO_PROGRESS)
    cache.tell_notes(NO_PROGRESS)
    assert len(said) == 1 and "no space left" in said[0]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), "a/b can't be written: no space"),
        (
            PermissionError(errno.EACCES, "Permission denied", "a"),
            "a can't be read or written: perm",
        ),
        (OSError(errno.EROFS, "Read-only file system", b"a"), "a can't be written: read-only"),
        (FileNotFoundError(errno.ENOENT, "No such file", "a"), "a is missing"),
        (OSError(errno.EIO, "Input/output error"), "A file can't be read or written: input"),
        (RuntimeError("h5: write failed: No space left on device"), "no space left"),
    ],
)
def test_errors_of_files_and_disks_leave_as_a_sentence(error, words):
    app = typer.Typer(cls=_Commands, pretty_exceptions_enable=False)

    @app.callback()
    def group() -> None: ...

    @app.command()
    def go() -> None:
        raise error

    result = CliRunner().invoke(app, ["go"])
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ") and words in result.stderr


@pytest.mark.parametrize("error", [ConnectionRefusedError(), TimeoutError(), ValueError("x")])
def test_other_errors_are_not_taken_for_those_of_files(error):
    assert storage_error(error) is None


def test_errors_name_the_file_that_was_to_be_written(tmp_path):
    with pytest.raises(OSError) as raised, atomic_path(tmp_path / "a.txt"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert raised.value.filename == str(tmp_path / "a.txt")
    with pytest.raises(OSError) as raised, atomic_folder(tmp_path / "folder") as made:
        (made / "no" / "such").write_text("")
    assert raised.value.filename == str(tmp_path / "folder" / "no" / "such")
    assert isinstance(storage_error(raised.value), StorageError)


def test_a_recipe_in_another_encoding_is_named(tmp_path):
    (tmp_path / "mine.toml").write_bytes('description = "café"\n'.encode("latin-1"))
    with pytest.raises(RecipeError, match=r"mine\.toml is not UTF-8 text \(byte 18 is 0xe9\)"):
        load_recipe(tmp_path / "mine.toml")


@pytest.mark.skipif(os.name == "nt", reason="the shell's way to close a stream")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error_and_no_file_takes_their_place(photos, tmp_path, closed):
    answers = tmp_path / "answers.csv"
    words = [sys.executable, "-m", "pawsure", "predict", str(photos), "--csv", str(answers)]
    line = f"{shlex.join(words)} {closed}"
    done = subprocess.run(
        ["sh", "-c", line],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(SOURCES)},
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert answers.read_text().startswith("path,")


def test_the_exit_code_stays_where_even_the_error_cannot_be_written():
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "pawsure", "--version"],
            stdout=full,
            stderr=full,
            env=os.environ | {"PYTHONPATH": str(SOURCES)},
            check=False,
        )
    assert done.returncode == 2

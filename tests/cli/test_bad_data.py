"""Data as it lies about, through the commands."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from drawn_pictures import fill
from tiny_models import red_or_blue_model_file
from typer.testing import CliRunner, Result
from whole_app import app

from pawsure.data.catalog import build_catalog
from pawsure.data.file_names import from_text
from pawsure.data.saved_catalog import load_catalog

GOOD = ["red/1.jpg", "red/2.jpg", "blue/1.jpg", "blue/2.jpg"]
SITES = [f"{site}/{label}/{n}.jpg" for site in "ab" for label in ("blue", "red") for n in "12"]


def pawsure(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("PAWSURE_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def model(tmp_path) -> Path:
    return red_or_blue_model_file(tmp_path / "model.onnx")


def lock(monkeypatch, name: str) -> None:
    """Let nobody search folders of a name, not even root."""
    real = os.scandir

    def scandir(path="."):
        if Path(os.fspath(path)).name == name:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)


def test_a_locked_folder_leaves_the_rest_answered(model, tmp_path, monkeypatch):
    photos = fill(tmp_path / "photos", [*GOOD, "red/locked/3.jpg"])
    lock(monkeypatch, "locked")
    result = pawsure("predict", photos, "--model", model, "--json")
    assert result.exit_code == 3
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(rows) == 5
    assert [row for row in rows if "error" in row] == [
        {
            "path": str(photos / "red/locked"),
            "error": "a folder that can't be searched: Permission denied",
        }
    ]


def test_a_locked_folder_leaves_the_rest_audited(model, tmp_path, monkeypatch):
    photos = fill(tmp_path / "photos", [*GOOD, "red/locked/3.jpg"])
    lock(monkeypatch, "locked")
    result = pawsure("audit", photos, "--model", model, "--out", tmp_path / "audit", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["pictures"] == 4
    told = "The folder red/locked can't be searched (Permission denied)"
    assert told in result.stderr and told in json.loads(result.stdout)["passed_over"][0]


def test_an_unreadable_file_that_is_named_is_one_bad_picture(model, tmp_path, monkeypatch):
    photos = fill(tmp_path / "photos", GOOD)
    real = os.access  # what typer asks
    monkeypatch.setattr(
        os, "access", lambda path, *a: not str(path).endswith("1.jpg") and real(path, *a)
    )
    result = pawsure("predict", photos / GOOD[0], photos / GOOD[2], "--model", model)
    assert result.exit_code == 0, result.stderr


@pytest.mark.skipif(os.name != "posix", reason="names of any bytes are a Unix matter")
@pytest.mark.parametrize("form", ["--json", "--csv", "--jsonl", "--parquet"])
def test_names_of_any_bytes_come_back(model, tmp_path, form):
    names = [os.fsdecode(b"k\xe4tze_\xff.jpg"), 'größe, "a".jpg', "line\nbreak.jpg"]
    try:
        photos = fill(tmp_path / "photos", names)
    except OSError:
        pytest.skip("this file system takes Unicode only")
    out = tmp_path / "answers"
    result = pawsure(
        "predict", photos, "--model", model, form, *([] if form == "--json" else [out])
    )
    assert result.exit_code == 0, result.stderr
    if form == "--json":
        assert result.stdout.isascii()
        paths = [json.loads(line)["path"] for line in result.stdout.splitlines()]
    elif form == "--jsonl":
        paths = [json.loads(line)["path"] for line in out.read_text("ascii").splitlines()]
    elif form == "--csv":
        with open(out, encoding="utf-8", newline="") as file:
            paths = [from_text(row["path"]) for row in csv.DictReader(file)]
    else:
        paths = [from_text(path) for path in pq.read_table(out)["path"].to_pylist()]
    assert sorted(paths) == sorted(str(photos / name) for name in names)
    assert all(Path(path).is_file() for path in paths)


@pytest.mark.skipif(os.name != "posix", reason="names of any bytes are a Unix matter")
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_cleaned_manifest_loses_no_file_for_its_name(model, tmp_path, suffix):
    labels = [os.fsdecode(b"k\xe4tze"), "red ", "=1+1"]
    try:
        photos = fill(tmp_path / "photos", [f"{one}/{n}.jpg" for one in labels for n in "12"])
    except OSError:
        pytest.skip("this file system takes Unicode only")
    clean = tmp_path / f"clean.{suffix}"
    result = pawsure(
        "audit", photos, "--model", model, "--out", tmp_path / "audit", "--apply", clean
    )
    assert result.exit_code == 0, result.stderr
    catalog = build_catalog(clean)
    assert not catalog.problems() and catalog.labels == ("=1+1", "kätze", "red")
    assert r"k\udce4tze" in (tmp_path / "audit/audit.html").read_text("utf-8")


@pytest.mark.parametrize("command", ["audit", "evaluate"])
def test_the_folder_that_names_the_label_is_asked_for_and_taken(model, tmp_path, command):
    photos = fill(tmp_path / "photos", SITES)
    words = {
        "audit": ["audit", photos, "--model", model, "--out", tmp_path / "audit"],
        "evaluate": ["evaluate", model, photos, "--split", "all"],
    }[command]
    asked = pawsure(*words)
    assert asked.exit_code == 4
    assert "--labels outer for a, b, --labels inner for blue, red" in asked.stderr
    answered = pawsure(*words, "--labels", "inner")
    assert answered.exit_code == 0, answered.stderr
    assert "blue" in answered.stdout


@pytest.mark.parametrize("command", ["train", "evaluate", "audit", "compare", "export"])
def test_every_command_that_reads_labels_can_be_told_which_folder_names_them(command):
    assert "--labels" in pawsure(command, "--help").stdout


@pytest.mark.skipif(os.name != "posix", reason="names of any bytes are a Unix matter")
def test_models_data_and_results_may_lie_in_folders_of_any_bytes(tmp_path):
    home = tmp_path / os.fsdecode(b"h\xe4user")
    try:
        photos = fill(home / "photos", GOOD)
    except OSError:
        pytest.skip("this file system takes Unicode only")
    model = red_or_blue_model_file(tmp_path / "model.onnx").rename(home / "model.onnx")
    answered = pawsure("predict", photos, "--model", model, "--parquet", home / "answers.parquet")
    assert answered.exit_code == 0, answered.stderr
    words = ("--model", model, "--out", home / "audit", "--apply", home / "clean.csv")
    audited = pawsure("audit", photos, *words)
    assert audited.exit_code == 0, audited.stderr
    catalog = build_catalog(home / "clean.csv")
    assert not catalog.problems()
    catalog.to_parquet(home / "catalog.parquet")
    again = load_catalog(home / "catalog.parquet", catalog.source)
    assert again is not None and again.path.tolist() == catalog.path.tolist()

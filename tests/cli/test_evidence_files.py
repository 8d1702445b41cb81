from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_models import red_or_blue_model_file
from typer.testing import CliRunner, Result
from whole_app import app

from pawsure.cli.evidence_files import plain_name


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return red_or_blue_model_file(tmp_path / "model.onnx")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Pictures of the same name in three folders, red in another half each."""
    for number, box in enumerate([(0, 0, 40, 60), (40, 0, 80, 60), (0, 0, 80, 30)]):
        picture = Image.new("RGB", (80, 60), "black")
        picture.paste("red", box)
        folder = tmp_path / "photos" / str(number)
        folder.mkdir(parents=True)
        picture.save(folder / ("Rex.png" if number else "rex.png"))
    return tmp_path / "photos"


def predict(*words: object) -> Result:
    return CliRunner().invoke(app, ["predict", *map(str, words)])


def index_of(folder: Path) -> dict[str, str]:
    with (folder / "index.csv").open(newline="") as file:
        return {row["path"]: row["evidence"] for row in csv.DictReader(file)}


def warm_half(path: Path) -> str:
    """Where a map is warmest."""
    drawn = np.asarray(Image.open(path), int)
    warmth = drawn[..., 0] - drawn[..., 2]
    halves = {
        "left": warmth[:, :40],
        "right": warmth[:, 40:],
        "top": warmth[:30],
        "bottom": warmth[30:],
    }
    return max(halves, key=lambda name: halves[name].mean())


def test_every_picture_has_a_map_that_follows_what_is_in_it(model, photos, tmp_path):
    result = predict(photos, "--model", model, "--evidence", tmp_path / "maps")
    assert result.exit_code == 0, result.stderr
    files = index_of(tmp_path / "maps")
    assert len(files) == len({name.casefold() for name in files.values()}) == 3
    assert {path.name for path in (tmp_path / "maps").iterdir()} == {*files.values(), "index.csv"}
    found = [warm_half(tmp_path / "maps" / name) for _, name in sorted(files.items())]
    assert found == ["left", "right", "top"]
    assert "3 heat maps are in " in result.stderr


def test_json_stays_as_it_is_and_a_second_run_writes_the_same_files(model, photos, tmp_path):
    words = (photos, "--model", model, "--json", "--evidence", tmp_path / "maps")
    first, before = predict(*words), index_of(tmp_path / "maps")
    second = predict(*words)
    assert first.stdout == second.stdout == predict(*words[:-2]).stdout
    assert index_of(tmp_path / "maps") == before


def test_a_picture_that_cannot_be_read_has_no_map(model, photos, tmp_path):
    (photos / "broken.jpg").write_bytes(b"no picture")
    result = predict(photos, "--model", model, "--evidence", tmp_path / "maps")
    assert result.exit_code == 3
    assert len(index_of(tmp_path / "maps")) == 3


def test_maps_are_not_drawn_among_the_pictures(model, photos):
    for folder in (photos, photos / "maps", photos / "1"):
        result = predict(photos, "--model", model, "--evidence", folder)
        assert result.exit_code == 2
        assert "is inside" in result.stderr
    assert not (photos / "maps").exists()


def test_a_file_is_no_folder(model, photos, tmp_path):
    (tmp_path / "file").write_text("")
    result = predict(photos, "--model", model, "--evidence", tmp_path / "file")
    assert result.exit_code == 2 and "is a file" in result.stderr


@pytest.mark.parametrize(
    "stem",
    ["../up", "a/b", "a\\b", "..", ".", "", " ", "con", "NUL.a", "-rf", "x" * 300, "new\nline",
     "nul\0", "a:b", os.fsdecode(b"\xff\xfe"), "größe", "日本"],
)  # fmt: skip
def test_any_name_becomes_one_file_in_the_folder(stem, tmp_path):
    name = plain_name(stem)
    assert Path(name).name == name and name not in ("", ".", "..")
    assert not set(name) & set('/\\:\0\n<>|"?*') and not name.startswith("-")
    (tmp_path / (name + ".evidence.jpg")).write_bytes(b"")
    assert [path.parent for path in tmp_path.iterdir()] == [tmp_path]
    if stem in ("größe", "日本"):
        assert name == stem

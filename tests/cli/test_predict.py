from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from tiny_models import red_or_blue_model_file
from typer.testing import CliRunner, Result
from whole_app import app


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return red_or_blue_model_file(tmp_path / "model.onnx")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, colour in (("a", "red"), ("b", "blue"), ("c", "red")):
        Image.new("RGB", (40, 30), colour).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def broken(photos: Path) -> Path:
    path = photos / "b2.jpg"
    path.write_bytes(b"this is no picture")
    return path


def predict(*words: object) -> Result:
    return CliRunner().invoke(app, ["predict", *map(str, words)])


def test_text_has_a_line_a_picture_and_ends_with_the_next_command(model, photos):
    result = predict(photos, "--model", model)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert [line.split()[1] for line in lines] == ["red", "blue", "red"]
    assert all(line.split()[2].endswith("%") for line in lines)
    assert "3 pictures: 2 red, 1 blue" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("As a table: pawsure predict ")


def test_json_is_one_object_a_line_and_nothing_else(model, photos, broken):
    result = predict(photos, "--model", model, "--json")
    assert result.exit_code == 3
    assert result.stderr == ""
    objects = [json.loads(line) for line in result.stdout.splitlines()]
    assert [Path(item["path"]).name for item in objects] == ["a.png", "b.png", "b2.jpg", "c.png"]
    answered, failed = objects[0], objects[2]
    assert set(answered) == {
        "path",
        "answer",
        "label",
        "probability",
        "probabilities",
        "familiarity",
        "message",
    }
    assert answered["answer"] == answered["label"] == "red"
    assert sum(answered["probabilities"].values()) == pytest.approx(1)
    assert set(failed) == {"path", "error"}


def test_an_unreadable_picture_is_named_and_the_rest_is_answered(model, photos, broken):
    result = predict(photos, "--model", model)
    assert result.exit_code == 3
    assert len(result.stdout.splitlines()) == 3
    assert "b2.jpg" in result.stderr
    assert "1 could not be read" in result.stderr


def test_one_unreadable_picture_alone_is_code_3(model, broken):
    assert predict(broken, "--model", model, "--json").exit_code == 3


def test_csv_has_a_column_for_each_label_and_for_errors(model, photos, broken, tmp_path):
    table = tmp_path / "answers.csv"
    result = predict(photos, "--model", model, "--csv", table)
    assert result.exit_code == 3
    assert result.stdout == ""
    rows = list(csv.DictReader(table.open()))
    assert [row["answer"] for row in rows] == ["red", "blue", "", "red"]
    assert float(rows[0]["probability_red"]) == pytest.approx(float(rows[0]["probability"]))
    assert rows[2]["error"] and not rows[2]["probability"]
    assert str(table) in result.stderr


def test_parquet_says_the_same_as_csv(model, photos, broken, tmp_path):
    predict(photos, "--model", model, "--csv", tmp_path / "answers.csv")
    predict(photos, "--model", model, "--parquet", tmp_path / "answers.parquet")
    rows = list(csv.DictReader((tmp_path / "answers.csv").open()))
    table = pq.read_table(tmp_path / "answers.parquet")
    assert table.column_names == list(rows[0])
    for from_csv, from_parquet in zip(rows, table.to_pylist(), strict=True):
        as_text = {key: "" if value is None else str(value) for key, value in from_parquet.items()}
        assert as_text == from_csv


def test_two_destinations_are_refused(model, photos, tmp_path):
    result = predict(photos, "--model", model, "--json", "--csv", tmp_path / "a.csv")
    assert result.exit_code == 2
    assert "Choose one of --json, --csv" in result.stderr


def test_a_table_in_no_folder_is_refused_before_the_work(model, photos, tmp_path):
    result = predict(photos, "--model", model, "--csv", tmp_path / "nowhere" / "a.csv")
    assert result.exit_code == 2
    assert "nowhere" in result.stderr


def test_a_file_that_is_no_model_is_code_5_and_leaves_no_table(photos, tmp_path):
    (tmp_path / "fake.onnx").write_text("hello")
    result = predict(photos, "--model", tmp_path / "fake.onnx", "--csv", tmp_path / "a.csv")
    assert result.exit_code == 5
    assert "fake.onnx is not an ONNX file" in result.stderr
    assert not (tmp_path / "a.csv").exists()


def test_a_model_file_that_was_cut_short_is_code_5(model, photos):
    model.write_bytes(model.read_bytes()[:300])
    result = predict(photos, "--model", model)
    assert result.exit_code == 5
    assert "cut short" in result.stderr


def test_no_path_is_wrong_usage():
    assert predict().exit_code == 2


def test_help_has_an_example():
    assert "Example: pawsure predict" in predict("--help").stdout

from __future__ import annotations

import json

import pytest
from drawn_pictures import put
from PIL import Image
from planted_copies import CHANGES, detailed_jpeg, opened
from tiny_models import red_or_blue_model_file
from typer.testing import CliRunner
from whole_app import app
from wrong_agreement import wrong_agreement


def audit(*words: object):
    return CliRunner().invoke(app, ["audit", *map(str, words)])


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("PAWSURE_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def model(tmp_path):
    return red_or_blue_model_file(tmp_path / "model.onnx")


@pytest.fixture
def data(tmp_path):
    for seed in range(20):
        put(tmp_path / "data" / ("a" if seed % 2 else "b") / f"{seed}.jpg", detailed_jpeg(seed))
    put(tmp_path / "data" / "a" / "half.jpg", CHANGES["half"](opened(detailed_jpeg(1))))
    put(tmp_path / "data" / "a" / "cut.jpg", detailed_jpeg(50)[:700])
    return tmp_path / "data"


def test_findings_are_told_and_kept(data, model, tmp_path):
    result = audit(data, "--model", model, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "22 pictures: a 11, b 10" in result.stdout
    assert "Copies: 0 exact ones and 1 near-copy, in 1 group." in result.stdout
    assert "a/cut.jpg  truncated" in result.stdout
    last = result.stderr.splitlines()[-1]
    words = f"--model {model} --apply clean.csv"
    assert last == f"To write a manifest without 2 pictures: pawsure audit {data} {words}"
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"audit.html", "audit.csv", "audit.parquet", "audit.json"}


def test_where_nothing_would_be_left_out_the_next_command_is_another_one(data, model, tmp_path):
    for name in ("half", "cut"):
        (data / "a" / f"{name}.jpg").unlink()
    result = audit(data, "--model", model, "--out", tmp_path / "out")
    assert result.stderr.splitlines()[-1] == f"To train on them: pawsure train {data}"


def test_nothing_found_is_said_and_no_manifest_is_offered(model, tmp_path):
    for seed in range(20):
        grey = opened(detailed_jpeg(seed)).convert("L")
        dark = grey.point(lambda level: level // 4)
        bands = (grey, dark, dark) if seed % 2 else (dark, dark, grey)
        file = tmp_path / "data" / ("red" if seed % 2 else "blue") / f"{seed}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.merge("RGB", bands).save(file)
    result = audit(tmp_path / "data", "--model", model, "--out", tmp_path / "out")
    assert "No problems found." in result.stdout
    assert "Few pictures: " in result.stdout  # not a fault of any picture
    assert "--apply" not in result.stderr
    page = (tmp_path / "out" / "audit.html").read_text(encoding="utf-8")
    assert "No problems found." in page


def test_leakage_is_told_by_pairs(tmp_path, model):
    for seed in range(12):
        put(
            tmp_path / "data/train" / ("a" if seed % 2 else "b") / f"{seed}.jpg",
            detailed_jpeg(seed),
        )
        other = detailed_jpeg(seed + 50)
        put(tmp_path / "data/val" / ("a" if seed % 2 else "b") / f"{seed}.jpg", other)
    put(tmp_path / "data/val/b/small.jpg", CHANGES["half"](opened(detailed_jpeg(4))))
    result = audit(tmp_path / "data", "--model", model, "--out", tmp_path / "out")
    assert "Leakage: 1 validation picture of 13 (7.7%) has a copy" in result.stdout
    assert "  val/b/small.jpg (validation) is train/b/4.jpg (train)" in result.stdout


def test_json_is_one_object(data, model, tmp_path):
    result = audit(data, "--model", model, "--out", tmp_path / "out", "--json")
    told = json.loads(result.stdout)
    assert told["near_copies"] == 1 and told["unreadable"] == 1
    assert told == {
        "folder": str(tmp_path / "out"),
        "manifest": None,
        **json.loads((tmp_path / "out" / "audit.json").read_text()),
    }


def test_a_cleaned_manifest_is_written_and_said_how_to_use(data, model, tmp_path):
    clean = tmp_path / "clean.csv"
    result = audit(data, "--model", model, "--out", tmp_path / "out", "--apply", clean)
    assert f"{clean} lists 20 pictures; 2 are left out." in result.stderr
    assert result.stderr.splitlines()[-1] == f"To train on them: pawsure train {clean}"
    assert len(clean.read_text().splitlines()) == 21


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--leave-out", "blank"], "--leave-out is for --apply FILE"),
        (["--apply", "clean.txt"], "--apply writes a manifest"),
        (["--model", "nothing.onnx"], "There is no model file"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_made(data, tmp_path, words, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = audit(data, "--out", tmp_path / "out", *words)
    assert result.exit_code in (2, 5)
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


def test_an_audit_that_is_there_is_not_overwritten(data, model, tmp_path):
    (tmp_path / "out").mkdir()
    result = audit(data, "--model", model, "--out", tmp_path / "out")
    assert result.exit_code == 2 and "exists already" in result.stderr


def test_data_that_are_not_there_are_an_error():
    result = audit("nowhere")
    assert result.exit_code == 4 and "There is no 'nowhere'" in result.stderr


def test_what_is_told_agrees_with_its_numbers(data, model, tmp_path):
    clean = tmp_path / "clean.csv"
    result = audit(data, "--model", model, "--out", tmp_path / "out", "--apply", clean)
    assert result.exit_code == 0, result.output
    assert wrong_agreement(result.output) == []
    (data / "a" / "half.jpg").unlink()
    result = audit(
        data, "--model", model, "--out", tmp_path / "again", "--apply", tmp_path / "b.csv"
    )
    assert "lists 20 pictures; 1 is left out." in result.stderr


def test_the_wrong_agreement_would_be_found():
    assert wrong_agreement("<p>Copies (1 <b>groups</b>); 1 are left out, 21 are not</p>") == [
        "1 groups",
        "1 are",
    ]

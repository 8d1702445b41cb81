from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from awkward_pictures import awkward
from tiny_runs import pictures_with_a_spot, tiny_run
from typer.testing import CliRunner, Result
from whole_app import app

import pawsure
from pawsure.installation import install_command


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return tiny_run(tmp_path_factory.mktemp("tiny") / "run")[0]


def export(*words: object) -> Result:
    return CliRunner().invoke(app, ["export", *map(str, words)])


@pytest.fixture(scope="module")
def int8(run) -> tuple[Path, Result]:
    out = run.parent / "int8"
    return out, export(run, "--to", "int8", "--out", out, "--json")


def test_an_export_holds_model_labels_figures_and_how_to_use_it(int8):
    out, result = int8
    assert result.exit_code == 0, result.stderr
    assert {path.name for path in out.iterdir()} == {
        "model.onnx",
        "labels.txt",
        "model.json",
        "README.md",
    }
    assert (out / "labels.txt").read_text() == "blue\nred\n"
    told = json.loads((out / "model.json").read_text())
    printed = json.loads(result.stdout)
    assert told["agreement"] == printed["agreement"]
    assert printed["agreement"]["changed"] == 0
    assert printed["accuracy"]["n"] == 6
    assert printed["num_bytes"] == (out / "model.onnx").stat().st_size


def test_figures_are_in_the_model_file_too(int8):
    metadata = pawsure.load(int8[0]).metadata
    assert metadata.precision == "int8"
    assert metadata.figures["int8"]["accuracy"]["split"] == "test"


def test_an_int8_export_predicts(int8, run):
    picture = run.parent / "pictures" / "red" / "0.png"
    result = CliRunner().invoke(app, ["predict", str(picture), "--model", str(int8[0]), "--json"])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["label"] == "red"


def test_the_code_in_the_readme_runs(int8, run, tmp_path):
    check_readme_code(int8[0], run, tmp_path)


def check_readme_code(out: Path, run: Path, tmp_path: Path) -> None:
    """Run the code beside an export, as its reader would."""
    folder = shutil.copytree(out, tmp_path / "export")
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    pictures = {name: data for name, data in awkward().items() if name in AWKWARD}
    pictures["red.png"] = (run.parent / "pictures" / "red" / "1.png").read_bytes()
    for name, data in pictures.items():
        (folder / name).write_bytes(data)
    if importlib.util.find_spec("ai_edge_litert") is None:
        ours = "import tensorflow; Interpreter = tensorflow.lite.Interpreter"
        code = code.replace("from ai_edge_litert.interpreter import Interpreter", ours)
    each = "import shutil, sys\nfor name in sys.argv[2:]:\n    shutil.copy(name, 'picture.jpg')\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{each}    exec(sys.argv[1], {{}})", code, *pictures],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    model = pawsure.load(run)
    for name, line in zip(pictures, done.stdout.splitlines(), strict=True):
        answer = model(folder / name)
        said, probability = line.split()
        assert said in (answer.label, answer.answer), name
        assert float(probability) == pytest.approx(answer.probability, abs=0.05), name


AWKWARD = ("alpha.png", "grey16.png", "grey12.png", "cmyk.jpg", "palette-alpha.png", "turned-6.jpg")


def test_people_are_told_the_difference_and_what_to_do_next(run, tmp_path):
    out = tmp_path / "int8"
    result = export(run, "--to", "int8", "--out", out)
    assert result.exit_code == 0, result.stderr
    assert "label changed for 0 (0.00%)" in result.stdout
    assert "Accuracy on 6 test pictures: 100.0%" in result.stdout
    assert result.stderr.splitlines()[-1] == (
        f"To use it: pawsure predict PICTURES --model {out}/model.onnx"
    )


def test_an_unknown_format_is_refused_with_those_there_are(run, tmp_path):
    result = export(run, "--to", "coreml", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "no format 'coreml'. --to takes int8, two-looks, litert" in result.stderr


def test_a_path_that_exists_is_refused(run, tmp_path):
    result = export(run, "--to", "int8", "--out", tmp_path)
    assert result.exit_code == 2
    assert f"{tmp_path} exists already" in result.stderr


def test_what_is_no_model_is_refused(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_text("no model")
    result = export(path, "--to", "int8", "--out", tmp_path / "out")
    assert result.exit_code == 5
    assert not (tmp_path / "out").exists()


def test_int8_of_a_lone_model_file_asks_for_data(run, tmp_path):
    model = shutil.copy(run / "model.onnx", tmp_path / "model.onnx")
    result = export(model, "--to", "int8", "--out", tmp_path / "out")
    assert result.exit_code == 4
    assert f"No training data recorded for {model}" in result.stderr
    assert "needs the training pictures: --data DATA" in result.stderr
    pictures = run.parent / "pictures"
    result = export(model, "--to", "int8", "--out", tmp_path / "out", "--data", pictures)
    assert result.exit_code == 0, result.stderr


def test_data_that_have_gone_are_named(run, tmp_path):
    moved = shutil.copytree(run, tmp_path / "moved")
    (moved / "metrics.json").write_text(json.dumps({"data": str(tmp_path / "gone")}))
    result = export(moved, "--to", "int8", "--out", tmp_path / "out")
    assert result.exit_code == 4
    assert str(tmp_path / "gone") in result.stderr
    assert "needs the training pictures: --data DATA" in result.stderr


def test_max_changed_must_be_a_share(run, tmp_path):
    result = export(run, "--to", "int8", "--out", tmp_path / "out", "--max-changed", "lots")
    assert result.exit_code == 2
    assert "got 'lots'" in result.stderr


@pytest.mark.parametrize(
    ("words", "model"),
    [
        (["saved-model"], "saved_model"),
        (["litert"], "model.tflite"),
        (["litert", "--precision", "int8"], "model.tflite"),
    ],
)
def test_formats_of_tensorflow_are_checked_and_their_code_runs(words, model, run, tmp_path):
    out = tmp_path / "out"
    result = export(run, "--out", out, "--to", *words, "--json")
    assert result.exit_code == 0, result.stderr
    printed = json.loads(result.stdout)
    assert printed["agreement"]["changed"] == 0
    assert printed["agreement"]["n"] == 19
    assert (out / model).exists()
    check_readme_code(out, run, tmp_path)


@pytest.mark.parametrize("words", [["saved-model"], ["litert", "--precision", "int8"]])
def test_what_is_in_bytes_already_can_go_to_tensorflow(words, int8, run, tmp_path):
    out, data = tmp_path / "out", run.parent / "pictures"
    result = export(int8[0], "--out", out, "--data", data, "--to", *words, "--json")
    assert result.exit_code == 0, result.stderr
    agreement = json.loads(result.stdout)["agreement"]
    assert agreement["changed"] == 0
    assert agreement["max_changed"] == 0.02


@pytest.mark.slow  # draws the sample: 15 s
def test_a_lone_model_file_is_compared_on_drawn_pictures(run, tmp_path, monkeypatch):
    monkeypatch.setenv("PAWSURE_CACHE", str(tmp_path / "cache"))
    model = shutil.copy(run / "model.onnx", tmp_path / "model.onnx")
    result = export(model, "--to", "litert", "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.stderr
    assert "Comparing on drawn pictures" in result.stderr
    assert json.loads(result.stdout)["accuracy"] == {}


def test_only_litert_has_a_choice_of_precision(run, tmp_path):
    result = export(run, "--to", "int8", "--out", tmp_path / "out", "--precision", "int8")
    assert result.exit_code == 2
    assert "Only litert has a choice of --precision" in result.stderr
    result = export(run, "--to", "litert", "--out", tmp_path / "out", "--precision", "int4")
    assert result.exit_code == 2
    assert "--precision takes float32, float16, int8" in result.stderr


def test_an_export_that_disagrees_is_not_written(run, tmp_path, monkeypatch):
    """With a runtime that says the opposite."""
    from pawsure.export import formats

    class Opposite(formats.Predictor):
        def predict_batch(self, pictures):
            return super().predict_batch(255 - pictures)

    original = formats._int8

    def wrong(*words, **settings):
        made = original(*words, **settings)
        return formats.replace(made, runtime=Opposite(made.model).predict_batch)

    monkeypatch.setattr(formats, "_int8", wrong)
    result = export(run, "--to", "int8", "--out", tmp_path / "out")
    assert result.exit_code == 5
    assert "another label than the model file for 19 of 19 pictures" in result.stderr
    assert "Nothing was written" in result.stderr
    assert list(tmp_path.iterdir()) == []
    allowed = export(run, "--to", "int8", "--out", tmp_path / "out", "--max-changed", "100%")
    assert allowed.exit_code == 0, allowed.stderr


def test_missing_tensorflow_is_named_with_what_brings_it(run, tmp_path, monkeypatch):
    for name in ("export.litert", "export.saved_model", "network.framework"):
        monkeypatch.delitem(sys.modules, f"pawsure.{name}", raising=False)
    monkeypatch.delitem(sys.modules, "pawsure.export.tensorflow_graph", raising=False)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    result = export(run, "--to", "litert", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "needs 'tensorflow', which is not installed" in result.stderr
    assert install_command("train") in result.stderr
    assert not (tmp_path / "out").exists()


def test_int8_is_made_without_tensorflow(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    result = export(run, "--to", "int8", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr


def test_a_model_that_looks_twice_is_better_where_the_middle_tells(tmp_path):
    run, _ = tiny_run(
        tmp_path / "run", data=pictures_with_a_spot(tmp_path / "pictures", telling="middle")
    )
    result = export(run, "--to", "two-looks", "--out", tmp_path / "twice")
    assert result.exit_code == 0, result.stderr
    assert "log loss" in result.stdout
    assert f"--model {tmp_path / 'twice' / 'model.onnx'}" in result.stderr
    once, twice = pawsure.load(run), pawsure.load(tmp_path / "twice")
    losses = twice.metadata.figures["two-looks"]["accuracy"]["log_loss"]
    assert losses["after"] < losses["before"]
    assert twice.metadata.thresholds != once.metadata.thresholds
    check_readme_code(tmp_path / "twice", tmp_path / "twice", tmp_path)


def test_a_second_look_that_does_not_pay_is_refused(tmp_path):
    run, _ = tiny_run(
        tmp_path / "run", data=pictures_with_a_spot(tmp_path / "pictures", telling="rim")
    )
    result = export(run, "--to", "two-looks", "--out", tmp_path / "twice")
    assert result.exit_code == 5
    assert "no better than the model file" in result.stderr
    assert "Keep the model file" in result.stderr
    assert not (tmp_path / "twice").exists()


def test_help_has_an_example():
    result = CliRunner().invoke(app, ["export", "--help"])
    assert "pawsure export runs/mine --to int8 --out exports/mine-int8" in result.stdout

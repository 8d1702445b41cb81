from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result
from whole_app import app

from pawsure.errors import StorageError
from pawsure.installation import install_command
from pawsure.progress import Progress
from pawsure.training import entry, run


@dataclass
class FakeRun:
    folder: Path = Path("runs/x")
    model_file: Path = Path("runs/x/model.onnx")
    metrics: dict[str, Any] = field(default_factory=lambda: {"accuracy": 0.9})
    summary: tuple[str, ...] = ("test accuracy 90.0%",)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the command asks of the function that trains, which is not run."""
    seen: list[dict[str, Any]] = []

    def start_training(data: str, **options: Any) -> FakeRun:
        seen.append({"data": data, **options})
        return FakeRun()

    monkeypatch.setattr(entry, "train", start_training)
    return seen


def train(*words: object) -> Result:
    return CliRunner().invoke(app, ["train", *map(str, words)])


def test_options_reach_the_run(calls):
    result = train(
        *("photos", "--recipe", "classic", "--out", "runs/x", "--image-size", 160),
        *("--backbone", "mobilenet", "--weights", "none", "--seed", 7),
    )
    assert result.exit_code == 0, result.stderr
    (call,) = calls
    call.pop("progress")
    call.pop("on_folder")
    assert call == {
        "data": "photos",
        "recipe": "classic",
        "out": Path("runs/x"),
        "resume": None,
        "tensorboard": None,
        "mlflow": None,
        "strict": False,
        "labels": None,
        "overrides": {"image_size": 160, "backbone": "mobilenet", "weights": "none", "seed": 7},
    }


def test_leakage_can_be_refused(calls):
    train("photos", "--strict")
    assert calls[0]["strict"] is True


@pytest.mark.parametrize(("said", "meant"), [("0.5%", 0.005), ("0.005", 0.005), ("1", 1.0)])
def test_when_not_to_answer_reaches_the_recipe(calls, said, meant):
    train("photos", "--max-error", said, "--neither", "strangers")
    assert calls[0]["overrides"] == {"trust.max_error": meant, "trust.neither": "strangers"}


@pytest.mark.parametrize("said", ["much", "-1%", "120%", "nan"])
def test_a_share_that_is_none_is_refused(calls, said):
    result = train("photos", "--max-error", said)
    assert result.exit_code == 2 and "such as 0.5%" in result.stderr
    assert not calls


def test_where_to_watch_reaches_the_run(calls):
    train("photos", "--tensorboard", "boards", "--mlflow", "mlruns")
    assert (calls[0]["tensorboard"], calls[0]["mlflow"]) == (Path("boards"), "mlruns")


def test_what_is_not_given_is_left_to_the_recipe(calls):
    train("photos")
    assert calls[0]["overrides"] == {}
    assert calls[0]["recipe"] == "default"


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("seed=7", "seed", 7),
        ("learning_rate = 1e-4", "learning_rate", 1e-4),
        ("flip=true", "flip", True),
        ("weights=pets", "weights", "pets"),
        ("weights='a=b'", "weights", "a=b"),
        ("sizes=[1, 2]", "sizes", [1, 2]),
    ],
)
def test_settings_are_read_as_toml_and_else_as_text(calls, text, key, value):
    train("photos", "--set", text)
    assert calls[0]["overrides"] == {key: value}


@pytest.mark.parametrize("text", ["seed", "=7", "seed="])
def test_a_setting_without_key_or_value_is_wrong_usage(calls, text):
    result = train("photos", "--set", text)
    assert result.exit_code == 2
    assert "KEY=VALUE" in result.stderr
    assert not calls


def test_text_ends_with_the_next_command(calls):
    result = train("photos")
    assert result.stdout == "test accuracy 90.0%\n"
    assert result.stderr == ("To use it: pawsure predict PICTURES --model runs/x/model.onnx\n")


@pytest.mark.parametrize("verbose", [False, True])
def test_details_are_shown_with_verbose_and_warnings_always(monkeypatch, verbose):
    def start_training(data: str, *, progress: Progress, **options: Any) -> FakeRun:
        progress.detail("a step")
        progress.say("a warning")
        return FakeRun()

    monkeypatch.setattr(entry, "train", start_training)
    result = train("photos", *["--verbose"] * verbose)
    assert ("a step" in result.stderr) is verbose
    assert "a warning" in result.stderr


def test_json_is_one_object(calls):
    result = train("photos", "--json")
    assert json.loads(result.stdout) == {
        "folder": "runs/x",
        "model": "runs/x/model.onnx",
        "metrics": {"accuracy": 0.9},
    }
    assert result.stderr == ""


def test_resuming_takes_no_other_recipe(calls):
    result = train("photos", "--resume", "runs/x", "--seed", 1)
    assert result.exit_code == 2
    assert "pawsure train photos --resume runs/x" in result.stderr
    assert not calls
    train("photos", "--resume", "runs/x")
    assert calls[0]["resume"] == Path("runs/x")


def test_without_the_extra_it_says_what_to_install(monkeypatch, tmp_path):
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)

    def run_training(data: str, **options: Any) -> FakeRun:
        raise ModuleNotFoundError("No module named 'keras'", name="keras")

    monkeypatch.setattr(run, "train", run_training)
    result = train("photos")
    assert result.exit_code == 2
    assert install_command("train") in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothere"], "There is no 'nothere'"),
        (["photos", "--recipe", "besst"], "There is no recipe 'besst'"),
        (["photos", "--set", "sed=7"], "a key 'sed' that no recipe knows"),
        (["photos", "--weights", "nothere.npz"], "There are no weights 'nothere.npz'"),
        (["photos", "--neither", "nothere"], "There is no 'nothere', which was given"),
        (["photos", "--out", "photos"], "photos exists already"),
        (["photos", "--resume", "nothere"], "nothere is not a run that can be resumed"),
    ],
)
def test_what_was_typed_is_checked_before_the_extra_is_missed(monkeypatch, tmp_path, words, said):
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("tensorflow", "keras", "onnx", "pawsure.training.run"):
        monkeypatch.setitem(sys.modules, name, None)
    result = train(*words)
    assert result.exit_code in (2, 4), result.stderr
    assert said in result.stderr
    assert "not installed" not in result.stderr


@pytest.fixture
def ended_by(monkeypatch, tmp_path):
    """Trains for a while in a folder with an odd name, and is ended by an error."""

    def train_until(error: BaseException, *words: object, opens: bool = True) -> Result:
        folder = tmp_path / "my run"
        monkeypatch.chdir(tmp_path)
        (tmp_path / "my photos").mkdir()

        def run_training(data, *, on_folder, **options):
            if opens:
                folder.mkdir()
                on_folder(folder)
            raise error

        monkeypatch.setattr(run, "train", run_training)
        return train("my photos", *words)

    return train_until


def test_ctrl_c_says_how_to_resume(ended_by, tmp_path):
    result = ended_by(KeyboardInterrupt(), "--strict", "--tensorboard", "boards")
    assert result.exit_code == 130
    assert result.stderr == (
        f"Stopped. To resume this run: pawsure train 'my photos' --resume '{tmp_path / 'my run'}' "
        "--tensorboard boards --strict\n"
    )


def test_ctrl_c_before_the_run_began_says_so(ended_by):
    result = ended_by(KeyboardInterrupt(), opens=False)
    assert result.exit_code == 130
    assert "before the run began; repeat the command" in result.stderr


def test_a_full_disk_says_how_to_resume(ended_by):
    result = ended_by(StorageError("x can't be written: no space left."))
    assert result.exit_code == 2
    assert "no space left. To resume the run: pawsure train 'my photos' --resume" in result.stderr

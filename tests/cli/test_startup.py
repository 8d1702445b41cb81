"""What often starts has to start light: each module named here costs every single call."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from tiny_models import red_or_blue_model_file

from pawsure.cli.app import COMMANDS

TRAINING_ONLY = {"tensorflow", "keras", "onnx", "sklearn", "scipy", "h5py"}
# rich takes 0.1 s and pyarrow 0.15 s to import; a prediction takes 0.3 s in all.
NOT_FOR_ONE_ANSWER = TRAINING_ONLY | {"pyarrow", "rich", "pydantic", "asyncio"}
# What only the other commands and the other kinds of data need.
NOT_FOR_A_FOLDER = NOT_FOR_ONE_ANSWER | {"zipfile", "ssl", "http", "threadpoolctl"}
NOT_FOR_HELP = TRAINING_ONLY | {"pyarrow", "onnxruntime", "numpy", "PIL"}


def loaded_by(*words: object) -> set[str]:
    """The top-level modules that a whole `pawsure …` loads."""
    program = """
import sys
from pawsure.cli.app import main
sys.argv = ["pawsure", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    print("\\nexit", end.code, *sorted({name.partition(".")[0] for name in sys.modules}))
"""
    result = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)], capture_output=True, text=True
    )
    *_, closing = result.stdout.splitlines()
    assert closing.startswith(("exit 0 ", "exit None ")), result.stdout + result.stderr
    return set(closing.split()[2:])


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(words):
    assert not loaded_by(*words) & NOT_FOR_HELP


def test_only_the_command_that_was_asked_for_is_loaded(tmp_path: Path):
    program = """
import sys
from pawsure.cli.app import main
sys.argv = ["pawsure", "predict", "--help"]
try:
    main()
except SystemExit:
    print(*sorted(name for name in sys.modules if name.startswith("pawsure.cli.")))
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    loaded = set(result.stdout.splitlines()[-1].split())
    assert {f"pawsure.cli.{name}" for name in COMMANDS} & loaded == {"pawsure.cli.predict"}


def test_an_unknown_command_is_told_those_that_come_near():
    result = subprocess.run(
        [sys.executable, "-m", "pawsure", "pridict"], capture_output=True, text=True
    )
    assert result.returncode == 2
    assert "No such command 'pridict'" in result.stderr
    assert "predict" in result.stderr.replace("pridict", "")


def test_predict_loads_only_what_answers(tmp_path: Path):
    model = red_or_blue_model_file(tmp_path / "model.onnx")
    Image.new("RGB", (40, 30), "red").save(tmp_path / "red.jpg")
    assert not loaded_by("predict", tmp_path / "red.jpg", "--model", model) & NOT_FOR_ONE_ANSWER


@pytest.mark.parametrize("words", [[], ["--json"], ["--csv", "a.csv"], ["--jsonl", "a.jsonl"]])
def test_a_folder_loads_no_more(tmp_path: Path, words, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = red_or_blue_model_file(tmp_path / "model.onnx")
    for name in ("a", "b", "c"):
        Image.new("RGB", (40, 30), "red").save(tmp_path / f"{name}.jpg")
    assert not loaded_by("predict", tmp_path, "--model", model, *words) & NOT_FOR_A_FOLDER


def test_importing_pawsure_loads_nothing_of_others():
    program = "import sys, pawsure; print(*{name.partition('.')[0] for name in sys.modules})"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    loaded = set(result.stdout.split())
    assert not loaded & (NOT_FOR_ONE_ANSWER | NOT_FOR_HELP | {"typer"})


def test_the_command_and_the_module_are_the_same():
    shown = [
        subprocess.run([*command, "--version"], capture_output=True, text=True).stdout
        for command in (
            [sys.executable, "-m", "pawsure"],
            [str(Path(sys.executable).parent / "pawsure")],
        )
    ]
    assert shown[0] == shown[1] != ""

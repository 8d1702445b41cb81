from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pawsure
from pawsure.errors import RecipeError, RunFolderError, SourceError, UsageError
from pawsure.progress import NO_PROGRESS
from pawsure.progress_bars import Lines
from pawsure.training import run as training
from pawsure.training.finished import Run
from pawsure.training.recipe import Recipe, load_recipe


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """What is asked of the function that trains, which is not run."""
    monkeypatch.chdir(tmp_path)
    for name in ("photos", "others"):
        (tmp_path / name).mkdir()
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr(training, "train", lambda data, **options: seen.append(options))
    return seen


def test_what_the_command_has_options_for_are_arguments(calls):
    pawsure.train(
        "photos",
        recipe="classic",
        image_size=160,
        backbone="mobilenet",
        weights="none",
        neither=Path("others"),
        max_error=0.02,
        seed=7,
        overrides={"stages.head.epochs": 3},
    )
    recipe = calls[0]["recipe"]
    assert isinstance(recipe, Recipe) and recipe.name == "classic"
    assert (recipe.model.image_size, recipe.model.backbone) == (160, "mobilenet")
    assert (recipe.model.weights, recipe.seed) == ("none", 7)
    assert (recipe.trust.neither, recipe.trust.max_error) == ("others", 0.02)
    assert recipe.stages[0].epochs == 3


def test_a_recipe_that_is_one_already_can_be_changed_too(calls):
    pawsure.train("photos", recipe=load_recipe("fast", {"seed": 3}), weights="pets")
    recipe = calls[0]["recipe"]
    assert (recipe.name, recipe.seed, recipe.model.weights) == ("fast", 3, "pets")


def test_progress_is_shown_unless_it_is_not_wanted(calls):
    mine = Lines(sys.stdout, verbose=True)
    pawsure.train("photos")
    pawsure.train("photos", verbose=False)
    pawsure.train("photos", progress=mine)
    shown, quiet, own = (call["progress"] for call in calls)
    assert isinstance(shown, Lines)
    assert quiet is NO_PROGRESS
    assert own is mine


@pytest.mark.parametrize(
    ("data", "options", "error", "said"),
    [
        ("nothere", {}, SourceError, "There is no 'nothere'"),
        ("photos", {"recipe": "besst"}, RecipeError, "There is no recipe 'besst'"),
        ("photos", {"weights": "nothere.npz"}, UsageError, "There are no weights 'nothere.npz'"),
        ("photos", {"neither": "nothere"}, SourceError, "There is no 'nothere', which was given"),
        ("photos", {"out": "others"}, RunFolderError, "others exists already"),
        ("photos", {"resume": "nothere"}, RunFolderError, "nothere is not a run"),
        ("photos", {"resume": "others", "seed": 1}, UsageError, "Leave out recipe, out and all"),
    ],
)
def test_mistakes_are_told_before_anything_is_loaded(calls, data, options, error, said):
    with pytest.raises(error, match=said):
        pawsure.train(data, **options)
    assert not calls


def test_without_the_extra_it_says_what_to_install(tmp_path):
    program = """
import sys
sys.modules["onnx"] = None
import pawsure
try:
    pawsure.train(sys.argv[1])
except pawsure.PawsureError as error:
    print(type(error).__name__, error)
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("MissingExtraError This needs 'onnx', which is not installed.")


METRICS = {
    "test": {"n": 52, "accuracy": {"value": 0.9615, "low": 0.87, "high": 0.9894}},
    "validation": {"confusion_matrix": [[1, 2]] * 1000},
}


def test_a_run_is_shown_in_one_line():
    run = Run(folder=Path("runs/x"), model_file=Path("runs/x/model.onnx"), metrics=METRICS)
    assert repr(run) == "Run('runs/x', test accuracy 96.2% [87.0%, 98.9%] of 52)"


def test_a_run_of_few_test_pictures_is_not_known_by_them():
    accuracy = {"value": 1.0, "low": 0.772, "high": 1.0}
    crossed = {"folds": 5, "of": "linear probe", "n": 77} | {"accuracy": accuracy | {"value": 0.99}}
    for known, words in (
        ({}, "13 test pictures: too few"),
        ({"cross_validation": crossed}, "cross-validated accuracy 99.0% [77.2%, 100.0%] of 77"),
    ):
        metrics = {"test": {"n": 13, "accuracy": accuracy}} | known
        run = Run(folder=Path("runs/x"), model_file=Path("m"), metrics=metrics)
        assert repr(run) == f"Run('runs/x', {words})"


def test_a_run_shows_its_summary_in_a_notebook():
    run = Run(
        folder=Path("<runs>"),
        model_file=Path("m"),
        metrics={},
        summary=["Right & good", "Run folder: <runs>"],
    )
    html = run._repr_html_()
    assert "<li>Right &amp; good</li>" in html and "<runs>" not in html

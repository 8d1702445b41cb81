from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner, Result
from whole_app import app

from pawsure.evaluation.intervals import wilson
from pawsure.installation import install_command
from pawsure.training import compare as comparing
from pawsure.training.compare import Candidate, Comparison, Skipped


def candidate(name: str, hits: int, speed: float, **changes: Any) -> Candidate:
    return Candidate(
        backbone=name,
        title=name.title(),
        accuracy=hits / 200,
        interval=wilson(hits, 200),
        log_loss=0.1,
        pictures_per_s=speed,
        size_mb=9.08,
        seconds=2.0,
        **changes,
    )


COMPARISON = Comparison(
    candidates=(
        candidate("mobilenet_075", 195, 640, is_unbeaten=True),
        candidate("mobilenet_v2", 180, 600, p_value=0.001, behind=-0.075),
    ),
    skipped=(
        Skipped(
            backbone="resnet50_v2",
            title="ResNet50V2",
            reason="The weights.h5 are not at hand. Ways out: many.",
        ),
    ),
    split="test",
    num_pictures=200,
    num_train=1800,
    image_size=128,
)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path) -> list[dict[str, Any]]:
    """What the command asks of the function that compares, which is not run."""
    monkeypatch.chdir(tmp_path)
    for name in ("photos", "my photos"):
        (tmp_path / name).mkdir()
    seen: list[dict[str, Any]] = []

    def compare_backbones(data: str, recipe: Any, **options: Any) -> Comparison:
        seen.append({"data": data, "recipe": recipe, **options})
        return COMPARISON

    monkeypatch.setattr(comparing, "compare_backbones", compare_backbones)
    return seen


def compare(*words: object) -> Result:
    return CliRunner().invoke(app, ["compare", *map(str, words)])


def test_options_reach_the_comparison(calls, tmp_path):
    result = compare(
        *("photos", "--backbones", "mobilenet, mobilenet_v2", "--fine-tune", "--seed", 7),
        *("--image-size", 160, "--weights", "none", "--split", "test", "--recipe", "classic"),
        *("--out", tmp_path / "out"),
    )
    assert result.exit_code == 0, result.stderr
    (call,) = calls
    recipe = call["recipe"]
    assert (recipe.name, recipe.seed, recipe.model.image_size) == ("classic", 7, 160)
    assert recipe.model.weights == "none"
    assert call["backbones"] == ["mobilenet", "mobilenet_v2"]
    assert (call["fine_tune"], call["split"]) == (True, "test")
    assert call["out"] == tmp_path / "out"


def test_the_table_has_a_row_for_each_and_marks_those_that_nobody_beats(calls):
    result = compare("photos")
    best, other = (
        next(line for line in result.stdout.splitlines() if name in line)
        for name in ("mobilenet_075", "mobilenet_v2")
    )
    assert "★" in best and "97.5%" in best and "640" in best and "9.1" in best
    assert "0.100" in best and "2.0" in best  # log loss, seconds
    assert "★" not in other and "=" not in other and "90.0%" in other
    assert calls[0]["backbones"] is None


def test_the_recommendation_follows_the_table(calls):
    lines = compare("photos").stdout.splitlines()
    assert lines[-1] == (
        "Recommended: mobilenet_075 is the most accurate (97.5%); all others are significantly "
        "less accurate."
    )


def test_a_fine_tuned_row_has_both_accuracies_and_the_seconds_of_both(calls, monkeypatch):
    tuned = replace(
        COMPARISON.candidates[0],
        fine_tuned=0.985,
        fine_tuned_interval=wilson(197, 200),
        fine_tuned_log_loss=0.05,
        fine_tuned_seconds=60.0,
    )
    failed = replace(COMPARISON.candidates[1], note="It has no such layer.")
    both = replace(COMPARISON, candidates=(tuned, failed))
    monkeypatch.setattr(comparing, "compare_backbones", lambda *_, **__: both)
    result = compare("photos", "--fine-tune")
    first, second = (
        next(line for line in result.stdout.splitlines() if name in line)
        for name in ("mobilenet_075 ", "mobilenet_v2 ")
    )
    assert all(cell in first for cell in ("97.5%", "98.5%", "0.050", " 62 "))
    assert "–" in second and "90.0%" in second
    assert "Mobilenet_V2 was not fine-tuned: It has no such layer." in result.stderr


@pytest.mark.parametrize(("n", "is_told"), [(19, True), (20, False)])
def test_nothing_is_recommended_by_a_few_pictures(calls, monkeypatch, n, is_told):
    few = replace(COMPARISON, num_pictures=n)
    monkeypatch.setattr(comparing, "compare_backbones", lambda *_, **__: few)
    assert ("No recommendation: 19 pictures" in compare("photos").stdout) == is_told


def test_what_was_skipped_is_said_and_the_next_command_comes_last(calls):
    lines = compare("my photos", "--image-size", 160).stderr.splitlines()
    assert "Skipped ResNet50V2: The weights.h5 are not at hand." in lines
    assert lines[-1] == (
        "To train the most accurate: pawsure train 'my photos' "
        "--backbone mobilenet_075 --image-size 160"
    )


def test_the_table_and_the_plot_are_kept(calls, tmp_path):
    compare("photos")
    folder = tmp_path / "runs" / "compare-1"
    assert json.loads((folder / "compare.json").read_text()) == json.loads(
        json.dumps(COMPARISON.to_dict())
    )
    assert (folder / "compare.svg").read_text().startswith("<svg")


def test_json_is_one_object(calls):
    result = compare("photos", "--json")
    told = json.loads(result.stdout)
    assert [one["backbone"] for one in told["candidates"]] == ["mobilenet_075", "mobilenet_v2"]
    assert told["folder"] == "runs/compare-1"


def test_a_folder_that_exists_is_refused_before_any_work(calls, tmp_path):
    result = compare("photos", "--out", tmp_path)
    assert result.exit_code == 2
    assert "exists already" in result.stderr
    assert not calls


def test_backbones_without_a_name_are_wrong_usage(calls):
    result = compare("photos", "--backbones", " , ")
    assert result.exit_code == 2
    assert "names separated by commas" in result.stderr


def test_without_the_extra_it_says_what_to_install(calls, monkeypatch):
    def lack(*args: Any, **options: Any) -> Comparison:
        raise ModuleNotFoundError("No module named 'keras'", name="keras")

    monkeypatch.setattr(comparing, "compare_backbones", lack)
    result = compare("photos")
    assert result.exit_code == 2
    assert install_command("train") in result.stderr


def test_data_that_do_not_exist_are_refused_before_any_work(calls):
    result = compare("nothere")
    assert result.exit_code == 4
    assert "There is no 'nothere'" in result.stderr
    assert not calls

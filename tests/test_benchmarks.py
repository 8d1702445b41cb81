"""Benchmarks compare only what does the same work."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_models import red_or_blue_model_file

HERE = Path(__file__).parents[1] / "benchmarks"
COMPARING = (
    "accuracy",
    "cold_start",
    "depth",
    "memory",
    "prediction",
    "serving",
    "training",
    "trust",
)


@pytest.fixture
def benchmark_module(monkeypatch: pytest.MonkeyPatch):
    """Imports a script of `benchmarks` by its path."""
    monkeypatch.syspath_prepend(str(HERE))
    before = set(sys.modules)

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"benchmark_{name}", HERE / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # its dataclasses look themselves up
        spec.loader.exec_module(module)
        return module

    yield load
    for name in set(sys.modules) - before:
        if str(HERE) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def agreement(benchmark_module) -> ModuleType:
    return benchmark_module("agreement")


def refusal(call: Any, *arguments: Any, **named: Any) -> str:
    """What a benchmark ends with; the exit code of words is 1."""
    with pytest.raises(SystemExit) as ended:
        call(*arguments, **named)
    assert isinstance(ended.value.code, str)
    return ended.value.code


def test_every_script_that_compares_asks_whether_its_sides_agree():
    """Those that do not: they plant what is to be found, or compare a file with itself."""
    asking = {
        path.stem for path in HERE.glob("*.py") if "from agreement import" in path.read_text()
    }
    assert asking == set(COMPARING)


def test_labels_that_differ_by_half_are_no_comparison(agreement):
    labels = {"float32": [0, 1] * 50, "keras": [0] * 100}
    words = refusal(agreement.require_same_labels, labels)
    assert "float32 and keras agree on 50.0% of 100 labels; at least 97.0% is needed" in words


def test_labels_that_differ_by_rounding_are_told(agreement):
    labels = {"float32": [0] * 100, "int8": [1] + [0] * 99, "keras": [0] * 100}
    assert agreement.require_same_labels(labels) == {"float32": 1.0, "int8": 0.99}


def test_other_numbers_of_answers_are_no_comparison(agreement):
    words = refusal(agreement.require_same_labels, {"ours": [0, 0], "keras": [0]})
    assert "pictures answered differ (ours: 2; keras: 1)" in words
    assert "no side answered" in refusal(agreement.require_same_labels, {"a": [], "b": []})


@pytest.mark.parametrize("value", [0.6, float("nan")])
def test_values_that_are_far_apart_are_no_comparison(agreement, value):
    agreement.require_close("accuracy", {"a": 0.51, "b": 0.5}, tolerance=0.05)
    words = refusal(agreement.require_close, "accuracy", {"b": value, "a": 0.5}, tolerance=0.05)
    assert "accuracy differs by" in words


class Pretended:
    """A side of prediction.py whose labels are known."""

    labels: dict[str, list[int]] = {}
    sure: dict[str, float] = {"keras": 0.9, "ours": 0.9}

    def __init__(self, script: str, model: Path) -> None:
        self.is_keras = "keras" in script
        self.found = self.labels["keras" if "keras" in script else "ours"]

    def do(self, what: str, **order: Any) -> dict[str, Any]:
        if what == "probabilities":
            sure = self.sure["keras" if self.is_keras else "ours"]
            probabilities = np.where(np.eye(2)[self.found] == 1, sure, 1 - sure)
            return {"probabilities": probabilities.tolist()}
        return {"seconds": 1.0, "pictures": len(self.found), "labels": self.found}

    def rate(self, what: str, **order: Any) -> float:
        return 1.0

    def close(self) -> None:
        pass


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(300):
        Image.new("RGB", (8, 8), (number % 256, 0, 0)).save(folder / f"{number:03}.jpg")
    return folder


@pytest.mark.parametrize("half", [True, False])
def test_a_network_that_is_given_other_pixels_is_found_before_it_is_timed(
    agreement, pictures, tmp_path, monkeypatch, half
):
    count = agreement.NUM_CHECKED
    Pretended.labels = {"ours": [0, 1] * (count // 2), "keras": [0, 1] * (count // 2)}
    if half:
        Pretended.labels["keras"] = [0] * count
    monkeypatch.setattr(agreement, "Side", Pretended)
    models = {"float32": red_or_blue_model_file(tmp_path / "m.onnx")}
    if half:
        words = refusal(agreement.require_same_answers, models, Path("m.keras"), pictures)
        assert "not the same network, or do not scale pixels alike" in words
    else:
        same = agreement.require_same_answers(models, Path("m.keras"), pictures)
        assert same == {"float32": 1.0}


def test_labels_that_are_all_the_same_prove_nothing(agreement, pictures, tmp_path, monkeypatch):
    count = agreement.NUM_CHECKED
    Pretended.labels = {"ours": [0] * count, "keras": [0] * count}
    monkeypatch.setattr(Pretended, "sure", {"keras": 0.99, "ours": 0.6})
    monkeypatch.setattr(agreement, "Side", Pretended)
    models = {"int8": red_or_blue_model_file(tmp_path / "m.onnx")}
    words = refusal(agreement.require_same_answers, models, Path("m.keras"), pictures)
    assert "logits of int8 and keras differ by 91.2%" in words


def test_prediction_measures_nothing_where_sides_disagree(
    benchmark_module, pictures, tmp_path, monkeypatch
):
    prediction = benchmark_module("prediction")
    measured = []
    monkeypatch.setattr(
        prediction, "require_same_answers", lambda *given: sys.exit("No comparison: 49%")
    )
    for part in prediction.AGAINST_KERAS:
        monkeypatch.setattr(prediction, f"measure_{part}", lambda *given: measured.append(given))
    out = tmp_path / "out.json"
    monkeypatch.setattr(sys, "argv", ["prediction.py", "run", str(pictures), "--json", str(out)])
    assert "49%" in refusal(prediction.main)
    assert not measured and not out.exists()


def test_a_folder_on_which_sides_disagree_gives_no_ratio(
    benchmark_module, pictures, tmp_path, monkeypatch
):
    prediction = benchmark_module("prediction")
    Pretended.labels = {"ours": [0, 1] * 10, "keras": [0] * 20}
    monkeypatch.setattr(prediction, "Side", Pretended)
    arguments = SimpleNamespace(run=Path("run"), folder=pictures, folder_pictures=20, turns=1)
    models = {"float32": Path("run/model.onnx")}
    words = refusal(prediction.measure_folder, arguments, models, tmp_path)
    assert "float32 and keras agree on 50.0%" in words
    Pretended.labels["keras"] = [0, 1] * 10
    found = prediction.measure_folder(arguments, models, tmp_path / "again")
    assert found["same_label_as_keras"] == {"float32": 1.0}
    assert found["times_keras"] == {"float32": 1.0}


def histories(**changes: Any) -> tuple[dict, dict, dict]:
    plain = {
        "pictures": {"train": 80, "validation": 10},
        "head": {"val_accuracy": [0.7, 0.9], "val_loss": [0.5, 0.3]},
    }
    rows = [
        {"epoch": 1, "validation_accuracy": 0.7, "validation_loss": 0.5},
        {"epoch": 2, "validation_accuracy": 0.88, "validation_loss": 0.3},
    ]
    ours = {
        "counts": {"train": {"cat": 40, "dog": 40}, "validation": {"cat": 5, "dog": 5}},
        "stages": [{"name": "head", "history": rows}],
    }
    again = {"stages": [{"name": "head", "history": [dict(row) for row in rows]}]}
    return plain, ours, again


def test_training_is_compared_where_both_did_as_much_to_about_the_same_end(benchmark_module):
    check = benchmark_module("training").require_same_training
    check(*histories())
    plain, ours, again = histories()
    plain["pictures"]["train"] = 70
    assert "train pictures differ (plain: 70; pawsure: 80)" in refusal(check, plain, ours, again)
    plain, ours, again = histories()
    plain["head"]["val_accuracy"] = [0.7]
    assert "epochs of head differ (plain: 1; pawsure: 2)" in refusal(check, plain, ours, again)
    plain, ours, again = histories()
    plain["head"]["val_accuracy"] = [0.5, 0.49]
    assert "best validation accuracy of head differs" in refusal(check, plain, ours, again)
    plain, ours, again = histories()
    again["stages"][0]["history"][1]["validation_loss"] = 0.35
    assert "validation loss of head, epoch 2 differs" in refusal(check, plain, ours, again)


def test_recipes_are_compared_on_the_same_pictures(benchmark_module):
    accuracy = benchmark_module("accuracy")
    rows = [
        {"recipe": recipe, "runs": [{"seed": 0, "fingerprint": mark}]}
        for recipe, mark in (("fast", "a"), ("default", "a"), ("classic", "b"))
    ]
    accuracy._require_same_pictures(rows[:2])
    assert "splits of seed 0 differ (fast: a" in refusal(accuracy._require_same_pictures, rows)


def test_a_server_that_refused_is_not_compared(benchmark_module):
    serving = benchmark_module("serving")
    good, bad = ({"64": {"statuses": each}} for each in ({"200": 9}, {"200": 9, "503": 1}))
    serving.require_all_answered({"pawsure": good, "naive": good})
    words = refusal(serving.require_all_answered, {"pawsure": bad, "naive": good})
    assert "pawsure with 64 clients" in words


def test_another_network_than_the_naive_servers_is_not_compared(benchmark_module, monkeypatch):
    serving = benchmark_module("serving")
    words = refusal(serving.require_same_network, "pets")
    assert "backbone differ (MODEL: efficientnet_lite2; naive server: mobilenet_v2)" in words
    words = refusal(serving.require_same_network, "pets-small")
    assert "passes a picture differ (MODEL: 2; naive server: 1)" in words
    monkeypatch.setitem(serving.NAIVE, "passes a picture", 2)
    serving.require_same_network("pets-small")


def test_two_graphs_with_other_logits_are_not_timed(benchmark_module):
    trust = benchmark_module("trust")
    logits = np.random.default_rng(0).normal(size=(4, 2))
    trust.require_same_logits(logits, logits + 1e-6)
    assert "largest logit difference" in refusal(trust.require_same_logits, logits, logits + 0.1)


def test_small_sets_measure_on_kinds_that_the_background_was_not_made_of(
    benchmark_module, tmp_path, monkeypatch
):
    small_sets = benchmark_module("small_sets")
    monkeypatch.setattr(small_sets, "draw_sample", lambda folder, count: None)
    roots = {name: tmp_path / name for name in ("things", "oxford", "defects", "others")}
    kinds = [f"kind{number:02}" for number in range(20)]
    for name, folders in (("things", kinds), ("others", [*kinds, "near_wolf", "umbrella"])):
        for kind in folders:
            (roots[name] / kind).mkdir(parents=True)
            for number in range(6):
                Image.new("RGB", (4, 4)).save(roots[name] / kind / f"{number}.jpg")
    for name in ("oxford", "defects"):
        (roots[name] / "cat").mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(roots[name] / "cat" / "persian_1.jpg")
    (tmp_path / "drawn" / "sample").mkdir(parents=True)
    monkeypatch.setattr(small_sets, "list_pictures", listed_if_any(small_sets.list_pictures))
    cases = small_sets.sets(*roots.values(), tmp_path / "drawn")
    used = {name: set(small_sets.background_kinds(roots[name])) for name in ("things", "others")}
    for seed in range(3):
        found = cases["3 classes of 30"](seed)
        mine = {Path(path).parent for path in [*found.label, *found.held_out]}
        theirs = {Path(path).parent for path in found.others}
        assert len(mine) == 3 and not mine & theirs
        assert not (mine | theirs) & (used["things"] | used["others"])
        assert not {"near_wolf", "umbrella"} & {kind.name for kind in theirs}


def listed_if_any(list_pictures: Any) -> Any:
    """No pictures in place of an error, for folders that this test leaves empty."""

    def listed(roots: list[Path]) -> list[Path]:
        roots = [root for root in roots if any(Path(root).rglob("*.jpg"))]
        return [Path(path) for path in list_pictures(roots)] if roots else []

    return listed

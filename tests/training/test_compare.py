from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from pawsure.errors import DataError, MissingExtraError, UsageError, WeightsError
from pawsure.evaluation.intervals import wilson
from pawsure.network.recipe import ModelRecipe
from pawsure.training import compare
from pawsure.training.compare import Candidate, Comparison, compare_backbones
from pawsure.training.recipe import Recipe, SplitRecipe, Stage

SMALL = Recipe(
    model=ModelRecipe(image_size=32, weights="none"),
    split=SplitRecipe(validation=0.25, test=0.25),
    stages=(Stage(name="head", epochs=1),),
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty red and twenty blue squares with grain, and one file that is no picture."""
    root = tmp_path_factory.mktemp("colours")
    rng = np.random.default_rng(0)
    for label, colour in (("red", (200, 30, 30)), ("blue", (30, 30, 200))):
        (root / label).mkdir()
        for number in range(20):
            pixels = rng.normal(colour, 25, (40, 40, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / label / f"{number}.png")
    (root / "red" / "broken.png").write_bytes(b"no picture")
    return root


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAWSURE_CACHE", str(cache))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))


@pytest.fixture(scope="module")
def found(pictures: Path, cache: Path) -> Comparison:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAWSURE_CACHE", str(cache))
        return compare_backbones(pictures, SMALL, backbones=["mobilenet_050", "mobilenet_075"])


def test_each_backbone_has_accuracy_speed_and_size(found):
    assert {one.backbone for one in found.candidates} == {"mobilenet_050", "mobilenet_075"}
    for one in found.candidates:
        assert one.interval.low <= one.accuracy <= one.interval.high
        assert one.pictures_per_s > 0
    sizes = {one.backbone: one.size_mb for one in found.candidates}
    # 0.83 and 1.83 million parameters of four bytes (Keras Applications' table, without top).
    assert 3.2 < sizes["mobilenet_050"] < 3.7
    assert 7.2 < sizes["mobilenet_075"] < 7.8


def test_a_choice_is_made_by_validation_and_leaves_the_test_split_alone(found):
    assert found.split == "validation"
    assert 0 < found.num_pictures < 20
    assert found.num_train + found.num_pictures < 40


def test_the_comparison_goes_into_json(found):
    told = json.loads(json.dumps(found.to_dict()))
    assert told["candidates"][0]["interval"]["low"] <= told["candidates"][0]["accuracy"]


def test_a_second_time_nothing_is_exported_or_extracted(pictures, found, monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("exported again")

    monkeypatch.setattr(compare, "export_prefix", refuse)
    again = compare_backbones(pictures, SMALL, backbones=["mobilenet_050"], split="test")
    assert again.split == "test"


def test_a_backbone_whose_weights_cannot_be_had_is_skipped_and_fetching_is_tried_once(
    pictures, monkeypatch
):
    tried = []

    def fail(model, *args, **options):
        tried.append(model.backbone)
        raise WeightsError(f"No weights of {model.backbone}. Ways out: none.")

    monkeypatch.setattr(compare, "export_prefix", fail)
    imagenet = replace(SMALL, model=ModelRecipe(image_size=32, weights="imagenet"))
    with pytest.raises(WeightsError, match="No backbone can be tried. No weights of resnet50_v2"):
        compare_backbones(
            pictures, imagenet, backbones=["resnet50_v2", "mobilenet", "mobilenet_v2"]
        )
    assert tried == ["resnet50_v2"]


def test_one_that_is_skipped_does_not_stop_the_others(pictures, found, monkeypatch):
    find_prefix = compare.find_prefix

    def find(model, *args, **options):
        if model.backbone == "resnet50_v2":
            raise WeightsError("Not at hand.")
        return find_prefix(model, *args, **options)

    monkeypatch.setattr(compare, "find_prefix", find)
    two = compare_backbones(pictures, SMALL, backbones=["resnet50_v2", "mobilenet_050"])
    assert [one.backbone for one in two.candidates] == ["mobilenet_050"]
    assert [(one.backbone, one.reason) for one in two.skipped] == [("resnet50_v2", "Not at hand.")]


def test_a_backbone_that_takes_larger_pictures_only_is_skipped(pictures, found):
    tiny = replace(SMALL, model=ModelRecipe(image_size=16, weights="none"))
    with pytest.raises(WeightsError, match="at least 32 pixels a side; 16 were asked for"):
        compare_backbones(pictures, tiny, backbones=["mobilenet_050"])


def test_an_unknown_backbone_is_refused_before_any_work():
    with pytest.raises(UsageError, match="no backbone 'mobilnet'"):
        compare_backbones("nowhere", SMALL, backbones=["mobilenet", "mobilnet"])


def test_data_without_a_test_split_are_refused(tmp_path):
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for number in range(2):
            colour = (90 * number, 200, 10 if label == "a" else 99)
            Image.new("RGB", (40, 40), colour).save(tmp_path / label / f"{number}.png")
    with pytest.raises(DataError, match="too few pictures for a (test|validation) split"):
        compare_backbones(tmp_path, SMALL, backbones=["mobilenet_050"], split="test")


def test_fine_tuning_runs_the_recipe_with_each_backbone(pictures, found, tmp_path, monkeypatch):
    calls = []

    def train(data, *, recipe, out, labels, progress):
        calls.append((recipe.model.backbone, recipe.stages, out))
        accuracy = {"value": 0.5, "low": 0.4, "high": 0.6}
        figures = {"accuracy": accuracy, "log_loss": {"value": 0.7}}
        return SimpleNamespace(metrics={"validation": figures, "seconds": {"all": 12.5}})

    monkeypatch.setattr(compare, "train", train)
    tuned = compare_backbones(
        pictures, SMALL, backbones=["mobilenet_050"], fine_tune=True, out=tmp_path
    )
    (one,) = tuned.candidates
    assert calls == [("mobilenet_050", SMALL.stages, tmp_path / "mobilenet_050")]
    assert (one.fine_tuned, one.best_accuracy) == (0.5, 0.5)
    assert one.fine_tuned_interval.high == 0.6
    assert (one.best_log_loss, one.fine_tuned_seconds) == (0.7, 12.5)


def test_a_stage_that_names_anothers_layer_becomes_a_note(pictures, found, monkeypatch):
    def train(*args, **options):
        raise UsageError("mobilenet has no layer 'block_11_expand'.")

    monkeypatch.setattr(compare, "train", train)
    (one,) = compare_backbones(
        pictures, SMALL, backbones=["mobilenet_050"], fine_tune=True
    ).candidates
    assert one.fine_tuned is None
    assert "no layer 'block_11_expand'" in one.note

    def lack(*args, **options):
        raise MissingExtraError("keras", "train")

    monkeypatch.setattr(compare, "train", lack)
    with pytest.raises(MissingExtraError):
        compare_backbones(pictures, SMALL, backbones=["mobilenet_050"], fine_tune=True)


def candidate(name: str, accuracy: float, speed: float) -> Candidate:
    return Candidate(
        backbone=name,
        title=name,
        accuracy=accuracy,
        interval=wilson(round(100 * accuracy), 100),
        log_loss=0.1,
        pictures_per_s=speed,
        size_mb=1,
        seconds=1,
    )


def test_those_that_nobody_beats_are_marked_and_the_best_come_first():
    ranked = compare._ranked(
        [
            candidate("slow and good", 0.98, 100),
            candidate("beaten", 0.95, 400),
            candidate("both", 0.96, 500),
            candidate("fast", 0.90, 900),
            candidate("as good, slower", 0.96, 450),
        ]
    )
    assert [one.backbone for one in ranked] == [
        *("slow and good", "both", "as good, slower", "beaten", "fast"),
    ]
    assert [one.is_unbeaten for one in ranked] == [True, True, False, False, True]


def test_equals_do_not_beat_each_other():
    ranked = compare._ranked([candidate("one", 0.9, 100), candidate("other", 0.9, 100)])
    assert all(one.is_unbeaten for one in ranked)


def test_heads_are_told_from_the_best_on_the_same_pictures():
    right = np.ones(200, bool)
    worse = right.copy()
    worse[:20] = False
    probes = [
        SimpleNamespace(candidate=candidate("worse", 0.9, 1), right=worse),
        SimpleNamespace(candidate=candidate("best", 1.0, 1), right=right),
    ]
    compared = compare._against_the_best([probe.candidate for probe in probes], probes)
    assert compared[0].behind == pytest.approx(-0.1)
    assert compared[0].p_value < 0.001
    assert (compared[1].behind, compared[1].p_value) == (0, 1)


def test_of_equally_accurate_heads_the_faster_is_the_one_to_compare_with():
    right = np.arange(200) > 20
    other = right[::-1]
    probes = [
        SimpleNamespace(candidate=candidate("slow", 0.9, 1), right=right),
        SimpleNamespace(candidate=candidate("fast", 0.9, 2), right=other),
    ]
    compared = compare._against_the_best([probe.candidate for probe in probes], probes)
    assert [one.p_value for one in compared] == [1, 1]
    assert compare._ranked(compared)[0].backbone == "fast"


def comparison(*candidates: Candidate, n: int = 1000) -> Comparison:
    return Comparison(
        candidates=compare._ranked(candidates),
        skipped=(),
        split="validation",
        num_pictures=n,
        num_train=2000,
        image_size=128,
    )


def with_p(name: str, accuracy: float, speed: float, p_value: float) -> Candidate:
    return replace(candidate(name, accuracy, speed), p_value=p_value)


def test_the_most_accurate_and_the_fastest_that_is_not_significantly_worse_are_recommended():
    told = comparison(
        with_p("best", 0.99, 100, 1.0),
        with_p("as good", 0.98, 250, 0.2),
        with_p("worse", 0.9, 900, 0.001),
    )
    assert (told.most_accurate.backbone, told.fastest.backbone) == ("best", "as good")
    assert told.recommendation() == (
        "Recommended for accuracy: best is the most accurate (99.0%). Recommended for speed: as "
        "good is 2.5 times as fast, and 1.0 points less accurate, which may be chance on 1,000 "
        "pictures (p = 0.20; log loss 0.100 against 0.100)."
    )
    assert json.loads(json.dumps(told.to_dict()))["recommended"] == {
        "most_accurate": "best",
        "fastest": "as good",
        "sentence": told.recommendation(),
    }


@pytest.mark.parametrize(
    ("candidates", "n", "expected"),
    [
        ([("best", 0.99, 100, 1.0), ("worse", 0.9, 900, 0.001)], 1000, "all others are signif"),
        ([("best", 0.99, 100, 1.0), ("slow", 0.98, 50, 0.3)], 1000, "about as accurate is faster"),
        ([("best", 0.99, 100, 1.0), ("no gain", 0.98, 110, 0.3)], 1000, "as accurate is faster"),
        ([("best", 0.99, 100, 1.0)], 1000, "Only best was tried: accuracy 99.0%"),
        ([("best", 0.99, 100, 1.0), ("other", 0.9, 900, 1.0)], 19, "No recommendation: 19 pict"),
    ],
)
def test_the_recommendation_says_why(candidates, n, expected):
    assert expected in comparison(*(with_p(*one) for one in candidates), n=n).recommendation()


@pytest.mark.parametrize(("fine_tuned", "is_worse"), [(0.97, False), (0.94, True)])
def test_fine_tuned_models_are_compared_by_their_shares(fine_tuned, is_worse):
    best, other = (
        replace(with_p(name, 0.9, speed, 1.0), fine_tuned=accuracy)
        for name, speed, accuracy in (("best", 100, 0.98), ("other", 900, fine_tuned))
    )
    told = comparison(best, other)
    assert (told.p_value(other) < compare.SIGNIFICANT) == is_worse
    assert told.fastest.backbone == ("best" if is_worse else "other")


def test_seconds_are_those_from_nothing_whatever_is_stored(pictures, found, monkeypatch):
    sampled = []

    def seconds(trial, predictor):
        sampled.append(predictor)
        return 100.0

    monkeypatch.setattr(compare._Trial, "_sampled", seconds)
    again = compare_backbones(pictures, SMALL, backbones=["mobilenet_050"])
    assert len(sampled) == 1
    used = again.num_train + again.num_pictures
    assert again.candidates[0].seconds == pytest.approx(100 * used, rel=0.01)


@pytest.mark.slow
def test_fine_tuning_for_real(pictures, tmp_path):
    (one,) = compare_backbones(
        pictures, SMALL, backbones=["mobilenet_050"], fine_tune=True, out=tmp_path
    ).candidates
    assert one.fine_tuned is not None
    assert (tmp_path / "mobilenet_050" / "model.onnx").is_file()

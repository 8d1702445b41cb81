"""Runs that can say "unsure" and "neither", on pictures that no constant was chosen for."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from pawsure.errors import DataError
from pawsure.model.predictor import Predictor

keras = pytest.importorskip("keras")

from pawsure.sample import draw_picture  # noqa: E402
from pawsure.training.run import train  # noqa: E402


def disc(rng: np.random.Generator, side: int = 48) -> Image.Image:
    """Something that is no stripes."""
    y, x = np.mgrid[:side, :side] / side - rng.uniform(0.3, 0.7, (2, 1, 1))
    inside = x**2 + y**2 < rng.uniform(0.1, 0.4) ** 2
    pixels = np.where(inside[..., np.newaxis], rng.integers(0, 256, 3), rng.integers(0, 256, 3))
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.fixture(scope="module")
def discs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("discs")
    rng = np.random.default_rng(3)
    for number in range(60):
        disc(rng).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def small():
    """The weights on board: drawn ones see nothing that a Gaussian could describe."""
    return {"weights": "pets", "image_size": 64, "validation": 0.2, "test": 0.2}


@pytest.fixture(scope="module")
def plain(striped, small, tmp_path_factory):
    """A run that was shown no strangers; its cache stays for the module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAWSURE_CACHE", str(tmp_path_factory.mktemp("cache")))
        return train(
            striped, recipe="fast", overrides=small, out=tmp_path_factory.mktemp("r") / "r"
        )


def answers(run, folder) -> list[str]:
    predictor = Predictor(run.model_file)
    return [answer.answer for answer in predictor.predict_paths(sorted(folder.iterdir()))]


def test_what_is_none_of_the_labels_is_called_neither(plain, discs, draw_stripes, tmp_path):
    assert answers(plain, discs).count("neither") > 45
    rng = np.random.default_rng(9)
    for number in range(40):
        draw_stripes(rng, number % 2 == 0).save(tmp_path / f"{number}.png")
    assert answers(plain, tmp_path).count("neither") < 12


def test_a_run_tells_what_it_fitted(plain):
    trust = json.loads((plain.folder / "metrics.json").read_text())["trust"]
    assert trust["calibration"]["method"] in ("temperature", "curve")
    # Right on all 24: less sure than it was, as 24 pictures can't bear out more.
    loss = {
        when: trust["calibration"]["validation"][when]["log_loss"]["value"]
        for when in ("before", "after")
    }
    assert loss["before"] < loss["after"] < 0.1
    assert trust["unsure"]["max_error"] == 0.01 and trust["unsure"]["pictures_needed"] == 230
    assert trust["neither"]["ood"] is None
    assert sum(trust["neither"]["test"]) == plain.metrics["test"]["n"]


def test_figures_say_how_many_are_answered(plain):
    told = plain.metrics["test"]["answers"]
    assert (
        sum(told[key]["n"] for key in ("answered", "unsure", "neither"))
        == (plain.metrics["test"]["n"])
    )
    assert plain.metrics["test"]["n"] >= 20
    assert any(line.startswith("Coverage ") for line in plain.summary)


def test_the_same_seed_gives_the_same_bytes_and_strangers_are_measured_apart(
    striped, small, discs, tmp_path
):
    changes = {**small, "trust.neither": str(discs), "trust.max_error": 0.1}
    first, second = (
        train(striped, recipe="fast", overrides=changes, out=tmp_path / name) for name in "ab"
    )
    assert first.model_file.read_bytes() == second.model_file.read_bytes()
    neither = first.metrics["trust"]["neither"]
    assert neither["num_ood"] + neither["ood"]["n"] == 60
    assert neither["ood"]["n"] > 0
    assert neither["ood"]["accepted"]["value"] < 0.3


def test_nothing_is_refused_where_nothing_is_asked_for(striped, small, tmp_path, discs):
    changes = {**small, "trust.max_error": 1.0, "trust.rejected": 0.0}
    run = train(striped, recipe="fast", overrides=changes, out=tmp_path / "run")
    assert Predictor(run.model_file).metadata.thresholds == {
        "unsure_below": None,
        "neither_below": None,
    }
    assert set(answers(run, discs)) <= {"level", "upright"}


def test_too_few_strangers_are_refused_before_anything_is_learned(striped, small, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    for number in range(3):
        disc(np.random.default_rng(number)).save(few / f"{number}.png")
    with pytest.raises(DataError, match="has 3 different usable pictures.*at least 8"):
        train(
            striped,
            recipe="fast",
            overrides={**small, "trust.neither": str(few)},
            out=tmp_path / "run",
        )


@pytest.mark.slow
def test_the_drawn_sample_has_its_strangers_too(tmp_path):
    """Drawn cats and dogs with the weights on board; drawn things are strangers."""
    rng = np.random.default_rng(0)
    for kind, count in (("cat", 150), ("dog", 150), ("neither", 100)):
        folder = tmp_path / ("strange" if kind == "neither" else f"data/{kind}")
        folder.mkdir(parents=True)
        for number in range(count):
            draw_picture(kind, rng, (128, 128)).save(folder / f"{number}.png")
    changes = {"weights": "pets", "validation": 0.2, "test": 0.2}
    alone = train(tmp_path / "data", recipe="fast", overrides=changes, out=tmp_path / "alone")
    accepted = 1 - answers(alone, tmp_path / "strange").count("neither") / 100
    assert accepted < 0.5
    changes["trust.neither"] = str(tmp_path / "strange")
    shown = train(tmp_path / "data", recipe="fast", overrides=changes, out=tmp_path / "shown")
    assert shown.metrics["trust"]["neither"]["ood"]["accepted"]["value"] <= accepted

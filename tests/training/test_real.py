"""Runs on real photographs, with ImageNet weights: `PAWSURE_DATA` and `KERAS_HOME` say where."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pawsure.data.catalog import build_catalog
from pawsure.data.split import assign_splits
from pawsure.model.predictor import Predictor

pytest.importorskip("keras")

from pawsure.training.run import train  # noqa: E402

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        "PAWSURE_DATA" not in os.environ or "KERAS_HOME" not in os.environ,
        reason="needs PAWSURE_DATA and KERAS_HOME",
    ),
]


@pytest.fixture(scope="module")
def small_set():
    return Path(os.environ["PAWSURE_DATA"]) / "cats-vs-dogs-3k.csv"


def test_a_linear_head_tells_real_cats_from_real_dogs(small_set, tmp_path):
    run = train(small_set, recipe="fast", out=tmp_path / "run")
    # 95.1% when this was written; the interval of 1,000 pictures is 1.3 points either way.
    assert run.metrics["validation"]["n"] == 1000
    assert run.metrics["validation"]["accuracy"]["value"] > 0.94
    assert run.metrics["test"]["accuracy"]["value"] > 0.9
    assert run.metrics["counts"]["test"]["cat"] > 50  # carved from training: none was given


def test_photographs_at_their_full_size_are_answered_as_well(small_set, tmp_path):
    """The model saw pictures of 200 pixels; these have 500 and come through the JPEG shortcut."""
    model = Predictor(train(small_set, recipe="fast", out=tmp_path / "run").model_file)
    folder = Path(os.environ["PAWSURE_DATA"]) / "full-size"
    paths = [path for label in ("cat", "dog") for path in sorted((folder / label).iterdir())[:60]]
    answers = list(model.predict_paths(paths))
    right = [answer.label == path.parent.name for path, answer in zip(paths, answers, strict=True)]
    assert sum(right) / len(right) > 0.9


def test_weights_on_board_are_better_than_imagenets_on_what_they_never_saw(tmp_path):
    # The split that they were trained with knew exact copies only; today's would also move
    # near-copies, and so put pictures that they have seen among the test pictures.
    data = Path(os.environ["PAWSURE_DATA"]) / "cats-vs-dogs"
    catalog = assign_splits(build_catalog(data), seed=0)
    (tmp_path / "photographs").symlink_to(data)
    lines = [
        f"photographs/{catalog.path[row]},{catalog.labels[catalog.label[row]]},{catalog.split[row]}"
        for row in catalog.where()
    ]
    manifest = tmp_path / "as-it-was.csv"
    manifest.write_text("\n".join(["path,label,split", *lines]) + "\n", encoding="utf-8")
    run = train(manifest, recipe="fast", overrides={"weights": "pets"}, out=tmp_path / "run")
    test = run.metrics["test"]
    assert test["n"] == 2005 and test["accuracy"]["value"] > 0.965

"""A run folder as `pawsure train` leaves it, made without training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_models import SIZE_PX, red_or_blue_model_file, tiny_model_file

from pawsure.data.catalog import Catalog, build_catalog
from pawsure.data.split import assign_splits
from pawsure.evaluation.diagnosis import diagnose
from pawsure.evaluation.evaluate import predict
from pawsure.evaluation.findings import StageRecord
from pawsure.evaluation.measure import Predictions, measure
from pawsure.model.predictor import Predictor
from pawsure.report.predictions import FILE_NAME, write_answers

RECIPE = """name = "fast"
seed = 0

[model]
backbone = "mobilenet_v2"
image_size = 16
weights = "pets"
"""

HISTORY = [
    {
        "epoch": epoch,
        "learning_rate": 0.001,
        "loss": 0.6 / epoch,
        "accuracy": 1 - 0.3 / epoch,
        "validation_loss": 0.7 / epoch + 0.05 * epoch,
        "validation_accuracy": 1 - 0.35 / epoch,
        "seconds": 0.1,
    }
    for epoch in range(1, 6)
]


def pictures(folder: Path, labels: tuple[str, ...], *, each: int = 30) -> Path:
    """Noisy pictures, reddish for the last label and bluish for the first; some of each are not."""
    rng = np.random.default_rng(0)
    for place, label in enumerate(labels):
        (folder / label).mkdir(parents=True)
        for number in range(each):
            redness = place / (len(labels) - 1) if number % 6 else rng.uniform()
            pixels = rng.integers(0, 60, (24, 32, 3))
            pixels[:, :, 0] += int(150 * redness)
            pixels[:, :, 2] += int(150 * (1 - redness))
            Image.fromarray(pixels.astype(np.uint8)).save(folder / label / f"{number}.png")
    return folder


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes run folders; see `_make`."""

    def make(*labels: str, each: int = 30, change: Callable[[Path], object] | None = None) -> Path:
        return _make(tmp_path_factory.mktemp("run"), labels or ("blue", "red"), each, change)

    return make


def _make(
    folder: Path, labels: tuple[str, ...], each: int, change: Callable[[Path], object] | None
) -> Path:
    """A run on pictures of some labels.

    Args:
        folder: everything goes there: the pictures into `data`, the run into `run`.
        labels: two are told apart by colour, more by a network that was drawn.
        each: pictures of each.
        change: done to the folder of pictures before it is read.
    """
    data, run = pictures(folder / "data", labels, each=each), folder / "run"
    if change is not None:
        change(data)
    run.mkdir()
    make = red_or_blue_model_file if labels == ("blue", "red") else tiny_model_file
    make(run / "model.onnx", **({} if make is red_or_blue_model_file else {"labels": labels}))
    catalog = assign_splits(build_catalog(data), seed=0, validation=0.25, test=0.35)
    predictor = Predictor(run)
    assert predictor.size_px == SIZE_PX
    found = {name: predict(predictor, catalog, split=name) for name in ("validation", "test")}
    catalog.to_parquet(run / "catalog.parquet")
    (run / "recipe.toml").write_text(RECIPE)
    write_answers(run / FILE_NAME, catalog, found, data=str(data))
    (run / "metrics.json").write_text(json.dumps(_metrics(catalog, found, data)))
    return run


def _metrics(catalog: Catalog, found: dict[str, Predictions], data: Path) -> dict[str, Any]:
    validation = found["validation"]
    record = StageRecord(
        name="head",
        history=HISTORY,
        kept_epoch=3,
        probability=validation.probability,
        epoch_probability={},
        in_time=True,
    )
    diagnosed = diagnose(
        [record],
        validation.label,
        recipe={"name": "fast", "model": {"image_size": 128}},
        data=str(data),
    )
    return {
        **{
            name: measure(each.probability, each.label, catalog.labels)
            for name, each in found.items()
        },
        "stages": [{"name": "head", "is_kept": True, "kept_epoch": 3, "history": HISTORY}],
        "parity": {"stored": {"n": 9, "max_difference": 1e-6, "answers_changed": 0}},
        "counts": catalog.counts(),
        "unreadable": catalog.problems(),
        "diagnosis": diagnosed.to_dict(),
        "data": str(data),
        "seconds": {"catalog": 0.1, "measure": 0.2, "all": 1.5},
    }

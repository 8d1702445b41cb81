"""Learning from a model in place of the labels."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_models import SIZE_PX, red_or_blue_model_file, tiny_model_file

from pawsure.data.augment import Augmentation
from pawsure.data.catalog import build_catalog
from pawsure.data.images import read
from pawsure.data.split import assign_splits
from pawsure.errors import ModelFileError, RecipeError
from pawsure.features.views import ORIGINAL, View
from pawsure.model.predictor import Predictor
from pawsure.training.inputs import TrainingInputs
from pawsure.training.recipe import Recipe, Stage, recipe_from_text
from pawsure.training.teacher import PROBABILITY, teacher_prefix

LABELS = ("level", "upright")


@pytest.fixture
def catalog(striped):
    return assign_splits(build_catalog(striped), seed=0, validation=0.2, test=0.2)


def test_a_teacher_is_asked_about_the_very_views_that_are_learned_from(catalog, tmp_path):
    path = tiny_model_file(tmp_path / "teacher.onnx", labels=LABELS)
    augment = Augmentation(crop=0.5, flip=True, brightness=0.2)
    stage = Stage(name="s", train_from="all", views=2, augment=augment, teacher=str(path))
    targets = TrainingInputs(catalog, teacher_prefix(str(path), LABELS), PROBABILITY, stage, 3)
    teacher, rows = Predictor(path), catalog.where("train")
    for epoch in (0, 1):
        augmented = [View(augmentation=augment, number=number, seed=3) for number in (0, 1)]
        views = [(ORIGINAL, *augmented)[(place + epoch) % 3] for place in range(len(rows))]
        seen = [
            view.apply(
                read(catalog.read(row), size_px=view.read_size_px(SIZE_PX)),
                catalog.content[row],
                SIZE_PX,
            )
            for view, row in zip(views, rows, strict=True)
        ]
        wanted = teacher.predict_batch(np.stack(seen)).probability
        found = targets(epoch)[np.arange(len(rows))]
        np.testing.assert_allclose(found, wanted, atol=1e-3)  # kept as float16
        assert wanted[:, 0].std() > 0.01


@pytest.mark.parametrize("swapped", [False, True])
def test_a_pupil_says_what_its_teacher_says_whatever_the_labels(
    striped, catalog, lively_weights, tmp_path, swapped
):
    pytest.importorskip("keras")
    from pawsure.training.run import train

    # "level" is reddish: who says the first label to blue pictures is always wrong.
    path = red_or_blue_model_file(
        tmp_path / "teacher.onnx", labels=LABELS, sharpness=8.0 if swapped else -8.0
    )
    run = train(striped, recipe=_pupil(lively_weights, path), out=tmp_path / "run")
    rows = catalog.where("test")
    pictures = np.stack([read(catalog.read(row), size_px=32) for row in rows])
    # Before calibration, which is fitted to the labels.
    logit = Predictor(run.folder).predict_batch(pictures).logit
    right = (logit.argmax(axis=1) == catalog.label[rows]).mean()
    assert right < 0.3 if swapped else right > 0.7, right


def test_a_teacher_of_something_else_is_refused_before_anything_is_computed(
    striped, lively_weights, tmp_path
):
    pytest.importorskip("keras")
    from pawsure.training.run import train

    path = red_or_blue_model_file(tmp_path / "teacher.onnx")
    with pytest.raises(RecipeError, match="tells blue, red apart, the data have level, upright"):
        train(striped, recipe=_pupil(lively_weights, path), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_who_can_be_no_teacher_is_told(tmp_path):
    with pytest.raises(ModelFileError, match="nowhere"):
        teacher_prefix(str(tmp_path / "nowhere.onnx"), LABELS)
    for stage in (
        Stage(name="s", optimizer="logistic", teacher="x"),
        Stage(name="s", train_from="all", augment=Augmentation(flip=True), teacher="x"),
    ):
        with pytest.raises(RecipeError, match="teacher goes with"):
            Recipe(stages=(stage,))


PUPIL = """
[model]
backbone = "mobilenet_050"
image_size = 32
weights = "LIVELY"
[split]
validation = 0.2
test = 0.2
[[stages]]
name = "learn"
train_from = "conv_pw_11"
epochs = 30
learning_rate = 3e-3
batch_size = 16
views = 2
teacher = "TEACHER"
keep = "last"
augment = { flip = true }
"""


def _pupil(weights, teacher):
    text = PUPIL.replace("LIVELY", weights).replace("TEACHER", str(teacher))
    return recipe_from_text(text, "pupil")

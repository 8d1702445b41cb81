from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from tiny_models import SIZE_PX
from tiny_runs import CHANNELS, red_or_blue

from pawsure.errors import DataError
from pawsure.network.pretrained import PretrainedClassifier
from pawsure.training import known
from pawsure.training.known import known_for
from pawsure.training.recipe import load_recipe
from pawsure.trust.background import background_of
from pawsure.trust.familiarity import unit_length


def recipe(**changes):
    return load_recipe("fast", {"backbone": "mobilenet_v2", "image_size": SIZE_PX, **changes})


@pytest.fixture
def ordinary(tmp_path):
    """A folder of pictures of all kinds."""
    rng = np.random.default_rng(0)
    for number in range(40):
        pixels = rng.integers(0, 256, (SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return tmp_path


def test_pictures_that_the_user_names_are_the_background(ordinary):
    said: list[str] = []
    found = known_for(
        recipe(**{"trust.background": str(ordinary)}),
        red_or_blue(),
        is_frozen=True,
        say=said.append,
    )
    (background,) = found.backgrounds
    assert background.middle.shape == (CHANNELS,)
    assert said == [f"Background: 40 pictures of {ordinary}."]


def test_too_few_pictures_are_refused(ordinary):
    for path in sorted(ordinary.iterdir())[20:]:
        path.unlink()
    given = recipe(**{"trust.background": str(ordinary)})
    with pytest.raises(DataError, match="has 20 pictures that can be read; at least 30"):
        known_for(given, red_or_blue(), is_frozen=True, say=lambda _: None)


def test_a_frozen_backbone_with_its_imagenet_weights_has_built_in_statistics(monkeypatch):
    statistics = background_of(np.random.default_rng(0).random((50, CHANNELS)))
    monkeypatch.setattr(known, "builtin_background", {"mobilenet_v2": statistics}.get)
    said: list[str] = []
    found = known_for(recipe(), red_or_blue(), is_frozen=True, say=said.append)
    assert found.backgrounds == (statistics,)
    assert said == ["Background: built-in statistics of mobilenet_v2."]


def test_other_weights_have_none_and_it_is_said(monkeypatch):
    statistics = background_of(unit_length(np.random.default_rng(0).random((50, CHANNELS))))
    monkeypatch.setattr(known, "builtin_background", {"mobilenet_v2": statistics}.get)
    said: list[str] = []
    assert not known_for(
        recipe(weights="pets"), red_or_blue(), is_frozen=True, say=said.append
    ).backgrounds
    assert said[0].startswith("No background") and "trust.background=DIR" in said[0]
    fine_tuned = load_recipe("default", {"image_size": SIZE_PX})
    assert not known_for(fine_tuned, red_or_blue(), is_frozen=False, say=said.append).backgrounds


def test_a_frozen_backbone_that_came_with_a_classifier_keeps_it(monkeypatch):
    kernel, bias = np.ones((CHANNELS, 5), np.float32), np.zeros(5, np.float32)
    came_with = PretrainedClassifier(kernel=kernel, bias=bias, labels=tuple("abcde"))
    monkeypatch.setattr(known, "pretrained_classifier", lambda *given, **size: came_with)
    said: list[str] = []
    found = known_for(recipe(), red_or_blue(), is_frozen=True, say=said.append)
    assert found.classifier is not None and found.classifier.kernel.shape == kernel.shape
    assert said == ["Familiarity uses the ImageNet classifier of the backbone."]
    fine_tuned = load_recipe("default", {"image_size": SIZE_PX})
    assert known_for(fine_tuned, red_or_blue(), is_frozen=False, say=said.append).classifier is None

from __future__ import annotations

import numpy as np
import pytest

from pawsure.trust import background
from pawsure.trust.background import background_of, builtin_background, known_of, with_within
from pawsure.trust.familiarity import Known


@pytest.mark.parametrize("backbone", ["efficientnet_lite0", "efficientnet_lite2"])
def test_built_in_statistics_are_whole(backbone):
    found = builtin_background(backbone)
    assert found is not None and found.within is not None
    assert found.whole.directions.shape == found.within.directions.shape == (1280, 256)
    assert found.within.added < 1 / found.within.rest_precision / 1280


def test_other_backbones_have_none():
    assert builtin_background("") is None and builtin_background("mobilenet_v2") is None


@pytest.fixture
def builtin(monkeypatch):
    features = np.random.default_rng(0).random((60, 6))
    found = background_of(features, np.arange(60) // 5)
    monkeypatch.setattr(background, "builtin_background", {"some": found}.get)
    return found


def test_the_covariance_within_kinds_comes_back_with_the_built_in_background(builtin):
    """A model file has the background, not what pictures of a kind differ in."""
    read = Known(backgrounds=known_of(builtin, None).backgrounds)
    assert with_within(read, "some").within is builtin.within


def test_another_background_does_not_get_it(builtin):
    other = background_of(np.random.default_rng(1).random((60, 6)))
    wider = background_of(np.random.default_rng(1).random((60, 7)))
    for read in (Known(), known_of(other, None), known_of(wider, None)):
        assert with_within(read, "some") is read
    assert with_within(known_of(builtin, None), "another").within is builtin.within
    assert with_within(Known(backgrounds=(builtin.whole,)), "another").within is None

from __future__ import annotations

import numpy as np
import pytest

from pawsure.data.changes import CORRUPTIONS, STRENGTHS, changed, corrupt
from pawsure.data.images import resize


@pytest.fixture
def picture() -> np.ndarray:
    y, x = np.mgrid[:192, :192]
    waves = np.sin(x / 3)[..., np.newaxis] * 60 + np.sin(y / 5)[..., np.newaxis] * 40
    return (128 + waves + [20, 0, -20]).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_each_strength_changes_more_than_the_one_before(picture, kind):
    plain = resize(picture, 128).astype(int)
    place = list(CORRUPTIONS).index(kind)
    distance = [
        np.abs(corrupt(picture, [strength] * len(CORRUPTIONS), 128)[place] - plain).mean()
        for strength in STRENGTHS
    ]
    if kind != "cropped":  # a part of a pattern may be like the whole
        assert np.all(np.diff(distance) > 0), distance


def test_each_way_has_its_own_strength(picture):
    strengths = [1 + number % len(STRENGTHS) for number in range(len(CORRUPTIONS))]
    mixed = corrupt(picture, strengths, 48)
    assert mixed.shape == (len(CORRUPTIONS), 48, 48, 3) and mixed.dtype == np.uint8
    for number, strength in enumerate(strengths):
        alike = corrupt(picture, [strength] * len(CORRUPTIONS), 48)
        np.testing.assert_array_equal(mixed[number], alike[number])


def test_noise_is_the_same_whatever_came_before(picture):
    ways = len(CORRUPTIONS)
    first = corrupt(picture, [5] * ways, 48)
    corrupt(picture, [5] * ways, 32)
    np.testing.assert_array_equal(first, corrupt(picture, [5] * ways, 48))


def test_the_same_state_gives_the_same_change_and_another_state_another(picture):
    first, again, other = (changed(picture, np.random.default_rng(seed), 32) for seed in (0, 0, 1))
    assert first.dtype == np.uint8 and first.shape == (32, 32, 3)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_changes_are_of_many_kinds(picture):
    drawn = [changed(picture, np.random.default_rng(seed), 32) for seed in range(80)]
    grey = [np.ptp(each.astype(int), axis=2).max() == 0 for each in drawn]
    assert 0 < sum(grey) < 30
    assert np.std([each.mean() for each in drawn]) > 5  # brightness

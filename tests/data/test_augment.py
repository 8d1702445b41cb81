"""What augmentation does to a picture."""

import numpy as np
import pytest

from pawsure.data.augment import Augmentation, augment


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def augmented(picture, seed=0, **strengths):
    rng = np.random.default_rng(seed)
    return augment(picture, Augmentation(**strengths), rng, size_px=64)


def test_nothing_asked_for_changes_nothing(picture):
    assert np.array_equal(augmented(picture), picture)


@pytest.mark.parametrize(
    "strengths",
    [
        {"crop": 0.3},
        {"crop": 0.5, "stretch": 1.5},
        {"brightness": 0.5},
        {"contrast": 0.5},
        {"saturation": 0.5},
        {"blur": 1.0},
        {"erase": 1.0},
        {"grey": 1.0},
        {"jpeg": 1.0},
    ],
)
def test_each_strength_changes_the_picture_and_the_same_seed_does_so_again(picture, strengths):
    changed = augmented(picture, **strengths)
    assert changed.shape == picture.shape and changed.dtype == np.uint8
    assert not np.array_equal(changed, picture)
    assert np.array_equal(changed, augmented(picture, **strengths))
    assert not np.array_equal(changed, augmented(picture, seed=1, **strengths)) or strengths == {
        "grey": 1.0
    }


def test_half_of_the_pictures_are_mirrored(picture):
    mirrored = [
        np.array_equal(augmented(picture, s, flip=True), picture[:, ::-1]) for s in range(40)
    ]
    assert 10 <= sum(mirrored) <= 30


def test_grey_has_no_colour(picture):
    grey = augmented(picture, grey=1.0)
    assert (grey.max(axis=-1) == grey.min(axis=-1)).all()


def test_the_share_of_changed_pictures_is_the_one_asked_for(picture):
    grey = [np.ptp(augmented(picture, seed, grey=0.25)[32, 5]) == 0 for seed in range(200)]
    assert 30 <= sum(grey) <= 70

from __future__ import annotations

import numpy as np
import pytest

from pawsure.data.augment import Augmentation
from pawsure.data.catalog import build_catalog
from pawsure.data.split import assign_splits
from pawsure.features.prefix import PIXELS, Prefix
from pawsure.training.inputs import TrainingInputs
from pawsure.training.recipe import Stage

SIZE_PX = 16
AUGMENT = Augmentation(crop=0.6, flip=True, brightness=0.2)


@pytest.fixture(scope="module")
def catalog(striped):
    return assign_splits(build_catalog(striped), seed=0, validation=0.2, test=0.2)


@pytest.fixture(scope="module")
def inputs_of(catalog):
    prefix = Prefix(key="", size_px=SIZE_PX, shapes={PIXELS: (SIZE_PX, SIZE_PX, 3)}, path=None)

    def inputs(seed=0, **settings):
        stage = Stage(name="some", train_from="all", **settings)
        every = np.arange(len(catalog.where("train")))
        by_epoch = TrainingInputs(catalog, prefix, PIXELS, stage, seed)
        return lambda epoch: by_epoch(epoch)[every]

    return inputs


def changed(one, other):
    """The share of pictures that differ."""
    return (one != other).any(axis=(1, 2, 3)).mean()


def test_without_augmentation_every_epoch_has_the_pictures_themselves(inputs_of):
    plain = inputs_of()
    assert plain(0).shape[1:] == (SIZE_PX, SIZE_PX, 3) and plain(0).dtype == np.uint8
    np.testing.assert_array_equal(plain(0), plain(1))


def test_live_pictures_are_changed_in_another_way_each_epoch(inputs_of):
    plain, live, other_seed = inputs_of(), inputs_of(augment=AUGMENT), inputs_of(1, augment=AUGMENT)
    assert changed(plain(0), live(0)) > 0.95
    assert changed(live(0), live(1)) > 0.95
    assert changed(live(0), other_seed(0)) > 0.95
    np.testing.assert_array_equal(live(0), inputs_of(augment=AUGMENT)(0))


def test_stored_views_take_turns_with_the_picture_itself(inputs_of):
    plain, stored = inputs_of()(0), inputs_of(augment=AUGMENT, views=2)
    epochs = [stored(epoch) for epoch in range(3)]
    for number, epoch in enumerate(epochs):
        itself = (np.arange(len(plain)) + number) % 3 == 0
        np.testing.assert_array_equal(epoch[itself], plain[itself])
        assert changed(epoch[~itself], plain[~itself]) > 0.95
    np.testing.assert_array_equal(stored(3), epochs[0])


def test_refreshed_views_are_new_ones(inputs_of):
    stored = inputs_of(augment=AUGMENT, views=1, refresh=2)
    assert changed(stored(0)[1::2], stored(2)[1::2]) > 0.95  # the picture itself has the even ones
    np.testing.assert_array_equal(stored(0)[::2], stored(2)[::2])

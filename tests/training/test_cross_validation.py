"""Cross-validation of the linear probe on stored features that tests make up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pawsure.data.catalog import Catalog
from pawsure.features.prefix import POOLED, Prefix
from pawsure.features.views import ORIGINAL
from pawsure.training.cross_validation import FEW_TEST_PICTURES, cross_validate

NUM_FEATURES = 64


class Nowhere:
    name, kind, entries = "nowhere", "folder", ()

    def read(self, path: str) -> bytes:
        raise NotImplementedError


def objects(values: list[str]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def pictures(label: np.ndarray, group: np.ndarray, *, test: int = 4) -> Catalog:
    """Pictures of which the first few are for testing, and every sixth for validation."""
    n = len(label)
    zeros = np.zeros(n, np.int64)
    split = ["validation" if row % 6 == 0 else "train" for row in range(n)]
    split[:test] = ["test"] * test
    return Catalog(
        source=Nowhere(),
        labels=tuple("abcdef"[: label.max() + 1]),
        path=objects([f"{row}" for row in range(n)]),
        label=label,
        content=objects([f"{row:064}" for row in range(n)]),
        num_bytes=zeros,
        width=zeros,
        height=zeros,
        format=objects(["JPEG"] * n),
        problem=objects([""] * n),
        group=group,
        split=objects(split),
    )


def stored(catalog: Catalog, features: np.ndarray) -> Prefix:
    prefix = Prefix(key="made-up", size_px=8, shapes={POOLED: (NUM_FEATURES,)}, path=None)
    prefix.store(POOLED, ORIGINAL.name).add(catalog.content.tolist(), features.astype(np.float16))
    return prefix


def drawn(n: int, *, apart: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels of three kinds, and features of which one for each label tells it."""
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 3
    features = rng.normal(0, 1, (n, NUM_FEATURES))
    features[np.arange(n), label] += apart
    return label, features


def test_every_picture_but_those_for_testing_is_held_out_once():
    label, features = drawn(90, apart=6.0)
    catalog = pictures(label, np.arange(90))
    found = cross_validate(catalog, stored(catalog, features), seed=0)
    assert (found["of"], found["folds"], found["n"], found["num_groups"]) == (
        "linear probe",
        5,
        86,
        86,
    )
    assert np.sum(found["confusion_matrix"]) == 86
    assert found["accuracy"]["value"] > 0.95
    assert found["accuracy"]["low"] < found["accuracy"]["value"] <= found["accuracy"]["high"]
    assert len(found["accuracy_by_fold"]) == 5
    assert sum(each["n"] for each in found["per_class"].values()) == 86


def test_features_that_tell_nothing_are_right_by_chance_alone():
    label, features = drawn(240, apart=0.0)
    catalog = pictures(label, np.arange(240))
    accuracy = cross_validate(catalog, stored(catalog, features), seed=0)["accuracy"]
    assert accuracy["low"] < 1 / 3 < accuracy["high"]


def test_copies_are_never_learned_from_and_measured_on():
    """Features that tell nothing, but every picture is there four times."""
    label, features = drawn(60, apart=0.0)
    label, group = np.repeat(label, 4), np.repeat(np.arange(60), 4)
    features = np.repeat(features, 4, axis=0)
    catalog = pictures(label, group)
    prefix = stored(catalog, features)
    honest = cross_validate(catalog, prefix, seed=0)
    apart = cross_validate(replace(catalog, group=np.arange(240)), prefix, seed=0)
    assert apart["accuracy"]["value"] > 0.9  # what copies on both sides would make of it
    assert honest["accuracy"]["low"] < 1 / 3 < honest["accuracy"]["high"]
    assert (honest["n"], honest["num_groups"]) == (236, 59)


def test_the_only_picture_of_a_label_is_always_learned_from():
    label, features = drawn(60, apart=6.0)
    label[10] = 3
    catalog = pictures(label, np.arange(60))
    found = cross_validate(catalog, stored(catalog, features), seed=0)
    assert found["n"] == 55
    assert (found["per_class"]["d"]["n"], found["per_class"]["d"]["recall"]) == (0, None)


@pytest.mark.parametrize("n", [4, 6, 9])
def test_a_handful_of_pictures_will_do(n):
    label, features = drawn(n, apart=6.0)
    catalog = pictures(label, np.arange(n), test=0)
    found = cross_validate(catalog, stored(catalog, features), seed=0)
    assert found is None or 0 <= found["accuracy"]["value"] <= 1


def test_many_test_pictures_need_no_cross_validation():
    label, features = drawn(300, apart=1.0)
    catalog = pictures(label, np.arange(300), test=FEW_TEST_PICTURES)
    assert cross_validate(catalog, stored(catalog, features), seed=0) is None


def test_a_recipe_that_stores_no_features_has_none():
    label, _ = drawn(60, apart=1.0)
    prefix = Prefix(key="made-up", size_px=8, shapes={}, path=None)
    assert cross_validate(pictures(label, np.arange(60)), prefix, seed=0) is None

from __future__ import annotations

import hashlib
from collections import Counter
from io import BytesIO

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from pawsure.data.augment import Augmentation
from pawsure.errors import PictureError
from pawsure.features import extract as extract_module
from pawsure.features.extract import ExactRows, extract
from pawsure.features.prefix import BATCH_SIZE, PIXELS, Prefix, graph_key
from pawsure.features.views import ORIGINAL, View

SIZE_PX = 8
NUM = 2 * BATCH_SIZE + 3


@pytest.fixture
def prefix(tmp_path, monkeypatch):
    """The mean of each channel."""
    monkeypatch.setenv("PAWSURE_CACHE", str(tmp_path / "cache"))
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["float"], ["mean"], axes=[1, 2], keepdims=0),
        ],
        "mean",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIZE_PX, SIZE_PX, 3])],
        [helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["N", 3])],
    )
    path = tmp_path / "mean.onnx"
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    shapes = {"mean": (3,), PIXELS: (SIZE_PX, SIZE_PX, 3)}
    return Prefix(key=graph_key(path), size_px=SIZE_PX, shapes=shapes, path=path)


class Pictures:
    """Noise as PNG files in memory, which counts how often each is read."""

    def __init__(self, num=NUM, size_px=SIZE_PX):
        rng = np.random.default_rng(0)
        self.pixels = rng.integers(0, 256, (num, size_px, size_px, 3), dtype=np.uint8)
        self.files = [self._png(pixels) for pixels in self.pixels]
        self.times = Counter()
        self.broken = set()

    @staticmethod
    def _png(pixels):
        file = BytesIO()
        Image.fromarray(pixels).save(file, "png")
        return file.getvalue()

    @property
    def contents(self):
        return np.array([hashlib.sha256(file).hexdigest() for file in self.files], dtype=object)

    def read(self, index):
        self.times[index] += 1
        if index in self.broken:
            raise PictureError("it is gone")
        return self.files[index]


def features(prefix, contents, view=ORIGINAL, output="mean"):
    return prefix.store(output, view.name).rows(contents)[:]


def run(pictures, prefix, indices=None, outputs=("mean",), **settings):
    indices = np.arange(len(pictures.files)) if indices is None else indices
    return extract(pictures.read, pictures.contents, indices, prefix, outputs, **settings)


def test_features_are_those_of_the_network_in_the_order_of_the_pictures(prefix):
    pictures = Pictures()
    done = run(pictures, prefix, outputs=("mean", PIXELS))
    assert (done.computed, done.reused, done.problems) == (NUM, 0, {})
    expected = pictures.pixels.mean(axis=(1, 2)).astype(np.float16)
    np.testing.assert_allclose(features(prefix, pictures.contents), expected, rtol=1e-3)
    pixels = features(prefix, pictures.contents, output=PIXELS)
    np.testing.assert_array_equal(pixels, pictures.pixels)


def test_only_pictures_without_features_are_decoded(prefix):
    pictures = Pictures()
    run(pictures, prefix, np.arange(5))
    pictures.times.clear()
    done = run(pictures, prefix)
    assert (done.computed, done.reused) == (NUM - 5, 5)
    assert set(pictures.times) == set(range(5, NUM))


def test_another_output_is_computed_though_the_first_is_stored(prefix):
    pictures = Pictures()
    run(pictures, prefix)
    assert run(pictures, prefix, outputs=("mean", PIXELS)).computed == NUM


def test_copies_are_decoded_once(prefix):
    pictures = Pictures()
    pictures.files[1] = pictures.files[2] = pictures.files[0]
    done = run(pictures, prefix)
    assert pictures.times[0] == 1 and not {1, 2} & set(pictures.times)
    assert (done.computed, done.reused) == (NUM - 2, 2)


def test_a_copy_stands_in_for_a_picture_that_cannot_be_read(prefix):
    pictures = Pictures()
    pictures.files[1] = pictures.files[0]
    pictures.broken = {0}
    assert run(pictures, prefix).problems == {}
    assert features(prefix, pictures.contents).shape == (NUM, 3)


def test_unreadable_pictures_are_named_and_the_others_computed(prefix):
    pictures = Pictures()
    pictures.files[4] = pictures.files[3]
    pictures.broken = {0, 3, 4}
    done = run(pictures, prefix)
    assert set(done.problems) == {0, 3, 4}
    assert set(done.problems.values()) == {"it is gone"}
    assert done.computed == NUM - 3
    good = np.array([index for index in range(NUM) if index not in pictures.broken])
    assert len(features(prefix, pictures.contents[good])) == NUM - 3


def test_views_differ_from_the_picture_and_are_the_same_each_time(prefix, tmp_path, monkeypatch):
    view = View(augmentation=Augmentation(brightness=0.5, crop=0.5), number=1, seed=3)
    pictures = Pictures(size_px=16)
    found = []
    for cache in "ab":
        monkeypatch.setenv("PAWSURE_CACHE", str(tmp_path / cache))
        run(pictures, prefix)
        run(pictures, prefix, views=[view])
        plain = features(prefix, pictures.contents)
        found.append(features(prefix, pictures.contents, view))
        assert (found[-1] != plain).any(axis=1).all()
    np.testing.assert_array_equal(*found)


def test_threads_and_segments_change_no_bit(prefix, tmp_path, monkeypatch):
    pictures, found = Pictures(), []
    for workers, rows in ((1, 2048), (4, 8)):
        monkeypatch.setenv("PAWSURE_CACHE", str(tmp_path / str(workers)))
        monkeypatch.setattr(extract_module, "SEGMENT_ROWS", rows)
        run(pictures, prefix, workers=workers)
        folder = prefix.store("mean", ORIGINAL.name).folder
        assert len(list(folder.glob("*.keys"))) == (1 if rows == 2048 else 3)
        found.append(features(prefix, pictures.contents))
    np.testing.assert_array_equal(*found)


def test_exact_features_are_those_before_rounding(prefix):
    pictures, exact = Pictures(), ExactRows("mean")
    run(pictures, prefix, exact=exact)
    unrounded = np.stack([exact[content] for content in pictures.contents])
    assert unrounded.dtype == np.float32
    np.testing.assert_allclose(unrounded, pictures.pixels.mean(axis=(1, 2)), rtol=1e-5)
    stored = features(prefix, pictures.contents)
    np.testing.assert_array_equal(unrounded.astype(np.float16), stored)
    assert (unrounded != stored.astype(np.float32)).any()

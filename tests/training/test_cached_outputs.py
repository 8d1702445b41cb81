"""The network runs once a picture, and the file's last nodes say what the whole file says."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from tiny_models import SIZE_PX
from tiny_runs import coloured_pictures, red_or_blue, trusted

from pawsure.data.catalog import build_catalog
from pawsure.data.images import read
from pawsure.data.split import assign_splits
from pawsure.errors import DataError, ParityError
from pawsure.evaluation.evaluate import predict
from pawsure.export.model_file import write_model_file
from pawsure.graph.prune import drop_unneeded
from pawsure.model.metadata import ModelMetadata
from pawsure.model.predictor import Predictor
from pawsure.onnx_runtime import one_thread_session
from pawsure.training.cached_outputs import CachedOutputs, Front


class Counting:
    """A source that counts how often each of its pictures is read."""

    def __init__(self, source):
        self._source = source
        self.times = Counter()

    def __getattr__(self, name):
        return getattr(self._source, name)

    def read(self, path):
        self.times[path] += 1
        return self._source.read(path)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    folder = coloured_pictures(tmp_path_factory.mktemp("data") / "pictures")
    return assign_splits(build_catalog(folder), seed=0, validation=0.3, test=0.2)


@pytest.fixture(scope="module")
def with_trust(catalog):
    return trusted(red_or_blue(), catalog)


def written(graph, catalog, path):
    write_model_file(graph, ModelMetadata(labels=catalog.labels, size_px=SIZE_PX), path)
    return path


def test_the_halves_of_a_file_say_what_the_whole_says(catalog, with_trust, tmp_path):
    path = written(with_trust, catalog, tmp_path / "model.onnx")
    seen = CachedOutputs(red_or_blue(), catalog, size_px=SIZE_PX)
    seen(catalog.where("train"))
    seen(catalog.where("validation"))
    file, report = seen.of_file(path)
    assert report.max_difference < 1e-5
    for split in ("train", "validation"):
        whole, halves = (
            predict(Predictor(path), catalog, split=split),
            predict(file, catalog, split=split),
        )
        assert whole.indices.tolist() == halves.indices.tolist()
        # Familiarity is steep where pictures lie close together.
        for name, atol in (("probability", 1e-5), ("logit", 1e-5), ("familiarity", 1e-3)):
            np.testing.assert_allclose(getattr(halves, name), getattr(whole, name), atol=atol)


def test_a_picture_is_read_once_however_often_it_is_asked_for(catalog, tmp_path, monkeypatch):
    counting = Counting(catalog.source)
    monkeypatch.setattr(type(catalog), "read", lambda self, row: counting.read(self.path[row]))
    seen = CachedOutputs(red_or_blue(), catalog, size_px=SIZE_PX)
    rows = catalog.where("train")
    first = seen(rows[:5])
    every = seen(rows)
    again = seen(rows[::-1])
    assert set(counting.times.values()) == {1}
    np.testing.assert_array_equal(every[0][:5], first[0])
    np.testing.assert_array_equal(again[1], every[1][::-1])


def test_pictures_that_were_not_seen_are_run_through_the_file(catalog, with_trust, tmp_path):
    path = written(with_trust, catalog, tmp_path / "model.onnx")
    seen = CachedOutputs(red_or_blue(), catalog, size_px=SIZE_PX)
    seen(catalog.where("validation"))
    file, _ = seen.of_file(path)
    here, there = (predict(each, catalog, split="test") for each in (file, Predictor(path)))
    np.testing.assert_array_equal(here.probability, there.probability)


def test_a_file_of_another_network_is_refused(catalog, with_trust, tmp_path):
    changed = onnx.ModelProto()
    changed.CopyFrom(with_trust)
    kernel = next(item for item in changed.graph.initializer if item.name == "second/kernel")
    kernel.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(kernel) * 1.001, kernel.name))
    path = written(changed, catalog, tmp_path / "model.onnx")
    seen = CachedOutputs(red_or_blue(), catalog, size_px=SIZE_PX)
    seen(catalog.where("validation"))
    with pytest.raises(ParityError, match="another network"):
        seen.of_file(path)


def test_outputs_that_are_not_of_the_file_are_refused(catalog, with_trust, tmp_path):
    path = written(with_trust, catalog, tmp_path / "model.onnx")
    seen = CachedOutputs(red_or_blue(), catalog, size_px=SIZE_PX)
    seen(catalog.where("validation"))
    seen._parts = [(logit[::-1].copy(), features) for logit, features in seen._parts]
    with pytest.raises(ParityError, match="disagrees"):
        seen.of_file(path)


def test_a_picture_that_is_gone_ends_the_run_by_its_name(tmp_path):
    folder = coloured_pictures(tmp_path / "pictures")
    catalog = assign_splits(build_catalog(folder), seed=0, validation=0.3, test=0.2)
    rows = catalog.where("validation")
    (folder / catalog.path[rows[3]]).unlink()
    seen = CachedOutputs(red_or_blue(), catalog, size_px=SIZE_PX)
    with pytest.raises(DataError, match=str(catalog.path[rows[3]])):
        seen(rows)


def front_of(graph, catalog, cut):
    """All up to a tensor, and that tensor for the training pictures, as a store keeps it."""
    model = onnx.ModelProto()
    model.CopyFrom(graph)
    model.graph.node.append(onnx.helper.make_node("Transpose", [cut], ["out"], perm=[0, 2, 3, 1]))
    del model.graph.output[:]
    out = onnx.helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, ["N"] + 3 * [None])
    model.graph.output.append(out)
    drop_unneeded(model.graph, {"out"})
    session = one_thread_session(model.SerializeToString())

    def stored(rows):
        pictures = np.stack([read(catalog.read(row), size_px=SIZE_PX) for row in rows])
        return session.run(["out"], {"image": pictures})[0].astype(np.float16).astype(np.float32)

    return Front(graph=model, output=cut, indices=catalog.where("train"), known=stored)


@pytest.mark.parametrize("cut", ["first/relu", "second"])
def test_stored_features_of_a_cut_stand_for_training_pictures(catalog, cut, monkeypatch):
    graph, rows = red_or_blue(), catalog.where("train")
    plain = CachedOutputs(graph, catalog, size_px=SIZE_PX)(rows)
    seen = CachedOutputs(graph, catalog, size_px=SIZE_PX, front=front_of(graph, catalog, cut))
    monkeypatch.setattr(seen, "_decoded", None)  # no picture is read
    for found, expected in zip(seen(rows), plain, strict=True):
        np.testing.assert_allclose(found, expected, atol=5e-3)


def test_both_kinds_of_pictures_can_be_asked_for_at_once(catalog):
    graph = red_or_blue()
    rows = np.concatenate([catalog.where("validation"), catalog.where("train")])[::-1]
    plain = CachedOutputs(graph, catalog, size_px=SIZE_PX)(rows)
    both = CachedOutputs(graph, catalog, size_px=SIZE_PX, front=front_of(graph, catalog, "second"))(
        rows
    )
    np.testing.assert_allclose(both[0], plain[0], atol=5e-3)


def test_stored_features_are_left_alone_where_something_before_them_has_changed(catalog):
    graph, rows = red_or_blue(), catalog.where("train")
    front = front_of(graph, catalog, "second")
    kernel = next(item for item in graph.graph.initializer if item.name == "first/kernel")
    kernel.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(kernel) * 1.1, kernel.name))
    plain = CachedOutputs(graph, catalog, size_px=SIZE_PX)(rows)
    found = CachedOutputs(graph, catalog, size_px=SIZE_PX, front=front)(rows)
    np.testing.assert_array_equal(found[0], plain[0])


def test_stored_features_are_left_alone_where_the_network_also_takes_what_is_before(catalog):
    graph, rows = red_or_blue(), catalog.where("train")
    front = front_of(graph, catalog, "first/norm")
    for node in graph.graph.node:  # both ways into what comes next
        if node.output[0] == "second":
            node.input[0] = "sum"
    sum_of = onnx.helper.make_node("Add", ["first/relu", "first"], ["sum"])
    place = [node.output[0] for node in graph.graph.node].index("first/relu") + 1
    graph.graph.node.insert(place, sum_of)
    plain = CachedOutputs(graph, catalog, size_px=SIZE_PX)(rows)
    found = CachedOutputs(graph, catalog, size_px=SIZE_PX, front=front)(rows)
    np.testing.assert_array_equal(found[0], plain[0])

"""Rows before the store rounds them: what is kept, and that computing again gives the same bits."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pawsure.data.catalog import build_catalog
from pawsure.data.split import assign_splits
from pawsure.errors import DataError
from pawsure.features.extract import ExactRows, extract
from pawsure.features.prefix import Prefix, graph_key
from pawsure.training.learned import FrontFeatures

SIZE_PX = 8


@pytest.fixture
def prefix(tmp_path, monkeypatch) -> Prefix:
    """Pixels through a matrix, to features of one place."""
    monkeypatch.setenv("PAWSURE_CACHE", str(tmp_path / "cache"))
    kernel = np.random.default_rng(0).normal(0, 0.01, (SIZE_PX * SIZE_PX * 3, 5))
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["float"], ["flat"]),
        helper.make_node("MatMul", ["flat", "kernel"], ["mixed"]),
        helper.make_node("Reshape", ["mixed", "shape"], ["cut"]),
    ]
    graph = helper.make_graph(
        nodes,
        "prefix",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIZE_PX, SIZE_PX, 3])],
        [helper.make_tensor_value_info("cut", TensorProto.FLOAT, ["N", 1, 1, 5])],
        [
            numpy_helper.from_array(kernel.astype(np.float32), "kernel"),
            numpy_helper.from_array(np.array([-1, 1, 1, 5]), "shape"),
        ],
    )
    path = tmp_path / "prefix.onnx"
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return Prefix(key=graph_key(path), size_px=SIZE_PX, shapes={"cut": (1, 1, 5)}, path=path)


@pytest.fixture
def catalog(striped):
    return assign_splits(build_catalog(striped), seed=0, validation=0.3, test=0.2)


def filled(catalog, prefix, exact):
    for split in ("train", "validation"):
        extract(
            catalog.read,
            catalog.content,
            catalog.where(split),
            prefix,
            ["cut"],
            exact=exact if split == "validation" else None,
        )


def test_computed_again_features_have_the_same_bits(catalog, prefix):
    exact = ExactRows("cut")
    filled(catalog, prefix, exact)
    rows, stored = catalog.where("validation"), catalog.where("train")
    first = FrontFeatures(catalog, prefix, "cut", stored, exact)(rows)
    again = FrontFeatures(catalog, prefix, "cut", stored, ExactRows(None))(rows)
    np.testing.assert_array_equal(first, again)
    kept = prefix.store("cut", "original").rows(catalog.content[rows])[:]
    np.testing.assert_array_equal(first.astype(np.float16), kept)
    assert (first != kept.astype(np.float32)).any()


def test_stored_and_other_pictures_may_come_in_one_batch(catalog, prefix):
    exact = ExactRows("cut")
    filled(catalog, prefix, exact)
    stored = catalog.where("train")
    rows = np.concatenate([stored[:3], catalog.where("validation")[:3], catalog.where("test")])
    known = FrontFeatures(catalog, prefix, "cut", stored, exact)
    together = known(rows)
    np.testing.assert_array_equal(
        together, np.concatenate([known(rows[[n]]) for n in range(len(rows))])
    )
    kept = prefix.store("cut", "original").rows(catalog.content[stored[:3]])[:]
    np.testing.assert_array_equal(together[:3], kept.astype(np.float32))


def test_no_more_is_kept_than_fits(catalog, prefix):
    exact = ExactRows("cut", most_bytes=8 * 5 * 4)
    filled(catalog, prefix, exact)
    contents = catalog.content[catalog.where("validation")]
    kept = [content in exact for content in contents]
    assert any(kept) and not all(kept)


def test_a_picture_that_is_gone_is_named(catalog, prefix, monkeypatch):
    rows = catalog.where("validation")
    filled(catalog, prefix, None)
    monkeypatch.setattr(type(catalog), "read", lambda self, row: b"no picture")
    with pytest.raises(DataError, match=str(catalog.path[rows[0]])):
        FrontFeatures(catalog, prefix, "cut", catalog.where("train"), ExactRows(None))(rows)

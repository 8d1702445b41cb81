from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from tiny_models import red_or_blue_model_file
from tiny_runs import tiny_run

from pawsure.data.images import read
from pawsure.errors import DataError, ExportError
from pawsure.export.quantise import quantise
from pawsure.model.predictor import Predictor


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tiny_run(tmp_path_factory.mktemp("tiny") / "run")


@pytest.fixture(scope="module")
def quantised(run):
    folder, catalog = run
    out = folder.parent / "int8.onnx"
    metadata = quantise(folder / "model.onnx", catalog, out)
    return out, metadata


def pixels(catalog, split: str) -> np.ndarray:
    return np.stack([read(catalog.read(row), size_px=16) for row in catalog.where(split)])


def test_it_is_a_model_file_that_says_what_it_is(run, quantised):
    out, metadata = quantised
    before, after = Predictor(run[0]).metadata, Predictor(out).metadata
    assert after == metadata
    assert (before.precision, after.precision) == ("float32", "int8")
    assert (after.labels, after.size_px, after.recipe) == (
        before.labels,
        before.size_px,
        before.recipe,
    )


def test_outputs_are_those_of_the_model_file_but_for_rounding(run, quantised):
    folder, catalog = run
    pictures = pixels(catalog, "test")
    before = Predictor(folder).predict_batch(pictures)
    after = Predictor(quantised[0]).predict_batch(pictures)
    # 256 steps over values up to about 1, times weights of 8.
    np.testing.assert_allclose(after.logit, before.logit, atol=0.1)
    np.testing.assert_allclose(after.embedding, before.embedding, atol=0.02)
    np.testing.assert_allclose(after.evidence.mean(axis=(1, 2)), after.logit, atol=1e-4)
    assert (after.probability.argmax(1) == before.probability.argmax(1)).all()
    assert after.familiarity is not None and after.familiarity.shape == (len(pictures),)


def test_convolutions_are_in_bytes_and_nothing_else_is(quantised):
    graph = onnx.load(quantised[0]).graph
    makers = {name: node for node in graph.node for name in node.output}
    constants = {item.name: item for item in graph.initializer}
    for node in graph.node:
        kinds = {makers[name].op_type for name in node.input if name in makers}
        if node.op_type == "Conv":
            assert kinds == {"DequantizeLinear"}
            kernel = makers[node.input[1]]
            assert constants[kernel.input[0]].data_type == TensorProto.INT8
            scale = numpy_helper.to_array(constants[kernel.input[1]])
            assert scale.shape == (8,)  # one for each channel
        elif node.op_type in ("Gemm", "MatMul") and node.name.startswith("head/"):
            assert "DequantizeLinear" not in {
                makers[name].op_type for name in node.input[1:] if name in makers
            }


def test_trust_is_fitted_on_the_quantised_outputs(run, quantised):
    _, catalog = run
    after = Predictor(quantised[0]).predict_batch(pixels(catalog, "validation"))
    assert np.mean(after.familiarity < 0.05) < 0.1
    # Shares are of these pictures and of the training pictures.
    assert 0.3 < np.mean(after.familiarity) < 0.7


def test_the_same_pictures_give_the_same_bytes(run, quantised, tmp_path):
    folder, catalog = run
    quantise(folder / "model.onnx", catalog, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == quantised[0].read_bytes()


def test_a_model_without_trust_stays_without(tmp_path):
    folder, catalog = tiny_run(tmp_path / "run", with_trust=False)
    metadata = quantise(folder / "model.onnx", catalog, tmp_path / "int8.onnx")
    assert metadata.thresholds == {"unsure_below": None, "neither_below": None}
    outputs = Predictor(tmp_path / "int8.onnx").predict_batch(pixels(catalog, "test"))
    assert outputs.familiarity is None


def test_a_quantised_model_is_not_quantised_again(run, quantised, tmp_path):
    with pytest.raises(ExportError, match="is in int8 already"):
        quantise(quantised[0], run[1], tmp_path / "twice.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_model_without_convolutions_is_refused(run, tmp_path):
    path = red_or_blue_model_file(tmp_path / "model.onnx")
    with pytest.raises(ExportError, match="no convolution before the feature map"):
        quantise(path, run[1], tmp_path / "int8.onnx")


def test_data_without_training_pictures_are_refused(run, tmp_path):
    folder, catalog = run
    problems = dict.fromkeys(catalog.where("train").tolist(), "gone")
    with pytest.raises(DataError, match="no training pictures to measure ranges on"):
        quantise(folder / "model.onnx", catalog.with_problems(problems), tmp_path / "int8.onnx")


def test_other_labels_than_the_models_are_refused(run, tmp_path):
    folder, catalog = run
    other = replace(catalog, labels=("green", "red"))
    with pytest.raises(DataError, match=r"knows the labels blue, red; .* have green too"):
        quantise(folder / "model.onnx", other, tmp_path / "int8.onnx")

"""Every backbone can be exported; slow, as each is built and converted."""

from __future__ import annotations

import keras
import numpy as np
import onnx
import pytest
from tiny_models import tiny_head

from pawsure.errors import ExportError
from pawsure.export.litert import litert_runtime, write_litert
from pawsure.export.model_file import write_model_file
from pawsure.export.quantise import quantise_graph
from pawsure.graph.head import attach_head
from pawsure.model.metadata import ModelMetadata
from pawsure.model.predictor import Predictor
from pawsure.network.backbones import BACKBONES, build_backbone, find_backbone
from pawsure.network.onnx_graph import to_onnx

SIZE_PX = 64


@pytest.fixture(scope="module", params=BACKBONES)
def model_file(request, tmp_path_factory):
    backbone = find_backbone(request.param)
    network = build_backbone(request.param, size_px=SIZE_PX, weights="none")
    graph = to_onnx(network, scaling=backbone.scaling)
    keras.backend.clear_session()
    width = graph.graph.output[0].type.tensor_type.shape.dim[3].dim_value
    path = tmp_path_factory.mktemp(request.param) / "model.onnx"
    model = attach_head(graph, *tiny_head(features=width))
    write_model_file(model, ModelMetadata(labels=("cat", "dog"), size_px=SIZE_PX), path)
    return path


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)


@pytest.mark.slow
def test_litert_says_what_onnx_runtime_says(model_file, pictures, tmp_path):
    write_litert(model_file, tmp_path / "model.tflite", "float32")
    found = litert_runtime(tmp_path / "model.tflite")(pictures)
    expected = Predictor(model_file).predict_batch(pictures)
    # Float32 sums in another order, through up to a hundred layers.
    atol = 1e-3 * np.abs(expected.embedding).max()
    np.testing.assert_allclose(found.embedding, expected.embedding, rtol=1e-3, atol=atol)


@pytest.mark.slow
def test_int8_can_be_made_and_run(model_file, pictures, tmp_path):
    predictor = Predictor(model_file)
    quantised = quantise_graph(onnx.load(model_file), [pictures])
    write_model_file(quantised, predictor.metadata, tmp_path / "int8.onnx")
    if "convnext" in model_file.parent.name:  # in floats LiteRT knows its GELU as a whole
        with pytest.raises(ExportError, match="an operator that LiteRT lacks in int8"):
            write_litert(tmp_path / "int8.onnx", tmp_path / "model.tflite", "int8")
        return
    write_litert(tmp_path / "int8.onnx", tmp_path / "model.tflite", "int8")
    expected = predictor.predict_batch(pictures)
    found = Predictor(tmp_path / "int8.onnx").predict_batch(pictures)
    small = litert_runtime(tmp_path / "model.tflite")(pictures)
    # With drawn weights little is left of the pictures: what is asked is that nothing breaks.
    np.testing.assert_allclose(found.probability, expected.probability, atol=0.05)
    np.testing.assert_allclose(small.probability, expected.probability, atol=0.05)

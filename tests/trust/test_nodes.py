from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from tiny_models import SIZE_PX, narrowing, tiny_backbone, tiny_head

from pawsure.errors import ExportError
from pawsure.export.model_file import attach_head, write_model_file
from pawsure.model.metadata import ModelMetadata
from pawsure.model.predictor import Predictor
from pawsure.trust.calibration import Calibration, fit_curve
from pawsure.trust.familiarity import fit_familiarity
from pawsure.trust.layers import find_layers
from pawsure.trust.nodes import (
    FEATURES,
    attach_familiarity,
    calibrate,
    measure_features,
    with_features,
)


def run(model: onnx.ModelProto, pictures: np.ndarray) -> dict[str, np.ndarray]:
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"image": pictures}), strict=True))


@pytest.fixture
def pictures():
    return np.random.default_rng(2).integers(0, 256, (40, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)


def headed(backbone: onnx.ModelProto | None = None, num_labels: int = 3) -> onnx.ModelProto:
    backbone = backbone or narrowing()
    width = backbone.graph.output[0].type.tensor_type.shape.dim[3].dim_value
    return attach_head(backbone, *tiny_head(num_labels, features=width))


@pytest.mark.parametrize("num_labels", [2, 4])
@pytest.mark.parametrize("opset", [17, 18])
def test_the_graph_calibrates_as_numpy_does(pictures, num_labels, opset):
    model = headed(tiny_backbone(opset=opset), num_labels)
    logit = run(model, pictures)["logit"]
    found = fit_curve(logit[:20], np.arange(20) % num_labels, pieces=4)
    outputs = run(calibrate(model, found), pictures)
    np.testing.assert_allclose(outputs["probability"], found.probabilities(logit), atol=2e-6)
    np.testing.assert_array_equal(outputs["logit"], logit)


def test_a_graph_is_calibrated_once(pictures):
    line = Calibration(gaps=np.array([0.0, 9.0]), values=np.array([0.0, 3.0]))
    once = calibrate(headed(), line)
    with pytest.raises(ExportError, match="calibrated already"):
        calibrate(once, line)


def test_feature_layers_are_the_bottlenecks():
    assert [(layer.name, layer.width) for layer in find_layers(headed())] == [
        ("narrow", 4),
        ("narrower", 5),
    ]


def test_a_network_without_bottlenecks_is_described_by_its_embedding(pictures):
    model = headed(tiny_backbone())
    assert find_layers(model) == []
    features = run(measure_features(with_features(model)), pictures)[FEATURES]
    embedding = run(model, pictures)["embedding"]
    expected = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    np.testing.assert_allclose(features, expected, atol=1e-6)


def test_each_feature_layer_has_length_one(pictures):
    features = run(measure_features(with_features(headed())), pictures)[FEATURES]
    assert features.shape == (40, 9)
    np.testing.assert_allclose((features[:, :4] ** 2).sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose((features[:, 4:] ** 2).sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("with_strangers", [False, True])
def test_the_graph_tells_familiarity_as_numpy_does(pictures, with_strangers):
    model = with_features(headed())
    features = run(measure_features(model), pictures)[FEATURES]
    strange = features[30:] + 0.3 if with_strangers else None
    found = fit_familiarity(features[:20], features[20:30], strange)
    told = run(attach_familiarity(model, found), pictures)["familiarity"]
    assert told.shape == (40,) and told.dtype == np.float32
    np.testing.assert_allclose(told, found(features), atol=1e-4)
    assert ((told >= 0) & (told <= 1)).all()


def test_a_picture_of_one_colour_has_a_familiarity(pictures):
    model = with_features(headed())
    features = run(measure_features(model), pictures)[FEATURES]
    black = np.zeros((1, SIZE_PX, SIZE_PX, 3), np.uint8)
    attached = attach_familiarity(model, fit_familiarity(features[:30], features[30:]))
    assert np.isfinite(run(attached, black)["familiarity"]).all()


def test_the_predictor_acts_on_what_is_in_the_file(tmp_path, pictures):
    model = with_features(headed())
    features = run(measure_features(model), pictures)[FEATURES]
    found = fit_familiarity(features[:30], features[30:])
    metadata = ModelMetadata(
        labels=("a", "b", "c"),
        size_px=SIZE_PX,
        thresholds={"unsure_below": None, "neither_below": 0.5},
    )
    path = tmp_path / "model.onnx"
    write_model_file(attach_familiarity(model, found), metadata, path)
    predictor = Predictor(path)
    answers = [predictor(picture) for picture in pictures]
    assert {answer.answer == "neither" for answer in answers} == {True, False}
    for answer in answers:
        assert (answer.answer == "neither") == (answer.familiarity < 0.5)

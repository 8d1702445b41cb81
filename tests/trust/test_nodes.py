from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from tiny_models import SIZE_PX, narrowing, tiny_backbone, tiny_head

from pawsure.errors import ExportError
from pawsure.export.model_file import write_model_file
from pawsure.graph.head import attach_head
from pawsure.model.metadata import ModelMetadata
from pawsure.model.predictor import Predictor
from pawsure.trust import profiles
from pawsure.trust.background import background_of
from pawsure.trust.calibration import Calibration, fit_curve
from pawsure.trust.familiarity import HeldOut, Known, fit_familiarity
from pawsure.trust.log_odds import CompactClassifier, LogOdds
from pawsure.trust.nodes import attach_familiarity, calibrate, parts_of, without_trust
from pawsure.trust.profiles import Profiles


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


def known(embedding: np.ndarray, *, backgrounds: int, classifier: bool) -> Known:
    kernel = np.random.default_rng(0).normal(0, 1, (embedding.shape[1], 10))
    return Known(
        backgrounds=tuple(background_of(embedding[n : n + 8]).whole for n in range(backgrounds)),
        classifier=CompactClassifier.of(kernel, np.arange(10) / 10) if classifier else None,
    )


@pytest.mark.parametrize("backgrounds", [0, 1, 2])
@pytest.mark.parametrize("classes", [None, Profiles, LogOdds])
@pytest.mark.parametrize("num_labels", [1, 4])
@pytest.mark.parametrize("opset", [17, 18])
def test_the_graph_tells_familiarity_as_numpy_does(
    pictures, backgrounds, classes, num_labels, opset, monkeypatch
):
    if classes is not None:
        monkeypatch.setattr(profiles, "NARROW", 0.0 if classes is Profiles else 2.0)
    model = headed(tiny_backbone(opset=opset))
    embedding = run(model, pictures)["embedding"]
    given = known(embedding, backgrounds=backgrounds, classifier=classes is not None)
    found = fit_familiarity(
        embedding[:20],
        HeldOut(validation=embedding[20:30]),
        given,
        label=np.arange(20) % num_labels,
    )
    assert classes is None or isinstance(found.classes, classes)
    told = run(attach_familiarity(model, found), pictures)["familiarity"]
    assert told.shape == (40,) and told.dtype == np.float32
    np.testing.assert_allclose(told, found(embedding), atol=2e-4)
    assert ((told >= 0) & (told <= 1)).all()


def test_what_can_not_be_fitted_anew_is_read_back_from_the_graph(pictures):
    model = headed()
    embedding = run(model, pictures)["embedding"]
    given = known(embedding, backgrounds=2, classifier=True)
    found = fit_familiarity(embedding[:20], HeldOut(validation=embedding[20:30]), given)
    parts = parts_of(attach_familiarity(model, found))
    assert parts.familiarity and not parts.calibration
    again = fit_familiarity(embedding[:20], HeldOut(validation=embedding[20:30]), parts.known)
    np.testing.assert_allclose(again(embedding), found(embedding), atol=1e-5)


def test_a_graph_without_trust_is_what_it_was(pictures):
    model = headed()
    outputs = run(model, pictures)
    line = Calibration(gaps=np.array([0.0, 9.0]), values=np.array([0.0, 3.0]))
    found = fit_familiarity(outputs["embedding"][:20], HeldOut(validation=outputs["embedding"]))
    bare = without_trust(attach_familiarity(calibrate(model, line), found))
    for name, values in run(bare, pictures).items():
        np.testing.assert_array_equal(values, outputs[name])
    assert not parts_of(bare)


def test_a_picture_of_one_colour_has_a_familiarity(pictures):
    model = headed()
    embedding = run(model, pictures)["embedding"]
    black = np.zeros((1, SIZE_PX, SIZE_PX, 3), np.uint8)
    found = fit_familiarity(embedding[:30], HeldOut(validation=embedding[30:]))
    assert np.isfinite(run(attach_familiarity(model, found), black)["familiarity"]).all()


def test_the_predictor_acts_on_what_is_in_the_file(tmp_path, pictures):
    model = headed()
    embedding = run(model, pictures)["embedding"]
    found = fit_familiarity(embedding[:30], HeldOut(validation=embedding[30:]))
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

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from tiny_models import FEATURES, SIZE_PX, tiny_backbone, tiny_head

from pawsure.errors import ExportError
from pawsure.export.model_file import write_model_file
from pawsure.graph.head import OUTPUTS, attach_head, two_class_kernel
from pawsure.model.metadata import ModelMetadata, read_metadata
from pawsure.model.onnx_file import CHECKSUM_KEY


def run(model: onnx.ModelProto, pictures: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return dict(zip(OUTPUTS, session.run(OUTPUTS, {"image": pictures}), strict=True))


@pytest.fixture
def pictures() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (7, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)


@pytest.mark.parametrize("opset", [13, 17, 18, 21])
def test_head_says_what_numpy_says_on_every_opset(opset, pictures):
    backbone = tiny_backbone(opset=opset)
    kernel, bias = tiny_head(3)
    session = onnxruntime.InferenceSession(backbone.SerializeToString())
    (feature_map,) = session.run(None, {"image": pictures})

    outputs = run(attach_head(backbone, kernel, bias, temperature=2.5), pictures)

    embedding = feature_map.mean(axis=(1, 2))
    logit = embedding @ kernel + bias
    exponential = np.exp(logit / 2.5)
    # One float32 step is 1.2e-7 of the value; sums of a few dozen terms take some steps.
    np.testing.assert_allclose(outputs["embedding"], embedding, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(outputs["logit"], logit, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        outputs["probability"], exponential / exponential.sum(1, keepdims=True), atol=1e-6
    )
    np.testing.assert_allclose(outputs["evidence"], feature_map @ kernel + bias, atol=1e-5)


def test_mean_of_evidence_is_the_logit(pictures):
    outputs = run(attach_head(tiny_backbone(), *tiny_head(4)), pictures)
    assert outputs["evidence"].shape == (7, SIZE_PX // 4, SIZE_PX // 4, 4)
    np.testing.assert_allclose(outputs["evidence"].mean(axis=(1, 2)), outputs["logit"], atol=1e-5)


def test_probabilities_sum_to_one_even_for_extreme_logits(pictures):
    kernel, bias = tiny_head(3)
    probability = run(attach_head(tiny_backbone(), kernel * 1e4, bias), pictures)["probability"]
    assert np.isfinite(probability).all()
    np.testing.assert_allclose(probability.sum(axis=1), 1, atol=1e-6)


def test_sigmoid_unit_becomes_two_classes_that_say_the_same(pictures):
    kernel, bias = tiny_head(1)
    outputs = run(attach_head(tiny_backbone(), *two_class_kernel(kernel, bias)), pictures)
    z = (outputs["embedding"].astype(np.float64) @ kernel + bias)[:, 0]
    np.testing.assert_allclose(outputs["probability"][:, 1], 1 / (1 + np.exp(-z)), atol=1e-6)
    np.testing.assert_allclose(outputs["logit"], np.stack([-z / 2, z / 2], axis=1), atol=1e-5)


def test_two_class_kernel_refuses_more_than_one_unit():
    with pytest.raises(ExportError, match="has one unit"):
        two_class_kernel(*tiny_head(2))


@pytest.mark.parametrize("name", ["embedding", "evidence", "logit", "head/kernel"])
def test_a_backbone_may_use_the_names_of_the_head(name, pictures):
    kernel, bias = tiny_head()
    plain = run(attach_head(tiny_backbone(), kernel, bias), pictures)
    clashing = run(attach_head(tiny_backbone(output=name), kernel, bias), pictures)
    for output in OUTPUTS:
        np.testing.assert_array_equal(plain[output], clashing[output])


def test_backbone_is_left_as_it_was():
    backbone = tiny_backbone()
    before = backbone.SerializeToString()
    attach_head(backbone, *tiny_head())
    assert backbone.SerializeToString() == before


def test_head_for_other_features_is_refused():
    kernel, bias = tiny_head(features=FEATURES + 1)
    with pytest.raises(ExportError, match=r"gives 6 features; the head was made for 7"):
        attach_head(tiny_backbone(), kernel, bias)


def test_kernel_and_bias_that_differ_are_refused():
    kernel, _ = tiny_head(3)
    with pytest.raises(ExportError, match=r"got \(6, 3\) and \(2,\)"):
        attach_head(tiny_backbone(), kernel, np.zeros(2, np.float32))


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_temperature_must_be_positive(temperature):
    with pytest.raises(ExportError, match="above 0"):
        attach_head(tiny_backbone(), *tiny_head(), temperature=temperature)


def test_backbone_with_another_input_or_output_is_refused_with_what_it_has():
    backbone = tiny_backbone()
    backbone.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
    with pytest.raises(ExportError, match=r"'image': float \(N, 16, 16, 3\)"):
        attach_head(backbone, *tiny_head())
    backbone = tiny_backbone()
    backbone.graph.output.append(backbone.graph.output[0])
    with pytest.raises(ExportError, match="one output"):
        attach_head(backbone, *tiny_head())


def metadata(**changes) -> ModelMetadata:
    return ModelMetadata(**({"labels": ("cat", "dog"), "size_px": SIZE_PX} | changes))


def test_same_model_and_metadata_give_the_same_bytes(tmp_path):
    model = attach_head(tiny_backbone(), *tiny_head())
    for name in ("a.onnx", "b.onnx"):
        write_model_file(model, metadata(figures={"n": 3, "accuracy": 0.5}), tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_file_describes_itself_to_any_onnx_tool(tmp_path):
    write_model_file(
        attach_head(tiny_backbone(), *tiny_head()), metadata(), tmp_path / "model.onnx"
    )
    model = onnx.load(tmp_path / "model.onnx")
    assert model.producer_name == "pawsure"
    assert "cat, dog" in model.doc_string and "uint8 RGB (N, 16, 16, 3)" in model.doc_string
    assert [entry.key for entry in model.metadata_props] == ["pawsure", CHECKSUM_KEY]


def test_metadata_survive_the_file(tmp_path):
    written = metadata(
        labels=("chat", "chien", "été"),
        recipe='seed = 1\nname = "ü"\n',
        backbone="mobilenet_v2",
        data_fingerprint="ab12",
        figures={"accuracy": {"value": 0.5, "low": 0.25, "high": 0.75}},
        thresholds={"unsure_below": 0.75, "neither_below": None},
    )
    model = attach_head(tiny_backbone(), *tiny_head(3))
    write_model_file(model, written, tmp_path / "model.onnx")
    assert read_metadata(tmp_path / "model.onnx") == written


def test_labels_that_do_not_fit_the_graph_are_refused_and_nothing_is_written(tmp_path):
    model = attach_head(tiny_backbone(), *tiny_head(3))
    with pytest.raises(ExportError, match=r"3 classes apart; the metadata name 2 labels"):
        write_model_file(model, metadata(), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_graph_without_the_outputs_is_refused(tmp_path):
    with pytest.raises(ExportError, match="lacks probability, logit, embedding, evidence"):
        write_model_file(tiny_backbone(), metadata(), tmp_path / "model.onnx")


def test_invalid_graph_is_refused_and_nothing_is_written(tmp_path):
    model = attach_head(tiny_backbone(), *tiny_head())
    model.graph.node.append(helper.make_node("Relu", ["nowhere"], ["anything"]))
    with pytest.raises(ExportError, match="not valid ONNX"):
        write_model_file(model, metadata(), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []

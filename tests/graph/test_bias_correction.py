from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from tiny_models import SIZE_PX

from pawsure.graph.bias_correction import correct_biases

PICTURES = np.random.default_rng(3).integers(0, 256, (30, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)


def convolution(kernel: np.ndarray, groups: int, bias: np.ndarray | None) -> onnx.ModelProto:
    constants = {"w": kernel} if bias is None else {"w": kernel, "b": bias}
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixels"], ["x"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["x", *constants], ["y"], group=groups),
    ]
    graph = helper.make_graph(
        nodes,
        "convolution",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIZE_PX, SIZE_PX, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", None, None, None])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(model: onnx.ModelProto) -> np.ndarray:
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"image": PICTURES})[0]


def with_rounded_kernel(model: onnx.ModelProto) -> onnx.ModelProto:
    for item in model.graph.initializer:
        if item.name == "w":
            kernel = numpy_helper.to_array(item)
            scale = np.abs(kernel).max(axis=(1, 2, 3), keepdims=True).clip(1e-12) / 127
            item.CopyFrom(numpy_helper.from_array(np.round(kernel / scale) * scale, "w"))
    return model


@pytest.mark.parametrize(("shape", "groups"), [((6, 3, 3, 3), 1), ((6, 1, 3, 3), 3)])
@pytest.mark.parametrize("has_bias", [True, False])
def test_rounded_kernels_give_the_same_on_average(shape, groups, has_bias):
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=shape).astype(np.float32)
    bias = rng.normal(size=6).astype(np.float32) if has_bias else None
    expected = run(convolution(kernel, groups, bias)).mean(axis=(0, 2, 3))
    plain = run(with_rounded_kernel(convolution(kernel, groups, bias))).mean(axis=(0, 2, 3))
    corrected = correct_biases(convolution(kernel, groups, bias), [PICTURES[:10], PICTURES[10:]])
    found = run(with_rounded_kernel(corrected)).mean(axis=(0, 2, 3))
    before, after = np.abs(plain - expected).max(), np.abs(found - expected).max()
    # Not to zero: windows see places at the edge less often than the mean does.
    assert after < before / 5


def test_a_channel_without_weights_is_left_alone():
    kernel = np.zeros((2, 3, 1, 1), np.float32)
    kernel[0] = 0.3
    found = run(correct_biases(convolution(kernel, 1, None), [PICTURES]))
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[:, 1], 0)


def test_the_model_given_stays_as_it_was():
    model = convolution(np.ones((2, 3, 1, 1), np.float32), 1, None)
    before = model.SerializeToString()
    correct_biases(model, [PICTURES])
    assert model.SerializeToString() == before

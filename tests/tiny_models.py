"""Model files small enough to make in a test, with weights from a seed and no Keras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pawsure.export.model_file import write_model_file
from pawsure.graph.head import attach_head
from pawsure.model.metadata import ModelMetadata

SIZE_PX = 16
FEATURES = 6


def tiny_backbone(
    *,
    size_px: int = SIZE_PX,
    features: int = FEATURES,
    opset: int = 17,
    output: str = "feature_map",
    seed: int = 0,
) -> onnx.ModelProto:
    """uint8 'image' (N, S, S, 3) -> float32 (N, S/4, S/4, features): scale, convolve, ReLU."""
    rng = np.random.default_rng(seed)
    constants = {
        "scale": np.array(1 / 127.5, np.float32),
        "offset": np.array(-1, np.float32),
        "weight": rng.normal(0, 0.3, (features, 3, 4, 4)).astype(np.float32),
        "bias": rng.normal(0, 0.3, features).astype(np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["pixels", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["centred"]),
        helper.make_node("Transpose", ["centred"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["nchw", "weight", "bias"], ["convolved"], strides=[4, 4]),
        helper.make_node("Relu", ["convolved"], ["rectified"]),
        helper.make_node("Transpose", ["rectified"], [output], perm=[0, 2, 3, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", size_px, size_px, 3])],
        [
            helper.make_tensor_value_info(
                output, TensorProto.FLOAT, ["N", size_px // 4, size_px // 4, features]
            )
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def narrowing() -> onnx.ModelProto:
    """Two bottlenecks before the feature map: 3 and then 5 channels at 8x8 and 4x4 places."""
    rng = np.random.default_rng(0)
    constants: dict[str, np.ndarray] = {"scale": np.array(1 / 255, np.float32)}
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["pixels", "scale"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["first"], perm=[0, 3, 1, 2]),
    ]
    last, channels = "first", 3
    for name, width, stride in (
        ("wide", 40, 2),
        ("narrow", 4, 1),
        ("wide_again", 90, 2),
        ("narrower", 5, 1),
        ("last", 48, 1),
    ):
        constants[f"{name}/w"] = rng.normal(0, 0.3, (width, channels, 1, 1)).astype(np.float32)
        nodes.append(
            helper.make_node("Conv", [last, f"{name}/w"], [name], strides=[stride, stride])
        )
        last, channels = name, width
    nodes.append(helper.make_node("Transpose", [last], ["feature_map"], perm=[0, 2, 3, 1]))
    graph = helper.make_graph(
        nodes,
        "narrowing",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIZE_PX, SIZE_PX, 3])],
        [helper.make_tensor_value_info("feature_map", TensorProto.FLOAT, ["N", 4, 4, 48])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def tiny_head(num_labels: int = 2, *, features: int = FEATURES, seed: int = 1):
    """A kernel (features, num_labels) and a bias (num_labels,), float32."""
    rng = np.random.default_rng(seed)
    kernel = rng.normal(0, 1, (features, num_labels)).astype(np.float32)
    return kernel, rng.normal(0, 1, num_labels).astype(np.float32)


def tiny_model_file(
    path: Path,
    *,
    labels: tuple[str, ...] = ("cat", "dog"),
    **metadata: object,
) -> Path:
    """Write a whole model file."""
    model = attach_head(tiny_backbone(), *tiny_head(len(labels)))
    write_model_file(model, ModelMetadata(labels=labels, size_px=SIZE_PX, **metadata), path)
    return path


def red_or_blue_model_file(
    path: Path,
    *,
    sharpness: float = 8.0,
    labels: tuple[str, str] = ("blue", "red"),
    **metadata: object,
) -> Path:
    """Write a model whose answer is known: 'blue' or 'red', whichever channel is brighter.

    The feature map is the picture itself, scaled to 0...1 and averaged over 4x4 places.
    """
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["pixels", "full"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["nchw"], ["pooled"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Transpose", ["pooled"], ["feature_map"], perm=[0, 2, 3, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "red_or_blue",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIZE_PX, SIZE_PX, 3])],
        [
            helper.make_tensor_value_info(
                "feature_map", TensorProto.FLOAT, ["N", SIZE_PX // 4, SIZE_PX // 4, 3]
            )
        ],
        [numpy_helper.from_array(np.array(255, np.float32), "full")],
    )
    backbone = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    kernel = np.array([[0, sharpness], [0, 0], [sharpness, 0]], np.float32)
    model = attach_head(backbone, kernel, np.zeros(2, np.float32))
    described = ModelMetadata(labels=labels, size_px=SIZE_PX, **metadata)
    write_model_file(model, described, path)
    return path

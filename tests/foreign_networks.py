"""ONNX files as other tools export them: small, with weights from a seed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE_PX = 32
FEATURES = 12
UNIT = {"mean": "[0.5, 0.5, 0.5]", "std": "[0.5, 0.5, 0.5]"}


def network(
    *,
    layout: str = "NCHW",
    gives: str = "map",
    batch: int | str = "batch",
    side: int | str = SIZE_PX,
    kind: int = TensorProto.FLOAT,
    opset: int = 17,
    says: Mapping[str, str] = UNIT,
    reshape_batch: int | None = None,
) -> onnx.ModelProto:
    """Two convolutions, whose names are those that a model file's own nodes have too.

    Args:
        layout: of its input: NCHW or NHWC.
        gives: map (in the input's layout), pooled, tokens (a class token first), logits and
            features (two outputs).
        batch: of its input: a number or a name.
        side: of its pictures: a number or a name.
        kind: of its numbers.
        opset: of its operators.
        says: its metadata.
        reshape_batch: a batch that is written into a reshape, as some exporters do.
    """
    rng = np.random.default_rng(5)
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    constants = {
        "head/kernel": rng.normal(0, 0.3, (8, 3, 4, 4)).astype(dtype),
        "bias": rng.normal(0, 0.1, FEATURES).astype(dtype),
        "second": rng.normal(0, 0.3, (FEATURES, 8, 2, 2)).astype(dtype),
    }
    pixels = "image"
    nodes = []
    if layout == "NHWC":
        nodes.append(helper.make_node("Transpose", ["image"], ["nchw"], perm=[0, 3, 1, 2]))
        pixels = "nchw"
    nodes += [
        helper.make_node("Conv", [pixels, "head/kernel"], ["logit"], strides=[4, 4]),
        helper.make_node("Relu", ["logit"], ["embedding"]),
        helper.make_node("Conv", ["embedding", "second", "bias"], ["evidence"], strides=[2, 2]),
        helper.make_node("Relu", ["evidence"], ["probability"]),
    ]
    outputs = ["features"]
    if gives == "map" and layout == "NHWC":
        nodes.append(
            helper.make_node("Transpose", ["probability"], ["features"], perm=[0, 2, 3, 1])
        )
    elif gives == "map":
        nodes.append(helper.make_node("Identity", ["probability"], ["features"]))
    elif gives == "tokens":
        constants["flat"] = np.array([0, FEATURES, -1], np.int64)
        nodes += [
            helper.make_node("Reshape", ["probability", "flat"], ["flattened"]),
            helper.make_node("Transpose", ["flattened"], ["patches"], perm=[0, 2, 1]),
            helper.make_node("ReduceMean", ["patches"], ["class"], axes=[1], keepdims=1),
            helper.make_node("Concat", ["class", "patches"], ["features"], axis=1),
        ]
    else:
        nodes.append(helper.make_node("GlobalAveragePool", ["probability"], ["pool"]))
        if reshape_batch is None:
            nodes.append(helper.make_node("Flatten", ["pool"], ["features"], axis=1))
        else:
            constants["flat"] = np.array([reshape_batch, FEATURES], np.int64)
            nodes.append(helper.make_node("Reshape", ["pool", "flat"], ["features"]))
    if gives == "two":
        constants["classes"] = rng.normal(0, 1, (FEATURES, 5)).astype(dtype)
        nodes.append(helper.make_node("MatMul", ["features", "classes"], ["logits"]))
        outputs = ["logits", "features"]
    shape = [batch, 3, side, side] if layout == "NCHW" else [batch, side, side, 3]
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info("image", kind, shape)],
        [helper.make_tensor_value_info(name, kind, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    helper.set_model_props(model, dict(says))
    return model


def save(folder: Path, model: onnx.ModelProto, name: str = "net.onnx") -> Path:
    """Write a network into a folder."""
    path = folder / name
    path.write_bytes(model.SerializeToString())
    return path

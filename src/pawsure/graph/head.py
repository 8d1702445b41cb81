"""The classifier on a backbone's graph: a pooled linear head, and evidence (the CAM).

The head is a linear layer on the mean of the feature map over its positions. Both are linear, so
the same kernel applied at every position gives a map whose mean is the logit, without gradients.
Source: Zhou et al. 2016, "Learning Deep Features for Discriminative Localization",
arXiv:1512.04150, eq. 1 and 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx.compose
from onnx import TensorProto, helper, numpy_helper

from pawsure.errors import ExportError
from pawsure.graph.prune import copy_of

INPUT = "image"
OUTPUTS = ("probability", "logit", "embedding", "evidence")
POOLED = "head/pooled"
"""The mean of the feature map, if the embedding is a part of it."""

_DEFAULT_DOMAIN = ("", "ai.onnx")
_AXES_AS_INPUT_SINCE = 18  # ReduceMean takes its axes as an input from this opset on


def attach_head(
    backbone: onnx.ModelProto,
    kernel: np.ndarray,
    bias: np.ndarray,
    *,
    temperature: float = 1.0,
    embedded: int | None = None,
) -> onnx.ModelProto:
    """Put the classifier on a backbone's graph.

    Args:
        backbone: uint8 "image" (N, S, S, 3) to one float32 feature map (N, h, w, F).
            Left as it is.
        kernel: float (F, K).
        bias: float (K,).
        temperature: logits are divided by it before the softmax; above 0.
        embedded: number of leading features in the embedding; None: all.

    Returns:
        A model with the outputs, all float32: `probability` (N, K), rows sum to 1;
        `logit` (N, K), before the temperature; `embedding` (N, F or fewer), the mean of the
        feature map; `evidence` (N, h, w, K), whose mean over h and w is the logit.

    Raises:
        ExportError: the graph, the kernel and the bias do not match.
    """
    kernel = np.ascontiguousarray(kernel, dtype=np.float32)
    bias = np.ascontiguousarray(bias, dtype=np.float32)
    _check_backbone(backbone)
    _check_head(backbone, kernel, bias, temperature)
    model = _without_name_clashes(backbone)
    feature_map = model.graph.output[0]
    constants, nodes = _head(feature_map.name, _default_opset(model), embedded)
    constants |= {
        "head/kernel": kernel,
        "head/bias": bias,
        "head/temperature": np.array(temperature, dtype=np.float32),
    }
    model.graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in constants.items()
    )
    model.graph.node.extend(nodes)
    outputs = _output_declarations(feature_map, embedded or len(kernel), kernel.shape[1])
    del model.graph.output[:]
    model.graph.output.extend(outputs)
    return model


def feature_map_of(graph: onnx.GraphProto) -> str:
    """The name of the feature map that a head of `attach_head` reads."""
    return next(
        str(node.input[0])
        for node in graph.node
        if node.op_type == "ReduceMean" and node.output[0] in ("embedding", POOLED)
    )


def _head(
    feature_map: str, opset: int, embedded: int | None
) -> tuple[dict[str, np.ndarray], list[onnx.NodeProto]]:
    """The nodes from the feature map to the outputs, and the constants that they need."""
    constants: dict[str, np.ndarray] = {}
    pool_inputs, pool_attributes = [feature_map], {"keepdims": 0, "axes": [1, 2]}
    if opset >= _AXES_AS_INPUT_SINCE:
        constants["head/axes"] = np.array(pool_attributes.pop("axes"), dtype=np.int64)
        pool_inputs.append("head/axes")
    pooled = "embedding" if embedded is None else POOLED
    layers: list[tuple[str, list[str], str, dict[str, Any]]] = [
        ("ReduceMean", pool_inputs, pooled, pool_attributes),
        ("Gemm", [pooled, "head/kernel", "head/bias"], "logit", {}),
        ("Div", ["logit", "head/temperature"], "head/scaled_logit", {}),
        ("Softmax", ["head/scaled_logit"], "probability", {"axis": -1}),
        ("MatMul", [feature_map, "head/kernel"], "head/unbiased_evidence", {}),
        ("Add", ["head/unbiased_evidence", "head/bias"], "evidence", {}),
    ]
    if embedded is not None:
        part = {"head/start": 0, "head/end": embedded, "head/axis": 1}
        constants |= {name: np.array([value], np.int64) for name, value in part.items()}
        layers.append(("Slice", [pooled, *part], "embedding", {}))
    return constants, [
        helper.make_node(kind, inputs, [output], name=output, **attributes)
        for kind, inputs, output, attributes in layers
    ]


def _output_declarations(
    feature_map: onnx.ValueInfoProto, num_features: int, num_labels: int
) -> list[onnx.ValueInfoProto]:
    batch, height, width, _ = map(_size_of, feature_map.type.tensor_type.shape.dim)
    shapes = {
        "probability": [batch, num_labels],
        "logit": [batch, num_labels],
        "embedding": [batch, num_features],
        "evidence": [batch, height, width, num_labels],
    }
    return [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[name]) for name in OUTPUTS
    ]


def two_class_kernel(kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn one sigmoid unit into two equivalent softmax units.

    With z the logit of the unit, softmax((-z/2, z/2)) = (1 - sigmoid(z), sigmoid(z)), so
    the second label is the one that the unit stands for. Halving is exact in binary
    floating point.

    Args:
        kernel: float (F, 1).
        bias: float (1,).

    Returns:
        float32 (F, 2) and float32 (2,).

    Raises:
        ExportError: the head does not have one unit.
    """
    kernel, bias = np.asarray(kernel, np.float32), np.asarray(bias, np.float32)
    if kernel.ndim != 2 or kernel.shape[1] != 1 or bias.shape != (1,):
        raise ExportError(
            "A sigmoid head has one unit: a kernel of (features, 1) and a bias of (1,); "
            f"got {kernel.shape} and {bias.shape}."
        )
    signs = np.array([-0.5, 0.5], dtype=np.float32)
    return kernel * signs, bias * signs


def _check_backbone(backbone: onnx.ModelProto) -> None:
    inputs = _real_inputs(backbone.graph)
    if [item.name for item in inputs] != [INPUT] or not _is(inputs[0], TensorProto.UINT8, 4):
        raise ExportError(
            f"A backbone takes one input, '{INPUT}': uint8 (N, S, S, 3); "
            f"this one takes {_signature(inputs)}."
        )
    outputs = list(backbone.graph.output)
    if len(outputs) != 1 or not _is(outputs[0], TensorProto.FLOAT, 4):
        raise ExportError(
            "A backbone gives one output, a feature map: float32 (N, h, w, F); "
            f"this one gives {_signature(outputs)}."
        )


def _check_head(
    backbone: onnx.ModelProto, kernel: np.ndarray, bias: np.ndarray, temperature: float
) -> None:
    if kernel.ndim != 2 or kernel.shape[1] < 2 or bias.shape != kernel.shape[1:]:
        raise ExportError(
            "A head has a kernel of (features, labels) and a bias of (labels,), with two or "
            f"more labels; got {kernel.shape} and {bias.shape}. "
            "For a single sigmoid unit see two_class_kernel."
        )
    features = backbone.graph.output[0].type.tensor_type.shape.dim[3]
    if features.HasField("dim_value") and features.dim_value != kernel.shape[0]:
        raise ExportError(
            f"The backbone gives {features.dim_value} features; "
            f"the head was made for {kernel.shape[0]}."
        )
    if not temperature > 0:
        raise ExportError(f"A temperature must be above 0; got {temperature}.")


def _without_name_clashes(backbone: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which no tensor or node has a name of the head."""
    model = copy_of(backbone)
    taken = {name for node in model.graph.node for name in (*node.output, node.name)}
    taken |= {item.name for item in (*model.graph.initializer, *model.graph.output)}
    if not any(name in OUTPUTS or name.startswith("head/") for name in taken):
        return model
    return onnx.compose.add_prefix(model, "backbone/", rename_inputs=False)


def _real_inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """Inputs without initializers, which older files list too."""
    constants = {item.name for item in graph.initializer}
    return [item for item in graph.input if item.name not in constants]


def _default_opset(model: onnx.ModelProto) -> int:
    return next(item.version for item in model.opset_import if item.domain in _DEFAULT_DOMAIN)


def _is(value: onnx.ValueInfoProto, kind: int, rank: int) -> bool:
    tensor = value.type.tensor_type
    return tensor.elem_type == kind and len(tensor.shape.dim) == rank


def _size_of(axis: onnx.TensorShapeProto.Dimension) -> int | str | None:
    return axis.dim_value if axis.HasField("dim_value") else axis.dim_param or None


def _signature(values: list[onnx.ValueInfoProto]) -> str:
    """Names, types and shapes, for errors."""

    def one(value: onnx.ValueInfoProto) -> str:
        tensor = value.type.tensor_type
        kind = TensorProto.DataType.Name(tensor.elem_type).lower()
        sizes = ", ".join(str(_size_of(axis) or "?") for axis in tensor.shape.dim)
        return f"'{value.name}': {kind} ({sizes})"

    return "; ".join(one(value) for value in values) or "nothing"

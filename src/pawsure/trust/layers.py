"""Feature layers: the tensors whose means over the picture familiarity is computed from.

A tensor through which all data flows (see `pawsure.network.cuts`) and which is narrower than the
feature map has to hold what matters in few numbers; its mean over the picture is a good
description, and costs next to nothing because the network computes the tensor anyway.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import onnx


@dataclass(frozen=True)
class FeatureLayer:
    """A tensor to pool.

    Attributes:
        name: in the graph; channels first.
        width: channels.
    """

    name: str
    width: int


def find_layers(model: onnx.ModelProto, feature_map: str | None = None) -> list[FeatureLayer]:
    """The bottlenecks of a network, in the order in which data flows.

    Of the tensors through which all data flows, those with fewer numbers than what comes before
    and after them, and than the feature map; of equals in a row the last.

    Args:
        model: of `attach_head`, or any with this feature map.
        feature_map: the tensor that the embedding is the mean of; None: what `embedding` is
            computed from.

    Returns:
        None at all where the network has no such bottleneck: its embedding has to do.
    """
    shapes = _shapes(model)
    feature_map = feature_map or _feature_map(model.graph)
    most = math.prod(shapes.get(feature_map, (1,)))
    runs: list[tuple[int, str]] = []
    for name in _cuts(model.graph, feature_map):
        size = math.prod(shapes.get(name, (most,)))
        if runs and runs[-1][0] == size:
            runs.pop()
        runs.append((size, name))
    inner = zip(runs, runs[1:], runs[2:], strict=False)
    narrow = [
        name
        for (before, _), (size, name), (after, _) in inner
        if before > size < after and size < most
    ]
    return [
        FeatureLayer(name, shapes[name][0]) for name in narrow if _is_channels_first(shapes[name])
    ]


def _feature_map(graph: onnx.GraphProto) -> str:
    """What the embedding is the mean of."""
    return next(str(node.input[0]) for node in graph.node if "embedding" in node.output)


def _is_channels_first(shape: tuple[int, ...]) -> bool:
    """Whether it is (C, h, w); pictures, and so h and w, are square."""
    return len(shape) == 3 and shape[1] == shape[2] and shape[0] != shape[1]


def _shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """The shape of each float tensor, without the batch, where it is known."""
    found = {}
    graph = onnx.shape_inference.infer_shapes(model).graph
    for value in (*graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        sizes = [dim.dim_value for dim in tensor.shape.dim[1:]]
        if tensor.elem_type == onnx.TensorProto.FLOAT and sizes and all(sizes):
            found[value.name] = tuple(sizes)
    return found


def _cuts(graph: onnx.GraphProto, end: str) -> list[str]:
    """Tensors beside which nothing is still to be used, in order, up to `end`."""
    constants = {item.name for item in graph.initializer}
    last_use: dict[str, int] = {}
    for place, node in enumerate(graph.node):
        last_use |= dict.fromkeys(node.input, place)
    cuts, alive = [], {item.name for item in graph.input} - constants
    for place, node in enumerate(graph.node):
        alive |= set(node.output)
        alive = {name for name in alive if last_use.get(name, -1) > place}
        if len(alive) == 1 and node.output[0] in alive:
            cuts.append(node.output[0])
        if end in node.output:
            break
    return cuts

"""The pooled features of a backbone as one more output of its graph."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from pawsure.graph.prune import copy_of


def with_pooled_output(backbone: onnx.ModelProto, feature_map: str, output: str) -> onnx.ModelProto:
    """A copy of a backbone's graph with the mean of its feature map as another output.

    Args:
        backbone: with the output `feature_map`; left as it is.
        feature_map: float32 (N, h, w, F).
        output: name of the new one, float32 (N, F); it comes first.
    """
    model = copy_of(backbone)
    graph = model.graph
    (described,) = (each for each in graph.output if each.name == feature_map)
    width = described.type.tensor_type.shape.dim[3].dim_value
    (maker,) = (node for node in graph.node if feature_map in node.output)
    source = feature_map
    if maker.op_type == "Transpose" and _permutation(maker) == [0, 2, 3, 1]:
        source = maker.input[0]  # channels first already
    else:
        source = f"{output}/NCHW"
        graph.node.append(
            helper.make_node("Transpose", [feature_map], [source], name=source, perm=[0, 3, 1, 2])
        )
    pool = f"{output}/pool"
    graph.node.append(helper.make_node("GlobalAveragePool", [source], [pool], name=pool))
    graph.node.append(helper.make_node("Flatten", [pool], [output], name=output, axis=1))
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", width])]
    outputs += graph.output
    del graph.output[:]
    graph.output.extend(outputs)
    return model


def _permutation(node: onnx.NodeProto) -> list[int]:
    """Of a transposition."""
    return [int(axis) for each in node.attribute if each.name == "perm" for axis in each.ints]

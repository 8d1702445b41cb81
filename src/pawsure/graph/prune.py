"""Copy graphs, and remove unneeded parts of them."""

from __future__ import annotations

import onnx

from pawsure.errors import ExportError


def keep_output(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """A copy of a graph with a single output and the nodes that it needs.

    Args:
        model: left as it is.
        name: of the output.

    Raises:
        ExportError: the graph has no such output.
    """
    outputs = [output for output in model.graph.output if output.name == name]
    if not outputs:
        known = ", ".join(output.name for output in model.graph.output)
        raise ExportError(f"The graph has no output '{name}'. Its outputs are {known}.")
    pruned = copy_of(model)
    del pruned.graph.output[:]
    pruned.graph.output.extend(outputs)
    drop_unneeded(pruned.graph, {name})
    return pruned


def drop_unneeded(graph: onnx.GraphProto, names: set[str]) -> None:
    """Remove from a graph, in place, the nodes and constants that these tensors do not need."""
    wanted = set(names)
    nodes = []
    for node in reversed(graph.node):  # in ONNX, each node comes after what it needs
        if wanted.intersection(node.output):
            wanted.update(node.input, _outer_inputs(node))
            nodes.append(node)
    constants = [item for item in graph.initializer if item.name in wanted]
    nodes.reverse()
    for field, content in ((graph.node, nodes), (graph.initializer, constants)):
        del field[:]
        field.extend(content)


def _outer_inputs(node: onnx.NodeProto) -> set[str]:
    """Outer tensors that the bodies of a node (If, Loop or Scan) may read."""
    outer: set[str] = set()
    for attribute in node.attribute:
        for body in (*attribute.graphs, attribute.g):
            outer.update(output.name for output in body.output)
            for inner in body.node:
                outer.update(inner.input, _outer_inputs(inner))
    return outer


def copy_of(model: onnx.ModelProto) -> onnx.ModelProto:
    """A deep copy."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy

"""Leave out of a graph what one of its outputs does not need."""

from __future__ import annotations

import onnx

from pawsure.errors import ExportError


def keep_output(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """A copy of a graph with a single output, and only what that output is computed from.

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
    """Take out of a graph, in place, the nodes and constants that these tensors do not need."""
    wanted = set(names)
    nodes = []
    for node in reversed(graph.node):  # in ONNX, each node comes after what it needs
        if wanted.intersection(node.output):
            wanted.update(node.input, _taken_inside(node))
            nodes.append(node)
    constants = [item for item in graph.initializer if item.name in wanted]
    nodes.reverse()
    for field, content in ((graph.node, nodes), (graph.initializer, constants)):
        del field[:]
        field.extend(content)


def _taken_inside(node: onnx.NodeProto) -> set[str]:
    """What the bodies of a node (of If, Loop or Scan) may take from around them."""
    taken: set[str] = set()
    for attribute in node.attribute:
        for body in (*attribute.graphs, attribute.g):
            taken.update(output.name for output in body.output)
            for inner in body.node:
                taken.update(inner.input, _taken_inside(inner))
    return taken


def copy_of(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that can be changed while the model stays as it is."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy

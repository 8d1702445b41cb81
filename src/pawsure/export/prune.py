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
    pruned = onnx.ModelProto()
    pruned.CopyFrom(model)
    graph = pruned.graph
    wanted = {name}
    nodes = []
    for node in reversed(model.graph.node):  # in ONNX, each node comes after what it needs
        if wanted.intersection(node.output):
            wanted.update(node.input)
            nodes.append(node)
    constants = [item for item in model.graph.initializer if item.name in wanted]
    for field in (graph.node, graph.initializer, graph.output):
        del field[:]
    graph.node.extend(reversed(nodes))
    graph.initializer.extend(constants)
    graph.output.extend(outputs)
    return pruned

"""Reading the graph of a functional Keras model.

The one place that knows how Keras 3 keeps it: every tensor remembers the call that made it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pawsure.errors import UsageError
from pawsure.network.framework import keras


@dataclass(frozen=True)
class Call:
    """One call of an operation (most often a layer) in a model's graph.

    Attributes:
        operation: the layer, or another Keras operation such as an addition.
        inputs: the tensors that it takes, in order.
        outputs: the tensors that it makes.
        arguments: positional arguments of the call: tensors, numbers, lists of tensors.
        keywords: keyword arguments of the call.
    """

    operation: Any
    inputs: Sequence[Any]
    outputs: Sequence[Any]
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]


def calls_in_order(model: keras.Model) -> list[Call]:
    """The calls that lead from a model's inputs to its outputs, each after what it needs.

    Args:
        model: a functional (or sequential) model; its input layers are left out.

    Returns:
        The same order every time for the same model.

    Raises:
        UsageError: the model has no graph to read (a subclass of `keras.Model`).
    """
    given = {id(tensor) for tensor in _tensors(model, "inputs")}
    nodes: list[Any] = []
    seen: set[int] = set()
    # A stack of our own, since a deep network would exhaust Python's.
    waiting = [(tensor, False) for tensor in reversed(_tensors(model, "outputs"))]
    while waiting:
        tensor, needs_met = waiting.pop()
        if id(tensor) in given:
            continue
        node = _maker(tensor)
        if needs_met and id(node) not in seen:
            seen.add(id(node))
            nodes.append(node)
        elif not needs_met and id(node) not in seen:
            waiting.append((tensor, True))
            waiting.extend((needed, False) for needed in reversed(node.input_tensors))
    return [_call(node) for node in nodes]


def _tensors(model: keras.Model, which: str) -> list[Any]:
    """The model's inputs or outputs as a flat list."""
    tensors = getattr(model, which, None)
    if not tensors:
        raise UsageError(
            f"'{model.name}' has no graph to read. Build it with the functional API: "
            "keras.Model(inputs, outputs)."
        )
    return list(keras.tree.flatten(tensors))


def _maker(tensor: Any) -> Any:
    """The node (Keras's word for a call) that made a tensor."""
    operation, node_index, _ = tensor._keras_history
    return operation._inbound_nodes[node_index]


def _call(node: Any) -> Call:
    """Our view of a node."""
    return Call(
        operation=node.operation,
        inputs=tuple(node.input_tensors),
        outputs=tuple(node.output_tensors),
        arguments=tuple(node.arguments.args),
        keywords=dict(node.arguments.kwargs),
    )

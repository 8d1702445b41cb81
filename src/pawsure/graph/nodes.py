"""Add nodes and constants to a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


class Nodes:
    """Adds to the end of a graph, in place, under names that begin with a scope.

    Args:
        model: to add to.
        scope: such as "familiarity".
    """

    def __init__(self, model: onnx.ModelProto, scope: str) -> None:
        self._graph = model.graph
        self._scope = scope

    def constant(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        """Add a constant; returns its name in the graph."""
        name = f"{self._scope}/{name}"
        held = np.ascontiguousarray(value, dtype=dtype).reshape(np.shape(value))
        self._graph.initializer.append(numpy_helper.from_array(held, name))
        return name

    def matrix(self, name: str, whole: np.ndarray, scale: np.ndarray) -> str:
        """Add a matrix that is stored in int8 and made float32 when the graph is loaded.

        Args:
            name: of it; the bytes and the scale are the constants `name/int8`, `name/scale`.
            whole: int8 (D, r).
            scale: float32 (1, r), of each column.
        """
        held = self.constant(f"{name}/int8", whole, np.int8)
        floats = self.emit("Cast", [held], f"{name}/float", to=onnx.TensorProto.FLOAT)
        return self.emit("Mul", [floats, self.constant(f"{name}/scale", scale)], name)

    def emit(
        self,
        kind: str,
        inputs: Sequence[str],
        name: str,
        *,
        output: str | None = None,
        **attributes: Any,
    ) -> str:
        """Add a node with one output; returns the output's name in the graph.

        Args:
            kind: the operator.
            inputs: names in the graph.
            name: of the node, without the scope; its output has the same.
            output: full name of its output, if another.
            attributes: of the operator.
        """
        name = f"{self._scope}/{name}"
        output = output or name
        node = helper.make_node(kind, list(inputs), [output], name=name, **attributes)
        self._graph.node.append(node)
        return output

    @property
    def initializers(self) -> Sequence[onnx.TensorProto]:
        """All constants of the graph."""
        return self._graph.initializer

    def ramps(self, value: str, knots: np.ndarray, values: np.ndarray, name: str) -> str:
        """`np.interp` of each number of (…, 1): from the first of `values`, which is 0."""
        widths = np.diff(np.asarray(knots, np.float64))
        slopes = np.diff(np.asarray(values, np.float64)) / widths
        beyond = self.emit("Sub", [value, self.constant("knots", knots[:-1])], f"{name}_beyond")
        inside = self.emit("Relu", [beyond], f"{name}_inside")
        part = self.emit("Min", [inside, self.constant("widths", widths)], f"{name}_part")
        return self.emit("MatMul", [part, self.constant("slopes", slopes[:, np.newaxis])], name)

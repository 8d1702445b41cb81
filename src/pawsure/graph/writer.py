"""Writing an ONNX graph for tensors that Keras has channels last and ONNX channels first.

Convolutions want channels first in ONNX, LayerNormalization and matrix products want them
last. A tensor is therefore kept in the order in which it was made, and brought into the other
one, once, when something asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper


class Layout(Enum):
    """The order of the axes of a tensor of four dimensions."""

    CHANNELS_FIRST = "NCHW"
    CHANNELS_LAST = "NHWC"
    """As Keras has it; also stands for tensors that do not have four dimensions."""


FIRST, LAST = Layout.CHANNELS_FIRST, Layout.CHANNELS_LAST

Padding = tuple[int, int, int, int]
"""Rows and columns of zeros: top, left, bottom, right (the order ONNX has them in)."""

NO_PADDING: Padding = (0, 0, 0, 0)


@dataclass
class _Value:
    """Where a Keras tensor is to be found in the graph.

    Attributes:
        names: the ONNX tensor that holds it, for each order of axes that exists so far.
        unpadded: the Keras tensor that it is but for zeros around it, if they were put off.
        padding: those zeros.
    """

    names: dict[Layout, str] = field(default_factory=dict)
    unpadded: Any = None
    padding: Padding = NO_PADDING


class GraphWriter:
    """Nodes and constants of an ONNX graph, and where Keras's tensors are in it."""

    def __init__(
        self,
        variable_names: dict[int, str],
        to_numpy: Callable[[Any], npt.NDArray[Any]] = np.asarray,
    ) -> None:
        """Start an empty graph.

        Args:
            variable_names: the name of each Keras variable, by its `id`.
            to_numpy: gives the values of such a variable.
        """
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, npt.NDArray[Any]] = {}
        self._variable_names = variable_names
        self._to_numpy = to_numpy
        self._values: dict[int, _Value] = {}
        self._taken: set[str] = set()
        self._scope: list[str] = []
        self._finished: set[str] = set()

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Name what is written inside after an operation."""
        self._scope.append(name)
        try:
            yield
        finally:
            self._scope.pop()

    def reserve(self, name: str) -> str:
        """The name itself, or with a number behind it if it is taken; taken from now on."""
        candidate, number = name, 0
        while candidate in self._taken:
            number += 1
            candidate = f"{name}_{number}"
        self._taken.add(candidate)
        return candidate

    def emit(self, kind: str, inputs: Sequence[str], *, part: str = "", **attributes: Any) -> str:
        """Write a node with one output and return the output's name.

        Args:
            kind: the ONNX operator.
            inputs: names of tensors in the graph.
            part: what it does within the operation in scope; empty: it is the operation.
            **attributes: the operator's.
        """
        name = self.reserve("/".join([*self._scope, *([part] if part else [])]))
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, part: str, values: npt.ArrayLike, dtype: Any = np.float32) -> str:
        """Write a constant of the operation in scope and return its name."""
        return self.keep("/".join([*self._scope, part]), np.asarray(values, dtype=dtype))

    def parameter(self, variable: Any, values: npt.NDArray[Any] | None = None) -> str:
        """Write a Keras variable under its own name.

        Args:
            variable: a float32 variable.
            values: its values as ONNX wants them, if that is not how Keras has them.
        """
        if values is None:
            values = self._to_numpy(variable)
        return self.keep(self._variable_names[id(variable)], values.astype(np.float32))

    def keep(self, name: str, values: npt.NDArray[Any]) -> str:
        """Keep a constant, once however often it is asked for in this shape."""
        known = self.constants.get(name)
        if known is not None and known.shape == values.shape and known.dtype == values.dtype:
            return name
        name = self.reserve(name)
        self.constants[name] = values
        return name

    def bind(self, tensor: Any, name: str, layout: Layout = LAST) -> None:
        """Say that a Keras tensor is this tensor of the graph, in this order of axes."""
        self._values[id(tensor)] = _Value({layout: name})

    def bind_padded(self, tensor: Any, unpadded: Any, padding: Padding) -> None:
        """Say that a tensor is another one with zeros around it, and put the zeros off.

        A convolution pads by itself, at no cost; a node of its own is written only if
        something else asks for the tensor.
        """
        self._values[id(tensor)] = _Value(unpadded=unpadded, padding=padding)

    def bind_same(self, tensor: Any, other: Any) -> None:
        """Say that a tensor is the same as another one."""
        self._values[id(tensor)] = self._values[id(other)]

    def without_padding(self, tensor: Any) -> tuple[Any, Padding]:
        """The tensor and no padding, or the one it was padded from and the zeros put off."""
        value = self._values[id(tensor)]
        return (tensor, NO_PADDING) if value.unpadded is None else (value.unpadded, value.padding)

    def has(self, tensor: Any, layout: Layout) -> bool:
        """Whether reading a tensor in this order of axes costs nothing."""
        return layout in self._values[id(tensor)].names

    def layout(self, tensor: Any) -> Layout:
        """An order of axes in which a tensor can be read at no cost, channels first if both."""
        if len(tensor.shape) != 4:
            return LAST
        value = self._values[id(tensor)]
        return LAST if set(value.names) == {LAST} else FIRST

    def read(self, tensor: Any, layout: Layout = LAST) -> str:
        """The name of the ONNX tensor that holds a Keras tensor in this order of axes."""
        value = self._values[id(tensor)]
        if not value.names:
            value.names[FIRST] = self._pad(value)
        if layout not in value.names:
            value.names[layout] = self._reorder(next(iter(value.names.values())), layout)
        return value.names[layout]

    def _pad(self, value: _Value) -> str:
        """Write the zeros that were put off."""
        top, left, bottom, right = value.padding
        pads = self.constant("pads", [0, 0, top, left, 0, 0, bottom, right], np.int64)
        return self.emit("Pad", [self.read(value.unpadded, FIRST), pads], part="pad")

    def _reorder(self, name: str, layout: Layout) -> str:
        """Write a transposition into this order of axes from the other one."""
        order = [0, 3, 1, 2] if layout is FIRST else [0, 2, 3, 1]
        reordered = self.reserve(f"{name}/{layout.value}")
        self.nodes.append(
            helper.make_node("Transpose", [name], [reordered], name=reordered, perm=order)
        )
        return reordered

    def finish(self, tensor: Any, name: str) -> None:
        """Make a tensor, channels last, an output of the graph under this name.

        The name must have been reserved.
        """
        with self.scope(name):
            held = self.read(tensor)
        made = {output for node in self.nodes for output in node.output}
        if held in made and held not in self._finished:
            self._rename(held, name)
        else:  # the graph's own input, or a tensor that is an output already
            self.nodes.append(helper.make_node("Identity", [held], [name], name=name))
        self._finished.add(name)

    def _rename(self, old: str, new: str) -> None:
        """Give a tensor of the graph another name wherever it stands."""
        for node in self.nodes:
            for names in (node.input, node.output):
                for place, each in enumerate(names):
                    if each == old:
                        names[place] = new
        for value in self._values.values():
            for layout, each in value.names.items():
                if each == old:
                    value.names[layout] = new

    def initializers(self) -> list[onnx.TensorProto]:
        """The constants as ONNX has them, in the order in which they were first needed."""
        return [numpy_helper.from_array(held, name) for name, held in self.constants.items()]

"""The beginning and the end of every backbone graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from pawsure.graph.scaling import Scaling
from pawsure.graph.writer import FIRST, GraphWriter, Layout

# The first operator set with LayerNormalization as one node, which ONNX Runtime has run since
# version 1.11 (2022). Newer sets add nothing that it would run faster.
OPSET = 17
IR_VERSION = 8

PICTURES = "image"
BATCH = "N"


def write_pixels(writer: GraphWriter, source: Any, scaling: Scaling) -> onnx.ValueInfoProto:
    """Begin a graph with pixels, uint8 (N, S, S, 3), and scale them to a network's range.

    Args:
        writer: of the graph; the name `PICTURES` must be reserved.
        source: the tensor that the scaled pixels are bound to; its `shape` is (N, S, S, 3).
        scaling: of the pixels.

    Returns:
        The graph's input.
    """
    with writer.scope("scaling"):
        # Transposed as bytes, before the cast: a quarter of the memory to move.
        ordered = writer.emit("Transpose", [PICTURES], part="NCHW", perm=[0, 3, 1, 2])
        writer.bind(
            source, writer.emit("Cast", [ordered], part="float", to=TensorProto.FLOAT), FIRST
        )
        write_affine(writer, source, source, scaling.scale, scaling.offset)
    return helper.make_tensor_value_info(PICTURES, TensorProto.UINT8, [BATCH, *source.shape[1:]])


def write_affine(
    writer: GraphWriter, tensor: Any, output: Any, scale: npt.ArrayLike, offset: npt.ArrayLike
) -> None:
    """Write `tensor * scale + offset`, each one number or one for each channel."""
    layout = writer.layout(tensor)
    factors = writer.constant("scale", along_channels(np.asarray(scale), layout))
    offsets = np.asarray(offset, dtype=np.float32)
    part = "scaled" if offsets.any() else ""
    name = writer.emit("Mul", [writer.read(tensor, layout), factors], part=part)
    if offsets.any():
        shifts = writer.constant("offset", along_channels(offsets, layout))
        name = writer.emit("Add", [name, shifts])
    writer.bind(output, name, layout)


def along_channels(values: npt.NDArray[Any], layout: Layout) -> npt.NDArray[Any]:
    """Values for each channel, in the shape that broadcasts over a tensor."""
    return values.reshape(-1, 1, 1) if layout is FIRST and values.ndim else values


def finished_model(
    writer: GraphWriter,
    name: str,
    given: onnx.ValueInfoProto,
    results: Sequence[Any],
    outputs: Sequence[str],
) -> onnx.ModelProto:
    """The finished model.

    Args:
        writer: of the graph; the names of the outputs must be reserved.
        name: of the graph.
        given: its input.
        results: tensors with a `shape`, channels last, that are its outputs.
        outputs: a name for each.
    """
    for tensor, output in zip(results, outputs, strict=True):
        writer.finish(tensor, output)
    made = [
        helper.make_tensor_value_info(output, TensorProto.FLOAT, [BATCH, *tensor.shape[1:]])
        for tensor, output in zip(results, outputs, strict=True)
    ]
    graph = helper.make_graph(writer.nodes, name, [given], made, writer.initializers())
    return helper.make_model(
        graph,
        producer_name="pawsure",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )

"""A Keras network as an ONNX graph.

Written layer by layer from Keras's own graph: nothing is traced, so it is the same bytes each
time, works with every Keras backend, and every constant carries the name of the variable that
it came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx
from onnx import TensorProto, helper

from pawsure.errors import ExportError
from pawsure.graph.pixels import BATCH, PICTURES, finished_model, write_pixels
from pawsure.graph.scaling import Scaling
from pawsure.graph.writer import GraphWriter
from pawsure.network.framework import keras
from pawsure.network.onnx_layers import write_calls
from pawsure.network.variables import named_variables

FEATURES = "features"


def to_onnx(
    model: keras.Model,
    *,
    scaling: Scaling | None = None,
    outputs: Sequence[str] = ("feature_map",),
) -> onnx.ModelProto:
    """Write a network, or a prefix or suffix of one, as ONNX.

    Convolution kernels are (F, C, h, w) in ONNX and (h, w, C, F) in Keras, those of depthwise
    convolutions (C * M, 1, h, w) and (h, w, C, M); other variables are as Keras has them.
    Dropout and stochastic depth are left out, and BatchNormalization uses its moving
    statistics, as in `model(x, training=False)`.

    Args:
        model: a functional model with one input, in float32.
        scaling: if given, the graph takes pixels: its input is uint8 (N, S, S, 3), called
            `image`, and is scaled inside. Otherwise it is float32 of the model's own input
            shape, called `features`.
        outputs: a name for each output of the model. They are float32, axes as in Keras.

    Returns:
        The model; the batch is dynamic. The same network gives the same bytes.

    Raises:
        ExportError: a layer that can't be written (the message names it), more than one
            input, or names that do not match the outputs.
    """
    source = _only_input(model)
    results = list(keras.tree.flatten(model.outputs))
    if len(results) != len(outputs):
        raise ExportError(
            f"{model.name} has {len(results)} outputs; {len(outputs)} names were given for them."
        )
    names = {id(variable): name for name, variable in named_variables(model).items()}
    writer = GraphWriter(names, keras.ops.convert_to_numpy)
    for name in (PICTURES, FEATURES, *outputs):
        writer.reserve(name)
    given = _write_input(writer, source, scaling)
    write_calls(writer, model)
    return finished_model(writer, model.name, given, results, outputs)


def _only_input(model: keras.Model) -> Any:
    """The model's input tensor."""
    inputs = list(keras.tree.flatten(model.inputs))
    if len(inputs) != 1:
        raise ExportError(f"{model.name} has {len(inputs)} inputs; a graph is written for one.")
    return inputs[0]


def _write_input(writer: GraphWriter, source: Any, scaling: Scaling | None) -> onnx.ValueInfoProto:
    """Bind the model's input: pixels that are scaled in the graph, or floats as they come."""
    if scaling is None:
        writer.bind(source, FEATURES)
        return helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, _shape(source))
    if len(source.shape) != 4 or source.shape[-1] != 3:
        raise ExportError(
            f"Scaling is for pictures (N, S, S, 3); the network's input is {tuple(source.shape)}. "
            "Leave the scaling out for a suffix."
        )
    return write_pixels(writer, source, scaling)


def _shape(tensor: Any) -> list[int | str | None]:
    """A Keras tensor's shape as ONNX spells it: the batch by name."""
    return [BATCH, *tensor.shape[1:]]

"""How each Keras layer is written in ONNX: one small function for each kind.

A function gets the writer and one call of the layer, reads the call's inputs in the order of
axes that suits it, and binds the call's output. Sources: the ONNX operator set, version 17,
and the layers' documentation in Keras 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pawsure.errors import ExportError
from pawsure.graph.pixels import along_channels, write_affine
from pawsure.graph.writer import FIRST, LAST, GraphWriter, Layout, Padding
from pawsure.network.framework import keras
from pawsure.network.graph import Call, calls_in_order

Write = Callable[[GraphWriter, Call], None]


def write_calls(writer: GraphWriter, model: keras.Model) -> None:
    """Write everything between a model's inputs, which must be bound, and its outputs.

    Raises:
        ExportError: a layer that there is no way to write; the message names it.
    """
    for call in calls_in_order(model):
        with writer.scope(call.operation.name):
            _writer_of(call)(writer, call)


def _writer_of(call: Call) -> Write:
    """The function that writes this call."""
    operation = call.operation
    if isinstance(operation, keras.Model):
        return _nested_model
    kind = type(operation).__name__
    # A class of somebody else's may share the name of Keras's and do something different.
    if not type(operation).__module__.startswith("keras.") or kind not in _WRITERS:
        raise ExportError(
            f"Layer '{operation.name}' is a {kind}, which pawsure can't write as ONNX. "
            f"It writes: {', '.join(sorted(_WRITERS))}. Build the network from these."
        )
    for tensor in [*call.inputs, *call.outputs]:
        if tensor.dtype != "float32":
            raise ExportError(
                f"Layer '{operation.name}' computes in {tensor.dtype}; only float32 can be "
                "written as ONNX. Build the network with keras.config.set_dtype_policy('float32')."
            )
    return _WRITERS[kind]


def _refuse(layer: Any, what: str) -> ExportError:
    """The error for a layer of a known kind with a setting that is not supported."""
    return ExportError(
        f"Layer '{layer.name}' ({type(layer).__name__}) has {what}, "
        "which pawsure can't write as ONNX."
    )


def _nested_model(writer: GraphWriter, call: Call) -> None:
    """A model used as a layer: its own calls, in place."""
    model = call.operation
    for inner, outer in zip(keras.tree.flatten(model.inputs), call.inputs, strict=True):
        writer.bind_same(inner, outer)
    write_calls(writer, model)
    for outer, inner in zip(call.outputs, keras.tree.flatten(model.outputs), strict=True):
        writer.bind_same(outer, inner)


def _identity(writer: GraphWriter, call: Call) -> None:
    """Layers that do something only while training."""
    writer.bind_same(call.outputs[0], call.inputs[0])


# Convolutions and what surrounds them


def _conv2d(writer: GraphWriter, call: Call) -> None:
    """Conv2D, grouped or not. Kernel (h, w, C / groups, F) becomes (F, C / groups, h, w)."""
    kernel = _numbers(call.operation.kernel).transpose(3, 2, 0, 1)
    _convolve(writer, call, kernel, call.operation.groups)


def _depthwise_conv2d(writer: GraphWriter, call: Call) -> None:
    """DepthwiseConv2D. Kernel (h, w, C, M) becomes (C * M, 1, h, w) in C groups."""
    height, width, channels, multiplier = call.operation.kernel.shape
    kernel = _numbers(call.operation.kernel).transpose(2, 3, 0, 1)
    kernel = kernel.reshape(channels * multiplier, 1, height, width)
    _convolve(writer, call, kernel, channels)


def _convolve(
    writer: GraphWriter, call: Call, kernel: npt.NDArray[np.float32], groups: int
) -> None:
    """A convolution with its padding, bias and activation; `kernel` is ONNX's."""
    layer = call.operation
    source, padding = writer.without_padding(call.inputs[0])
    window = _window(layer, call.inputs[0], kernel.shape[2:], layer.dilation_rate)
    attributes = {
        "kernel_shape": list(kernel.shape[2:]),
        "strides": list(layer.strides),
        "dilations": list(layer.dilation_rate),
        "pads": [own + put_off for own, put_off in zip(window, padding, strict=True)],
        "group": groups,
    }
    inputs = [writer.read(source, FIRST), writer.parameter(layer.kernel, kernel)]
    if layer.use_bias:
        inputs.append(writer.parameter(layer.bias))
    function = _activation_of(layer)
    name = writer.emit("Conv", inputs, part="conv" if function else "", **attributes)
    writer.bind(call.outputs[0], _activate(writer, name, layer, function), FIRST)


def _window(
    layer: Any, tensor: Any, kernel: Sequence[int], dilation: Sequence[int] = (1, 1)
) -> Padding:
    """The zeros that TensorFlow's padding means for a window sliding over a tensor.

    With "same" the output has ceil(size / stride) places, and where the zeros are odd in
    number the extra one comes after (asymmetric: not what PyTorch or ONNX's `pads=1` do).
    """
    if layer.data_format != "channels_last":
        raise _refuse(layer, f"data_format='{layer.data_format}'")
    if layer.padding == "valid":
        return (0, 0, 0, 0)
    if layer.padding != "same":
        raise _refuse(layer, f"padding='{layer.padding}'")
    before, after = [], []
    strides = getattr(layer, "strides", None) or kernel
    for size, length, gap, stride in zip(tensor.shape[1:3], kernel, dilation, strides, strict=True):
        if size is None and stride > 1:
            raise _refuse(layer, "padding='same', a stride and an input of unknown size")
        reach = (length - 1) * gap
        # With stride 1 the zeros do not depend on the size.
        left_over = 0 if stride == 1 else (math.ceil(size / stride) - 1) * stride - size + 1
        total = max(reach + left_over, 0)
        before.append(total // 2)
        after.append(total - total // 2)
    return (before[0], before[1], after[0], after[1])


def _zero_padding2d(writer: GraphWriter, call: Call) -> None:
    """ZeroPadding2D: left to the convolution that follows, where one does."""
    layer = call.operation
    if layer.data_format != "channels_last":
        raise _refuse(layer, f"data_format='{layer.data_format}'")
    (top, bottom), (left, right) = layer.padding
    writer.bind_padded(call.outputs[0], call.inputs[0], (top, left, bottom, right))


def _pooling2d(kind: str) -> Write:
    """MaxPooling2D and AveragePooling2D; neither counts the zeros of its own padding."""

    def write(writer: GraphWriter, call: Call) -> None:
        layer = call.operation
        pads = _window(layer, call.inputs[0], layer.pool_size)
        pooled = writer.emit(
            kind,
            [writer.read(call.inputs[0], FIRST)],
            kernel_shape=list(layer.pool_size),
            strides=list(layer.strides),
            pads=list(pads),
        )
        writer.bind(call.outputs[0], pooled, FIRST)

    return write


def _global_pooling2d(kind: str) -> Write:
    """GlobalAveragePooling2D and GlobalMaxPooling2D, with or without `keepdims`."""

    def write(writer: GraphWriter, call: Call) -> None:
        layer = call.operation
        if layer.data_format != "channels_last":
            raise _refuse(layer, f"data_format='{layer.data_format}'")
        source = [writer.read(call.inputs[0], FIRST)]
        if layer.keepdims:
            writer.bind(call.outputs[0], writer.emit(kind, source), FIRST)
            return
        pooled = writer.emit(kind, source, part="pool")
        writer.bind(call.outputs[0], writer.emit("Flatten", [pooled], axis=1))

    return write


# Normalization and channel-wise factors


def _batch_normalization(writer: GraphWriter, call: Call) -> None:
    """BatchNormalization with its moving statistics; a runtime folds it into a convolution."""
    layer, tensor = call.operation, call.inputs[0]
    _require_last_axis(layer, tensor)
    channels = tensor.shape[-1]
    scale = (
        writer.parameter(layer.gamma)
        if layer.scale
        else writer.constant("gamma", np.ones(channels))
    )
    shift = (
        writer.parameter(layer.beta)
        if layer.center
        else writer.constant("beta", np.zeros(channels))
    )
    statistics = [writer.parameter(layer.moving_mean), writer.parameter(layer.moving_variance)]
    layout = FIRST if len(tensor.shape) == 4 else LAST
    name = writer.emit(
        "BatchNormalization",
        [writer.read(tensor, layout), scale, shift, *statistics],
        epsilon=float(layer.epsilon),
    )
    writer.bind(call.outputs[0], name, layout)


def _layer_normalization(writer: GraphWriter, call: Call) -> None:
    """LayerNormalization over the channels."""
    layer, tensor = call.operation, call.inputs[0]
    _require_last_axis(layer, tensor)
    if getattr(layer, "rms_scaling", False):
        raise _refuse(layer, "rms_scaling=True")
    inputs = [writer.read(tensor)]
    inputs.append(
        writer.parameter(layer.gamma)
        if layer.scale
        else writer.constant("gamma", np.ones(tensor.shape[-1]))
    )
    if layer.center:
        inputs.append(writer.parameter(layer.beta))
    name = writer.emit("LayerNormalization", inputs, axis=-1, epsilon=float(layer.epsilon))
    writer.bind(call.outputs[0], name)


def _require_last_axis(layer: Any, tensor: Any) -> None:
    """Refuse a normalization over anything but the channels."""
    axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    if [axis % len(tensor.shape) for axis in axes] != [len(tensor.shape) - 1]:
        raise _refuse(layer, f"axis={layer.axis}")


def _layer_scale(writer: GraphWriter, call: Call) -> None:
    """ConvNeXt's LayerScale: a learnt factor for each channel."""
    tensor = call.inputs[0]
    layout = writer.layout(tensor)
    factor = along_channels(_numbers(call.operation.gamma), layout)
    inputs = [writer.read(tensor, layout), writer.parameter(call.operation.gamma, factor)]
    writer.bind(call.outputs[0], writer.emit("Mul", inputs), layout)


def _rescaling(writer: GraphWriter, call: Call) -> None:
    """Rescaling: a factor and an offset, for all channels or each."""
    layer = call.operation
    write_affine(writer, call.inputs[0], call.outputs[0], layer.scale, layer.offset)


def _normalization(writer: GraphWriter, call: Call) -> None:
    """Normalization with a mean and a variance for each channel."""
    layer, tensor = call.operation, call.inputs[0]
    mean, variance = _numbers(layer.mean).ravel(), _numbers(layer.variance).ravel()
    if layer.invert or {mean.size, variance.size} - {1, tensor.shape[-1]}:
        raise _refuse(layer, "statistics that are not one for each channel")
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    write_affine(writer, tensor, call.outputs[0], 1.0 / deviation, -mean / deviation)


def _numbers(variable: Any) -> npt.NDArray[np.float32]:
    """The values of a Keras variable or tensor."""
    return np.asarray(keras.ops.convert_to_numpy(variable), dtype=np.float32)


# Matrix products and shapes


def _dense(writer: GraphWriter, call: Call) -> None:
    """Dense, over the last axis of a tensor of any number of dimensions."""
    layer, tensor = call.operation, call.inputs[0]
    function = _activation_of(layer)
    part = "dense" if function else ""
    inputs = [writer.read(tensor), writer.parameter(layer.kernel)]
    if layer.use_bias and len(tensor.shape) == 2:
        name = writer.emit("Gemm", [*inputs, writer.parameter(layer.bias)], part=part)
    else:
        name = writer.emit("MatMul", inputs, part="product" if layer.use_bias else part)
        if layer.use_bias:
            name = writer.emit("Add", [name, writer.parameter(layer.bias)], part=part)
    writer.bind(call.outputs[0], _activate(writer, name, layer, function))


def _reshape(writer: GraphWriter, call: Call) -> None:
    """Reshape; of a row of channels to (1, 1, C) straight into channels first."""
    tensor, output = call.inputs[0], call.outputs[0]
    target = [-1 if size is None else size for size in output.shape[1:]]
    layout = LAST
    if len(tensor.shape) == 2 and len(target) == 3 and target[:2] == [1, 1]:
        layout, target = FIRST, [target[2], 1, 1]
    if target.count(-1) > 1:
        raise _refuse(call.operation, f"a shape that is not known: {output.shape}")
    # Zero stands for the batch, as it comes.
    shape = writer.constant("shape", [0, *target], np.int64)
    writer.bind(output, writer.emit("Reshape", [writer.read(tensor), shape]), layout)


def _flatten(writer: GraphWriter, call: Call) -> None:
    """Flatten, in the order in which Keras has the axes."""
    name = writer.emit("Flatten", [writer.read(call.inputs[0])], axis=1)
    writer.bind(call.outputs[0], name)


# Activations


def _relu(writer: GraphWriter, call: Call) -> None:
    """ReLU, with a ceiling (ReLU6 of the MobileNets) or a slope below zero."""
    layer, tensor = call.operation, call.inputs[0]
    slope, ceiling = float(layer.negative_slope), layer.max_value
    if float(layer.threshold) or (slope and ceiling is not None):
        raise _refuse(layer, "a threshold, or both a slope and a ceiling")
    layout = writer.layout(tensor)
    source = writer.read(tensor, layout)
    if slope:
        name = writer.emit("LeakyRelu", [source], alpha=slope)
    elif ceiling is None:
        name = writer.emit("Relu", [source])
    else:
        name = _clip(writer, source, float(ceiling))
    writer.bind(call.outputs[0], name, layout)


def _clip(writer: GraphWriter, source: str, ceiling: float) -> str:
    """Values held between zero and a ceiling."""
    bounds = [writer.constant("least", 0.0), writer.constant("most", ceiling)]
    return writer.emit("Clip", [source, *bounds])


def _activation(writer: GraphWriter, call: Call) -> None:
    """Activation: a function of Keras's by itself."""
    tensor, function = call.inputs[0], _activation_of(call.operation)
    if not function:
        writer.bind_same(call.outputs[0], tensor)
        return
    layout = LAST if function == "softmax" else writer.layout(tensor)
    source = writer.read(tensor, layout)
    writer.bind(call.outputs[0], _activate(writer, source, call.operation, function), layout)


def _activation_of(layer: Any) -> str:
    """The name of a layer's activation in Keras; empty for none."""
    name = getattr(layer.activation, "__name__", "linear")
    return "" if name == "linear" else name


def _activate(writer: GraphWriter, source: str, layer: Any, function: str) -> str:
    """Write an activation function of Keras's (or none, if `function` is empty)."""
    if not function:
        return source
    if function not in _FUNCTIONS:
        raise _refuse(layer, f"the activation '{function}'")
    return _FUNCTIONS[function](writer, source)


def _silu(writer: GraphWriter, source: str) -> str:
    """SiLU, also called swish: x * sigmoid(x)."""
    return writer.emit("Mul", [source, writer.emit("Sigmoid", [source], part="gate")])


def _hard_sigmoid(writer: GraphWriter, source: str, part: str = "") -> str:
    """Hard sigmoid, relu6(x + 3) / 6, which is max(0, min(1, x / 6 + 1 / 2))."""
    return writer.emit("HardSigmoid", [source], part=part, alpha=1 / 6, beta=0.5)


def _hard_silu(writer: GraphWriter, source: str) -> str:
    """Hard SiLU, also called hard swish: x * hard_sigmoid(x)."""
    return writer.emit("Mul", [source, _hard_sigmoid(writer, source, part="gate")])


def _gelu(writer: GraphWriter, source: str) -> str:
    """GELU, x * (1 + erf(x / sqrt(2))) / 2, in the steps that runtimes know and fuse."""
    divided = writer.emit(
        "Div", [source, writer.constant("sqrt_two", math.sqrt(2.0))], part="divided"
    )
    error = writer.emit("Erf", [divided], part="erf")
    raised = writer.emit("Add", [error, writer.constant("one", 1.0)], part="raised")
    product = writer.emit("Mul", [source, raised], part="product")
    return writer.emit("Mul", [product, writer.constant("half", 0.5)])


def _operator(kind: str, **attributes: Any) -> Callable[[GraphWriter, str], str]:
    """A function that is one ONNX operator."""

    def write(writer: GraphWriter, source: str) -> str:
        return writer.emit(kind, [source], **attributes)

    return write


_FUNCTIONS: dict[str, Callable[[GraphWriter, str], str]] = {
    "relu": _operator("Relu"),
    "relu6": lambda writer, source: _clip(writer, source, 6.0),
    "sigmoid": _operator("Sigmoid"),
    "tanh": _operator("Tanh"),
    "softmax": _operator("Softmax", axis=-1),
    "softplus": _operator("Softplus"),
    "silu": _silu,
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": _hard_silu,
    "gelu": _gelu,
}


# Where branches meet


def _combination(kind: str) -> Write:
    """Layers and operations that combine tensors (and numbers) value by value."""

    def write(writer: GraphWriter, call: Call) -> None:
        operands = keras.tree.flatten(list(call.arguments))
        tensors = [each for each in operands if _is_tensor(each)]
        if len({len(tensor.shape) for tensor in tensors}) != 1:
            raise _refuse(call.operation, "operands of different numbers of dimensions")
        layout = _shared_layout(writer, tensors)
        names = [_operand(writer, each, layout, place) for place, each in enumerate(operands)]
        name = names[0]
        for place, other in enumerate(names[1:], start=1):
            part = "" if place == len(names) - 1 else f"first_{place + 1}"
            name = writer.emit(kind, [name, other], part=part)
        writer.bind(call.outputs[0], name, layout)

    return write


def _operand(writer: GraphWriter, operand: Any, layout: Layout, place: int) -> str:
    """A tensor in this order of axes, or a number as a constant."""
    if _is_tensor(operand):
        return writer.read(operand, layout)
    values = np.asarray(operand, dtype=np.float32)
    return writer.constant(f"operand_{place}", along_channels(values, layout))


def _is_tensor(operand: Any) -> bool:
    """Whether an operand is computed by the network."""
    return isinstance(operand, keras.KerasTensor)


def _shared_layout(writer: GraphWriter, tensors: Sequence[Any]) -> Layout:
    """The order of axes in which the most of these tensors are there already."""
    if len(tensors[0].shape) != 4:
        return LAST
    ready = {
        layout: sum(writer.has(tensor, layout) for tensor in tensors) for layout in (FIRST, LAST)
    }
    return LAST if ready[LAST] > ready[FIRST] else FIRST


def _concatenate(writer: GraphWriter, call: Call) -> None:
    """Concatenate along any axis but the batch."""
    dimensions = len(call.outputs[0].shape)
    axis = call.operation.axis % dimensions
    layout = _shared_layout(writer, call.inputs)
    if layout is FIRST:
        axis = {0: 0, 1: 2, 2: 3, 3: 1}[axis]
    names = [writer.read(tensor, layout) for tensor in call.inputs]
    writer.bind(call.outputs[0], writer.emit("Concat", names, axis=axis), layout)


_WRITERS: dict[str, Write] = {
    "Activation": _activation,
    "Add": _combination("Add"),
    "AveragePooling2D": _pooling2d("AveragePool"),
    "BatchNormalization": _batch_normalization,
    "Concatenate": _concatenate,
    "Conv2D": _conv2d,
    "Dense": _dense,
    "DepthwiseConv2D": _depthwise_conv2d,
    "Dropout": _identity,
    "Flatten": _flatten,
    "GlobalAveragePooling2D": _global_pooling2d("GlobalAveragePool"),
    "GlobalMaxPooling2D": _global_pooling2d("GlobalMaxPool"),
    "Identity": _identity,
    "LayerNormalization": _layer_normalization,
    "LayerScale": _layer_scale,
    "MaxPooling2D": _pooling2d("MaxPool"),
    "Multiply": _combination("Mul"),
    "Normalization": _normalization,
    "ReLU": _relu,
    "Rescaling": _rescaling,
    "Reshape": _reshape,
    "SpatialDropout2D": _identity,
    "StochasticDepth": _identity,
    "Subtract": _combination("Sub"),
    "ZeroPadding2D": _zero_padding2d,
}

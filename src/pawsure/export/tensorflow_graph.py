"""Translate the graph of a model file to a TensorFlow function, node by node.

The whole graph is translated, with scaling, calibration and familiarity; only the operators that
pawsure writes are supported (`pawsure.network.onnx_layers`, `pawsure.trust.nodes`).

ONNX convolves channels first, TensorFlow (on processors) and LiteRT channels last. Tensors with
channels first are therefore stored channels last, so that the transpositions of the graph cost
nothing; only operators with axes need to know.

Quantisation becomes TensorFlow's fake quantisation with the same scales, which LiteRT's converter
turns into int8 arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from pawsure.errors import ExportError
from pawsure.graph.fold import fold_normalisation
from pawsure.graph.head import INPUT
from pawsure.network.framework import tensorflow as tf

Outputs = dict[str, tf.Tensor]

_TO_LAST = (0, 2, 3, 1)
_TO_FIRST = (0, 3, 1, 2)
_AXIS_IN_LAST = {0: 0, 1: 3, 2: 1, 3: 2}


def tensorflow_function(model: onnx.ModelProto) -> Callable[[tf.Tensor], Outputs]:
    """A function of TensorFlow operations that computes what a model file does.

    Args:
        model: the graph of a model file, in floats or in int8.

    Returns:
        uint8 (N, S, S, 3) to the outputs of the graph by name. Weights are constants in it.

    Raises:
        ExportError: an operator that can't be translated; the message names it.
    """
    graph = fold_normalisation(model).graph
    for node in graph.node:
        if node.op_type not in _TRANSLATIONS:
            raise ExportError(
                f"Node '{node.name}' is a {node.op_type}, which can't be translated to "
                f"TensorFlow. Known are {', '.join(sorted(_TRANSLATIONS))}."
            )
    constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    names = [output.name for output in graph.output]

    def run(image: tf.Tensor) -> Outputs:
        values: dict[str, _Value] = {INPUT: _Value(image)}
        for node in graph.node:
            call = _Call(node, values, constants)
            values[node.output[0]] = _TRANSLATIONS[node.op_type](call)
        return {name: tf.identity(values[name].logical(), name=name) for name in names}

    return run


@dataclass(frozen=True)
class _Value:
    """A tensor of the graph.

    Attributes:
        tensor: or an array, if it is constant.
        is_turned: channels first in the graph, stored channels last.
        steps: of its quantisation, if any.
    """

    tensor: Any
    is_turned: bool = False
    steps: _Steps | None = None

    def logical(self) -> Any:
        """With the axes in the order of the graph."""
        return tf.transpose(self.tensor, _TO_FIRST) if self.is_turned else self.tensor

    def turned(self) -> Any:
        """A tensor of four axes with channels last."""
        if self.is_turned:
            return self.tensor
        if isinstance(self.tensor, np.ndarray):
            return self.tensor.transpose(_TO_LAST)
        return tf.transpose(self.tensor, _TO_LAST)


@dataclass(frozen=True)
class _Steps:
    """A quantisation to bytes: value = scale * (byte - zero)."""

    scale: np.ndarray
    zero: np.ndarray


class _Call:
    """One node with its inputs."""

    def __init__(
        self,
        node: onnx.NodeProto,
        values: Mapping[str, _Value],
        constants: Mapping[str, np.ndarray],
    ) -> None:
        self.settings = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        self._names = list(node.input)
        self._values = values
        self._constants = constants

    def __len__(self) -> int:
        """How many inputs."""
        return len(self._names)

    def value(self, place: int) -> _Value:
        """An input, computed or constant."""
        name = self._names[place]
        return self._values[name] if name in self._values else _Value(self._constants[name])

    def constant(self, place: int) -> np.ndarray:
        """An input that must be constant."""
        name = self._names[place]
        if name in self._constants:
            return self._constants[name]
        tensor = self._values[name].tensor
        if not isinstance(tensor, np.ndarray):
            raise ExportError(f"'{name}' is computed, where only a constant can be translated.")
        return tensor

    def axes(self, place: int) -> list[int]:
        """Axes: an attribute or, in later operator sets, an input."""
        return list(self.settings["axes"] if "axes" in self.settings else self.constant(place))


_Translation = Callable[[_Call], _Value]


def _each(function: Callable[[Any], Any]) -> _Translation:
    """An elementwise operator of one input."""

    def translate(call: _Call) -> _Value:
        source = call.value(0)
        return _Value(function(source.tensor), source.is_turned)

    return translate


def _together(function: Callable[[Any, Any], Any]) -> _Translation:
    """An elementwise operator of two inputs, with broadcasting."""

    def translate(call: _Call) -> _Value:
        one, other = call.value(0), call.value(1)
        is_turned = one.is_turned or other.is_turned
        if is_turned:
            return _Value(function(_beside_turned(one), _beside_turned(other)), True)
        return _Value(function(one.tensor, other.tensor))

    return translate


def _beside_turned(value: _Value) -> Any:
    """An operand to broadcast with a tensor stored channels last."""
    if not isinstance(value.tensor, np.ndarray):
        return value.turned()
    if value.tensor.ndim == 0:
        return value.tensor
    shape = (1,) * (4 - value.tensor.ndim) + value.tensor.shape
    return value.tensor.reshape(shape).transpose(_TO_LAST)


def _conv(call: _Call) -> _Value:
    source, kernel = call.value(0).turned(), call.constant(1)
    group = call.settings.get("group", 1)
    strides, dilations = call.settings["strides"], call.settings.get("dilations", [1, 1])
    source, padding = _padded(source, call.settings, kernel.shape[2:], dilations)
    steps = call.value(1).steps
    if group == source.shape[-1] and kernel.shape[1] == 1:
        many = kernel.shape[0] // group
        shape = (group, many, *kernel.shape[2:])
        turned = _depthwise_kernel(kernel.reshape(shape).transpose(2, 3, 0, 1), steps)
        found = tf.nn.depthwise_conv2d(source, turned, [1, *strides, 1], padding, None, dilations)
    else:
        turned = _kernel(kernel.transpose(2, 3, 1, 0), steps)
        found = tf.nn.conv2d(source, turned, strides, padding, dilations=dilations)
    if len(call) > 2:
        found = tf.nn.bias_add(found, call.constant(2))
    return _Value(found, True)


def _kernel(kernel: np.ndarray, steps: _Steps | None) -> Any:
    """A kernel with outputs as its last axis, rounded to its quantisation steps, if any."""
    if steps is None:
        return kernel
    most = (127 * steps.scale).astype(np.float32)
    return tf.quantization.fake_quant_with_min_max_vars_per_channel(
        kernel, -most, most, narrow_range=True
    )


def _depthwise_kernel(kernel: np.ndarray, steps: _Steps | None) -> Any:
    """The same for (h, w, C, M), whose outputs are the last two axes."""
    height, width, channels, many = kernel.shape
    flat = _kernel(kernel.reshape(height, width, channels * many), steps)
    return flat.reshape(kernel.shape) if steps is None else tf.reshape(flat, kernel.shape)


def _padded(
    source: Any, settings: Mapping[str, Any], kernel: Any, dilations: Any = (1, 1)
) -> tuple[Any, str]:
    """The source, padded with zeros where TensorFlow's two ways of padding do not match."""
    top, left, bottom, right = settings.get("pads", [0, 0, 0, 0])
    if not any((top, left, bottom, right)):
        return source, "VALID"
    same = []
    for size, length, gap, stride in zip(
        source.shape[1:3], kernel, dilations, settings["strides"], strict=True
    ):
        total = max((math.ceil(size / stride) - 1) * stride + (length - 1) * gap + 1 - size, 0)
        same.append((total // 2, total - total // 2))
    if same == [(top, bottom), (left, right)]:
        return source, "SAME"
    return tf.pad(source, [[0, 0], [top, bottom], [left, right], [0, 0]]), "VALID"


def _pool(function: Callable[..., Any]) -> _Translation:
    def translate(call: _Call) -> _Value:
        window, strides = call.settings["kernel_shape"], call.settings["strides"]
        source, padding = _padded(call.value(0).turned(), call.settings, window)
        if padding == "VALID" and any(call.settings.get("pads", ())):
            raise ExportError("Pooling with zeros around it can't be translated to TensorFlow.")
        return _Value(function(source, window, strides, padding), True)

    return translate


def _clip(call: _Call) -> _Value:
    source = call.value(0)
    least, most = float(call.constant(1)), float(call.constant(2))
    if (least, most) == (0.0, 6.0):  # fused with the convolution before it in LiteRT
        return _Value(tf.nn.relu6(source.tensor), source.is_turned)
    return _Value(tf.clip_by_value(source.tensor, least, most), source.is_turned)


def _global_pool(function: Callable[..., Any]) -> _Translation:
    def translate(call: _Call) -> _Value:
        return _Value(function(call.value(0).turned(), axis=[1, 2], keepdims=True), True)

    return translate


def _reduce(function: Callable[..., Any]) -> _Translation:
    def translate(call: _Call) -> _Value:
        keep = bool(call.settings.get("keepdims", 1))
        return _Value(function(call.value(0).logical(), axis=call.axes(1), keepdims=keep))

    return translate


def _transpose(call: _Call) -> _Value:
    source, order = call.value(0), tuple(call.settings["perm"])
    if source.is_turned and order == _TO_LAST:
        return _Value(source.tensor)
    if not source.is_turned and order == _TO_FIRST:
        return _Value(source.tensor, True)
    return _Value(tf.transpose(source.logical(), order))


def _concat(call: _Call) -> _Value:
    parts = [call.value(place) for place in range(len(call))]
    axis = call.settings["axis"]
    if any(part.is_turned for part in parts):
        turned = [part.turned() for part in parts]
        return _Value(tf.concat(turned, _AXIS_IN_LAST[axis % 4]), True)
    return _Value(tf.concat([part.tensor for part in parts], axis))


def _flatten(call: _Call) -> _Value:
    source = call.value(0)
    shape = source.tensor.shape
    # A map of one position has the same order of numbers in both layouts.
    single = source.is_turned and shape[1] == shape[2] == 1
    tensor = source.tensor if single else source.logical()
    return _Value(tf.reshape(tensor, [-1, math.prod(tensor.shape[1:])]))


def _reshape(call: _Call) -> _Value:
    source, target = call.value(0).logical(), call.constant(1).tolist()
    shape = target if -1 in target[1:] else [-1, *target[1:]]
    if shape.count(-1) > 1:
        raise ExportError(f"A reshape to {target} can't be translated to TensorFlow.")
    return _Value(tf.reshape(source, shape))


def _pad(call: _Call) -> _Value:
    pads = call.constant(1).reshape(2, 4).T[list(_TO_LAST)]
    return _Value(tf.pad(call.value(0).turned(), pads), True)


def _mat_mul(call: _Call) -> _Value:
    if isinstance(call.value(0).tensor, np.ndarray):
        return _Value(tf.matmul(call.constant(0), call.value(1).logical()))
    source, kernel = call.value(0).logical(), call.constant(1)
    if len(source.shape) == 4:  # at every position
        return _Value(tf.nn.conv2d(source, kernel[np.newaxis, np.newaxis], 1, "VALID"))
    if len(source.shape) == 2:
        return _Value(tf.matmul(source, kernel))
    rows = tf.matmul(tf.reshape(source, [-1, kernel.shape[0]]), kernel)
    return _Value(tf.reshape(rows, [-1, *source.shape[1:-1], kernel.shape[1]]))


def _gemm(call: _Call) -> _Value:
    found = tf.matmul(call.value(0).logical(), call.constant(1))
    return _Value(found + call.constant(2) if len(call) > 2 else found)


def _layer_normalization(call: _Call) -> _Value:
    source = call.value(0).logical()
    mean, variance = tf.nn.moments(source, [-1], keepdims=True)
    scale = tf.math.rsqrt(variance + call.settings["epsilon"]) * call.constant(1)
    found = (source - mean) * scale
    return _Value(found + call.constant(2) if len(call) > 2 else found)


def _batch_normalization(call: _Call) -> _Value:
    """One that could not be folded into a convolution."""
    gamma, beta, mean, variance = (call.constant(place) for place in range(1, 5))
    scale = gamma / np.sqrt(variance + call.settings["epsilon"])
    source = call.value(0)
    tensor = source.turned() if len(source.tensor.shape) == 4 else source.tensor
    is_turned = len(source.tensor.shape) == 4
    return _Value(tensor * scale + (beta - mean * scale), is_turned)


def _squeeze(call: _Call) -> _Value:
    return _Value(tf.squeeze(call.value(0).logical(), call.axes(1)))


def _unsqueeze(call: _Call) -> _Value:
    (axis,) = call.axes(1)
    return _Value(tf.expand_dims(call.value(0).logical(), int(axis)))


def _softmax(call: _Call) -> _Value:
    return _Value(tf.nn.softmax(call.value(0).logical(), call.settings.get("axis", -1)))


def _cast(call: _Call) -> _Value:
    source = call.value(0)
    if isinstance(source.tensor, np.ndarray):
        return _Value(source.tensor.astype(np.float32))
    to_bytes = call.settings["to"] == onnx.TensorProto.UINT8
    return _Value(tf.cast(source.tensor, tf.uint8 if to_bytes else tf.float32), source.is_turned)


def _multiply(call: _Call) -> _Value:
    factors = [call.value(place).tensor for place in (0, 1)]
    if all(isinstance(each, np.ndarray) for each in factors):  # a matrix stored in int8
        return _Value(factors[0] * factors[1])
    return _together(tf.multiply)(call)


def _slice(call: _Call) -> _Value:
    """A part, or all of it backwards."""
    source = call.value(0).logical()
    starts, ends, axes = (call.constant(place).tolist() for place in (1, 2, 3))
    steps = call.constant(4).tolist() if len(call) > 4 else [1] * len(axes)
    if steps == [-1] and starts == [-1]:
        return _Value(tf.reverse(source, axes))
    parts = [slice(None)] * len(source.shape)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        parts[axis] = slice(start, end, step)
    return _Value(source[tuple(parts)])


def _resize(call: _Call) -> _Value:
    """Linear, of (N, h, w, C), to a larger size."""
    source = call.value(0).logical()
    sizes = [math.floor(source.shape[axis] * call.constant(2)[axis]) for axis in (1, 2)]
    return _Value(tf.image.resize(source, sizes, "bilinear"))


def _gather(call: _Call) -> _Value:
    return _Value(tf.gather(call.value(0).logical(), call.constant(1), axis=call.settings["axis"]))


def _hard_sigmoid(call: _Call) -> _Value:
    source = call.value(0)
    alpha, beta = call.settings.get("alpha", 0.2), call.settings.get("beta", 0.5)
    if math.isclose(alpha, 1 / 6, rel_tol=1e-6) and beta == 0.5:  # as LiteRT knows it
        return _Value(tf.nn.relu6(source.tensor + 3.0) * (1 / 6), source.is_turned)
    found = tf.clip_by_value(source.tensor * alpha + beta, 0.0, 1.0)
    return _Value(found, source.is_turned)


def _leaky_relu(call: _Call) -> _Value:
    source = call.value(0)
    return _Value(tf.nn.leaky_relu(source.tensor, call.settings["alpha"]), source.is_turned)


def _quantize(call: _Call) -> _Value:
    """Rounded here; the dequantisation that follows does nothing."""
    source = call.value(0)
    scale, zero = float(call.constant(1)), int(call.constant(2))
    found = tf.quantization.fake_quant_with_min_max_args(
        source.tensor, min=-zero * scale, max=(255 - zero) * scale
    )
    return _Value(found, source.is_turned)


def _dequantize(call: _Call) -> _Value:
    source = call.value(0)
    if not isinstance(source.tensor, np.ndarray):
        return source
    steps = _Steps(np.atleast_1d(call.constant(1)), np.atleast_1d(call.constant(2)))
    dimensions = source.tensor.ndim
    along = [1] * dimensions
    if dimensions:  # a bias has one axis, whatever the node says
        along[call.settings.get("axis", 1) if dimensions > 1 and len(steps.scale) > 1 else 0] = -1
    scale, zero = steps.scale.reshape(along), steps.zero.reshape(along)
    values = (source.tensor.astype(np.float64) - zero) * scale
    return _Value(values.astype(np.float32), steps=steps)


_TRANSLATIONS: dict[str, _Translation] = {
    "Add": _together(tf.add),
    "AveragePool": _pool(tf.nn.avg_pool2d),
    "BatchNormalization": _batch_normalization,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "DequantizeLinear": _dequantize,
    "Div": _together(tf.divide),
    "Erf": _each(tf.math.erf),
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_pool(tf.reduce_mean),
    "GlobalMaxPool": _global_pool(tf.reduce_max),
    "HardSigmoid": _hard_sigmoid,
    "Identity": lambda call: call.value(0),
    "LayerNormalization": _layer_normalization,
    "LeakyRelu": _leaky_relu,
    "Log": _each(tf.math.log),
    "MatMul": _mat_mul,
    "Max": _together(tf.maximum),
    "MaxPool": _pool(tf.nn.max_pool2d),
    "Min": _together(tf.minimum),
    "Mul": _multiply,
    "Pad": _pad,
    "QuantizeLinear": _quantize,
    "ReduceMax": _reduce(tf.reduce_max),
    "ReduceMean": _reduce(tf.reduce_mean),
    "Relu": _each(tf.nn.relu),
    "Reshape": _reshape,
    "Resize": _resize,
    "Round": _each(tf.round),
    "Sigmoid": _each(tf.sigmoid),
    "Slice": _slice,
    "Softmax": _softmax,
    "Softplus": _each(tf.math.softplus),
    "Sqrt": _each(tf.sqrt),
    "Squeeze": _squeeze,
    "Sub": _together(tf.subtract),
    "Tanh": _each(tf.tanh),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}

"""Fused layers: the same network with fewer operations, which trains faster on a CPU.

Keras computes a convolution and a BatchNormalization by a dozen operations, and each reads and
writes the whole feature map. `fused` replaces them, where the layers allow it, by fewer operations
on the same variables, so a training step changes the variables in the same way.

    1×1 convolution                     a matrix product
    convolution, frozen normalisation   one convolution with scaled kernels
    trainable BatchNormalization        TensorFlow's fused operation

The first two use `keras.ops` and run on any backend, the last on TensorFlow only. Figures:
docs/results.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from pawsure.network.framework import keras
from pawsure.network.graph import calls_in_order

ops = keras.ops


def fused(model: keras.Model) -> keras.Model:
    """A model with the same variables and results, and fewer passes over memory.

    Set `layer.trainable` before: a frozen BatchNormalization becomes part of the convolution
    before it.

    Args:
        model: a functional model, NHWC.

    Returns:
        A new model that shares its variables with the given one. Results differ by rounding only.
    """
    norm_of = _frozen_norms(model)
    folded = set(norm_of.values())

    def replacement(layer: keras.layers.Layer) -> keras.layers.Layer:
        if layer.name in folded:
            return _Identity(name=f"{layer.name}_folded")
        if layer.name in norm_of:
            return _Scaled(layer, model.get_layer(norm_of[layer.name]))
        if _is_pointwise(layer):
            return _Scaled(layer, None)
        if _is_fusible(layer):
            return _FusedBatchNorm(layer)
        return layer

    return keras.models.clone_model(model, clone_function=replacement)


class _Identity(keras.layers.Layer):
    """Takes the place of a layer that was folded into another one."""

    def call(self, batch: Any, training: Any = None, mask: Any = None) -> Any:
        return batch


class _Scaled(keras.layers.Layer):
    """A convolution with the frozen BatchNormalization behind it, if there is one.

    With the constant scale s = gamma / sqrt(variance + epsilon), s · (kernel ∗ x) is
    (s · kernel) ∗ x: a kernel is a thousand times smaller than a feature map.
    """

    def __init__(self, conv: keras.layers.Layer, norm: keras.layers.Layer | None) -> None:
        super().__init__(name=f"{conv.name}_fused")
        self.conv = conv
        self.norm = norm

    def call(self, batch: Any) -> Any:
        conv = self.conv
        is_depthwise = isinstance(conv, keras.layers.DepthwiseConv2D)
        kernel, bias = conv.kernel, conv.bias if conv.use_bias else None
        if self.norm is not None:
            scale, shift = _affine(self.norm)
            per_channel = ops.reshape(scale, kernel.shape[2:]) if is_depthwise else scale
            kernel = kernel * per_channel
            bias = shift if bias is None else bias * scale + shift
        if is_depthwise:
            found = ops.depthwise_conv(batch, kernel, conv.strides, conv.padding)
        elif _is_pointwise(conv):
            found = _matrix_product(batch, kernel)
        else:
            found = ops.conv(batch, kernel, conv.strides, conv.padding)
        return found if bias is None else found + bias


class _FusedBatchNorm(keras.layers.Layer):
    """A trainable BatchNormalization, in one operation.

    TensorFlow's operation returns the variance as an estimate of the population's (divided
    by n - 1); Keras keeps that of the batch (divided by n), and so does this layer.
    """

    def __init__(self, norm: keras.layers.BatchNormalization) -> None:
        super().__init__(name=f"{norm.name}_fused")
        self.norm = norm

    def call(self, batch: Any, training: Any = None, mask: Any = None) -> Any:
        norm = self.norm
        if not training:
            return norm(batch, training=False)
        from pawsure.network.framework import tensorflow as tf

        normalised, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            batch, norm.gamma, norm.beta, epsilon=norm.epsilon, is_training=True
        )
        count = ops.cast(ops.size(batch) // batch.shape[-1], "float32")
        keep = norm.momentum
        norm.moving_mean.assign(norm.moving_mean * keep + mean * (1.0 - keep))
        of_batch = variance * ((count - 1.0) / count)
        norm.moving_variance.assign(norm.moving_variance * keep + of_batch * (1.0 - keep))
        return normalised


def _matrix_product(batch: Any, kernel: Any) -> Any:
    """A 1×1 convolution: (N, h, w, C) by (1, 1, C, D) to (N, h, w, D)."""
    _, height, width, channels = batch.shape
    flat = ops.reshape(batch, (-1, channels))
    found = ops.matmul(flat, ops.reshape(kernel, kernel.shape[2:]))
    return ops.reshape(found, (-1, height, width, kernel.shape[-1]))


def _affine(norm: keras.layers.BatchNormalization) -> tuple[Any, Any]:
    """A frozen BatchNormalization as scale and shift, each (C,)."""
    scale = ops.rsqrt(norm.moving_variance + norm.epsilon)
    if norm.scale:
        scale = scale * norm.gamma
    shift = -norm.moving_mean * scale
    return scale, shift + norm.beta if norm.center else shift


def _frozen_norms(model: keras.Model) -> dict[str, str]:
    """The frozen BatchNormalization behind each convolution, by their names.

    Only where nothing else reads the output of the convolution.
    """
    calls = calls_in_order(model)
    readers = Counter(id(tensor) for call in calls for tensor in call.inputs)
    readers.update(id(tensor) for tensor in model.outputs)
    maker = {id(tensor): call.operation for call in calls for tensor in call.outputs}
    found = {}
    for call in calls:
        norm = call.operation
        if not isinstance(norm, keras.layers.BatchNormalization) or norm.trainable:
            continue
        conv = maker.get(id(call.inputs[0]))
        if conv is not None and _is_foldable(conv) and readers[id(call.inputs[0])] == 1:
            found[conv.name] = norm.name
    return found


def _is_foldable(layer: Any) -> bool:
    """Whether `_Scaled` can replace a layer."""
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    return (
        type(layer) in kinds
        and layer.activation is keras.activations.linear
        and layer.data_format == "channels_last"
        and getattr(layer, "groups", 1) == 1
        and tuple(layer.dilation_rate) == (1, 1)
    )


def _is_pointwise(layer: Any) -> bool:
    """Whether a layer is a 1×1 convolution at every place."""
    return (
        type(layer) is keras.layers.Conv2D
        and _is_foldable(layer)
        and tuple(layer.kernel_size) == (1, 1)
        and tuple(layer.strides) == (1, 1)
        and None not in layer.input.shape[1:3]
    )


def _is_fusible(layer: Any) -> bool:
    """Whether TensorFlow's fused operation computes the same as a BatchNormalization."""
    return (
        isinstance(layer, keras.layers.BatchNormalization)
        and keras.backend.backend() == "tensorflow"
        and layer.trainable
        and layer.scale
        and layer.center
        and len(layer.input.shape) == 4
        and layer.axis in (-1, 3)
    )

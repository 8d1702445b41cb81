"""The graph of an EfficientNet-Lite, written straight from its tensors: no Keras, no TensorFlow.

It is byte for byte what `pawsure.network.onnx_graph` writes of the network in Keras, held by a
test; so features that were stored with one are those of the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from pawsure.graph.pixels import PICTURES, finished_model, write_pixels
from pawsure.graph.scaling import Scaling
from pawsure.graph.writer import FIRST, GraphWriter
from pawsure.network.efficientnet_lite import (
    EPSILON,
    Convolution,
    block_convolutions,
    blocks,
    head,
    stem,
)

_FEATURE_MAP = "feature_map"
_KERAS_INPUT = "features"  # a name that Keras's graphs keep free


@dataclass(frozen=True)
class _Tensor:
    """A tensor by its shape, channels last, as Keras would have it."""

    shape: tuple[int | None, ...]


def lite_to_onnx(
    variables: Mapping[str, npt.NDArray[np.float32]],
    *,
    name: str,
    width: float,
    depth: float,
    size_px: int,
    scaling: Scaling,
) -> onnx.ModelProto:
    """Write a variant from its pixels to its feature map.

    Args:
        variables: see `pawsure.network.efficientnet_lite.variables_of`.
        name: of the network.
        width: of the variant.
        depth: of the variant.
        size_px: side S of the pictures.
        scaling: of their pixels.

    Returns:
        uint8 "image" (N, S, S, 3) to float32 "feature_map" (N, S / 32, S / 32, 1280); the batch
        is dynamic.
    """
    writer = GraphWriter({})
    for reserved in (PICTURES, _KERAS_INPUT, _FEATURE_MAP):
        writer.reserve(reserved)
    pixels = _Tensor((None, size_px, size_px, 3))
    given = write_pixels(writer, pixels, scaling)
    source = writer.read(pixels, FIRST)
    side = size_px

    def convolve(source: str, each: Convolution, side: int) -> tuple[str, int]:
        return _convolve(writer, variables, source, each, side)

    source, side = convolve(source, stem(), side)
    made = blocks(width, depth)
    for number, block in enumerate(made):
        before = source
        for each in block_convolutions(number, block):
            source, side = convolve(source, each, side)
        if block.is_residual:
            with writer.scope(f"{block.name}_add"):
                source = writer.emit("Add", [source, before])
    last = head(made[-1].channels_out)
    source, side = convolve(source, last, side)
    feature_map = _Tensor((None, side, side, last.channels_out))
    writer.bind(feature_map, source, FIRST)
    return finished_model(writer, name, given, [feature_map], [_FEATURE_MAP])


def _convolve(
    writer: GraphWriter,
    variables: Mapping[str, npt.NDArray[np.float32]],
    source: str,
    each: Convolution,
    side: int,
) -> tuple[str, int]:
    """A convolution, its BatchNormalization and its ReLU6; returns the tensor and its side."""
    order = (2, 3, 0, 1) if each.is_depthwise else (3, 2, 0, 1)
    kernel = variables[each.kernel_name].transpose(order)
    after = math.ceil(side / each.stride)
    # TensorFlow's "same": of an odd number of zeros, the extra one comes after.
    zeros = max((after - 1) * each.stride + each.kernel - side, 0)
    before = zeros // 2
    attributes: dict[str, Any] = {
        "kernel_shape": [each.kernel] * 2,
        "strides": [each.stride] * 2,
        "dilations": [1, 1],
        "pads": [before, before, zeros - before, zeros - before],
        "group": each.channels_in if each.is_depthwise else 1,
    }
    with writer.scope(each.name):
        held = writer.keep(each.kernel_name, kernel)
        source = writer.emit("Conv", [source, held], **attributes)
    with writer.scope(each.norm):
        statistics = [
            writer.keep(f"{each.norm}/{name}", variables[f"{each.norm}/{name}"])
            for name in ("gamma", "beta", "moving_mean", "moving_variance")
        ]
        source = writer.emit("BatchNormalization", [source, *statistics], epsilon=EPSILON)
    if each.activation:
        with writer.scope(each.activation):
            bounds = [writer.constant("least", 0.0), writer.constant("most", 6.0)]
            source = writer.emit("Clip", [source, *bounds])
    return source, after

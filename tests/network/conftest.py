"""Networks for tests: small, with drawn weights that are nowhere trivial."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    import keras


@pytest.fixture(scope="session")
def randomise() -> Callable[[keras.Model], keras.Model]:
    """Give a model weights and BatchNorm statistics that leave no term without effect."""

    def _randomise(model: keras.Model, seed: int = 0) -> keras.Model:
        generator = np.random.default_rng(seed)
        for variable in model.weights:
            variable.assign(_draw(generator, variable))
        return model

    return _randomise


def _draw(generator: np.random.Generator, variable: keras.Variable) -> np.ndarray:
    """Values of a size that keeps activations near one through a deep network."""
    shape, name = variable.shape, variable.name
    if name == "moving_variance":
        return generator.uniform(0.5, 1.5, shape)
    if name == "gamma":
        return generator.uniform(0.5, 1.5, shape)
    if name in {"beta", "moving_mean", "bias"}:
        return generator.normal(0.0, 0.2, shape)
    fan_in = int(np.prod(shape[:2] if _is_depthwise(variable) else shape[:-1]))
    return generator.normal(0.0, np.sqrt(2.0 / fan_in), shape)


def _is_depthwise(variable: keras.Variable) -> bool:
    """Whether each output of a kernel sees one channel only."""
    return len(variable.shape) == 4 and (
        "depthwise" in variable.path or "dwconv" in variable.path or "conv_dw" in variable.path
    )

"""Networks for tests: small, with drawn weights that leave no term without effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    import keras


@pytest.fixture(scope="session")
def randomise() -> Callable[..., keras.Model]:
    """Give a network random weights and random but fitting BatchNorm statistics.

    Statistics drawn without regard to the weights would make activations grow from layer to
    layer, and rounding errors with them, until no tolerance tells right from wrong.
    """
    return _randomise


def _randomise(model: keras.Model, seed: int = 0) -> keras.Model:
    generator = np.random.default_rng(seed)
    for variable in model.weights:
        variable.assign(_draw(generator, variable))
    _fit_statistics(model, generator)
    return model


def _draw(generator: np.random.Generator, variable: keras.Variable) -> np.ndarray:
    """Values of a size that keeps activations near one."""
    shape, name = variable.shape, variable.name
    if name in {"moving_variance", "gamma"}:
        return generator.uniform(0.5, 1.5, shape)
    if name in {"beta", "moving_mean", "bias"}:
        return generator.normal(0.0, 0.2, shape)
    depthwise = len(shape) == 4 and (name == "depthwise_kernel" or "dw" in variable.path)
    fan_in = int(np.prod(shape[:2] if depthwise else shape[:-1]))
    return generator.normal(0.0, np.sqrt(2.0 / fan_in), shape)


def _fit_statistics(model: keras.Model, generator: np.random.Generator) -> None:
    """Set moving statistics to about those of a random batch, and a little off."""
    import keras

    norms = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    model(generator.normal(size=(4, *model.input_shape[1:])).astype("float32"), training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
        # The mean square in place of the variance: in a random network all pictures become
        # much alike, and a division by what little they differ would magnify rounding.
        mean, variance = np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)
        spread = (mean**2 + variance) * generator.uniform(1.0, 1.5, mean.shape)
        layer.moving_mean.assign(mean + generator.normal(0.0, 0.1, mean.shape) * np.sqrt(spread))
        layer.moving_variance.assign(spread)

"""Optimizers, with rates that differ by depth and a running average of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pawsure.network.framework import keras
from pawsure.training.recipe import Stage

HEAD_LAYER = "head"
"""The name of the layer that `head_rate` is for."""


def make_optimizer(stage: Stage, part: keras.Model) -> keras.optimizers.Optimizer:
    """The optimizer of a stage.

    Args:
        stage: its optimizer, learning_rate, weight_decay, head_rate, deep_rate and average
            decide.
        part: what it will train.
    """
    settings: dict[str, Any] = {"learning_rate": stage.learning_rate}
    if stage.average:
        settings |= {"use_ema": True, "ema_momentum": stage.average}
    match stage.optimizer:
        case "rmsprop":
            kind = keras.optimizers.RMSprop
        case "adam":
            kind = keras.optimizers.Adam
        case "adamw":
            kind = keras.optimizers.AdamW
            settings["weight_decay"] = stage.weight_decay
        case "sgd":
            kind = keras.optimizers.SGD
            settings |= {"momentum": 0.9, "nesterov": True}
    factors = rate_factors(stage, part)
    if set(factors) != {1.0}:
        kind = _with_rates(kind, factors)
    optimizer = kind(**settings)
    optimizer.exclude_from_weight_decay(
        [variable for variable in part.trainable_variables if len(variable.shape) < 2]
    )
    return optimizer


def rate_factors(stage: Stage, part: keras.Model) -> list[float]:
    """By how much the rate of each of the part's trainable variables differs.

    The head learns `head_rate` times as fast as the backbone's last layer; its deepest layer
    that learns, `deep_rate` times; between those the factor falls by equal ratios, layer by
    layer (Howard & Ruder 2018, arXiv:1801.06146, section 3.2).

    Returns:
        A factor for each of `part.trainable_variables`, in their order.
    """
    head: set[int] = set()
    if any(layer.name == HEAD_LAYER for layer in part.layers):
        head = {id(variable) for variable in part.get_layer(HEAD_LAYER).trainable_variables}
    layer_of = [variable.path.rpartition("/")[0] for variable in part.trainable_variables]
    body = [
        layer
        for layer, variable in zip(layer_of, part.trainable_variables, strict=True)
        if id(variable) not in head
    ]
    place = {layer: number for number, layer in enumerate(dict.fromkeys(reversed(body)))}
    deepest = max(len(place) - 1, 1)
    return [
        stage.head_rate if id(variable) in head else stage.deep_rate ** (place[layer] / deepest)
        for layer, variable in zip(layer_of, part.trainable_variables, strict=True)
    ]


def _with_rates(kind: type, factors: list[float]) -> type:
    """The same optimizer with a factor on the rate of each variable, in their order."""

    class WithRates(kind):
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            # Not by identity: backends hand over what is inside a Keras variable.
            factor = factors[self._get_variable_index(variable)]
            super().update_step(gradient, variable, learning_rate * factor)

    return WithRates


def copy_of(variable: keras.Variable) -> np.ndarray:
    """A variable's value now, untouched by what comes."""
    return np.array(keras.ops.convert_to_numpy(variable))


@contextmanager
def averaged_weights(part: keras.Model, stage: Stage) -> Iterator[None]:
    """Put the running average in place of the weights while the block runs.

    Does nothing for a stage without one.
    """
    if not stage.average:
        yield
        return
    variables = part.trainable_variables
    current = [copy_of(variable) for variable in variables]
    averages = part.optimizer._model_variables_moving_average
    for variable, average in zip(variables, averages, strict=True):
        variable.assign(average)
    try:
        yield
    finally:
        for variable, value in zip(variables, current, strict=True):
            variable.assign(value)

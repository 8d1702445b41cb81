"""Optimizers, with a rate of its own for the head and a running average of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from pawsure.training.recipe import Stage

HEAD_LAYER = "head"
"""The name of the layer that `head_rate` is for."""


def make_optimizer(stage: Stage, part: keras.Model) -> keras.optimizers.Optimizer:
    """The optimizer of a stage.

    Args:
        stage: its optimizer, learning_rate, weight_decay, head_rate and average decide.
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
    if stage.head_rate != 1.0 and any(layer.name == HEAD_LAYER for layer in part.layers):
        head = {id(variable) for variable in part.get_layer(HEAD_LAYER).trainable_variables}
        kind = _with_head_rate(kind, head, stage.head_rate)
    optimizer = kind(**settings)
    optimizer.exclude_from_weight_decay(
        [variable for variable in part.trainable_variables if len(variable.shape) < 2]
    )
    return optimizer


def _with_head_rate(kind: type, head: set[int], factor: float) -> type:
    """The same optimizer, faster for some variables."""

    class WithHeadRate(kind):
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            rate = learning_rate * factor if id(variable) in head else learning_rate
            super().update_step(gradient, variable, rate)

    return WithHeadRate


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

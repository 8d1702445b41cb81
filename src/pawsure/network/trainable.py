"""What of a network learns, and what stands still."""

from __future__ import annotations

from pawsure.network.cuts import layer_index
from pawsure.network.framework import keras


def set_trainable_from(model: keras.Model, layer: str | int) -> None:
    """Let a layer and all after it learn, and freeze all before it.

    Args:
        model: a functional model; layers that it shares with other models change there too.
        layer: the first layer that learns: its name or its place in `model.layers` (0: all
            learn, `len(model.layers)`: none does).

    Raises:
        UsageError: the model has no such layer.
    """
    first = layer_index(model, layer)
    # Not `model.trainable`, which would overrule what is set on each layer.
    for place, each in enumerate(model.layers):
        each.trainable = place >= first


def freeze_batch_norm(model: keras.Model) -> None:
    """Keep every BatchNormalization as it is: scale, shift and moving statistics.

    Call it after `set_trainable_from`. A frozen layer also normalises with its moving
    statistics while training. It is `layer.trainable = False` and not a call with
    `training=False`, because up to Keras 3.15 `fit` overrides that on nested models
    (keras-team/keras#9214 tells what unfrozen statistics do to fine-tuning).
    """
    for layer in _batch_norms(model):
        layer.trainable = False


def _batch_norms(model: keras.Model) -> list[keras.layers.Layer]:
    """Every BatchNormalization, those inside nested models included."""
    kind = keras.layers.BatchNormalization
    return [layer for layer in model._flatten_layers() if isinstance(layer, kind)]

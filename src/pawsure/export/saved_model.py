"""A model file as a TensorFlow SavedModel, for TensorFlow Serving."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

from pawsure.export.tensorflow_graph import tensorflow_function
from pawsure.graph.head import INPUT
from pawsure.model.metadata import read_metadata
from pawsure.model.predictor import Outputs
from pawsure.network.framework import tensorflow as tf

SIGNATURE = "serving_default"


def write_saved_model(model_file: str | Path, folder: Path) -> None:
    """Write a SavedModel.

    Its signature `serving_default` takes `image`, uint8 (N, S, S, 3), and gives the outputs of
    the model file by their names. Weights are constants of the graph.

    Args:
        model_file: of `pawsure train`.
        folder: to create.

    Raises:
        ExportError: an operator that can't be translated.
        ModelFileError: it is not a pawsure model.
    """
    function = traced(model_file, batch_size=None)
    # An empty module: with the function in it, the weights would be written twice.
    tf.saved_model.save(tf.Module(), str(folder), signatures={SIGNATURE: function})


def traced(
    model_file: str | Path, batch_size: int | None
) -> tf.types.experimental.ConcreteFunction:
    """A model file as a function of a batch (None: of any size)."""
    size = read_metadata(model_file).size_px
    shape = tf.TensorSpec((batch_size, size, size, 3), tf.uint8, name=INPUT)
    translated = tensorflow_function(onnx.load(model_file))
    return tf.function(translated, input_signature=[shape]).get_concrete_function()


def saved_model_runtime(folder: Path) -> Callable[[np.ndarray], Outputs]:
    """Run a SavedModel: loaded from its folder, by its signature."""
    loaded = tf.saved_model.load(str(folder))
    signature = loaded.signatures[SIGNATURE]

    def run(pictures: np.ndarray) -> Outputs:
        # `loaded` has to live as long as its signature is used.
        found = signature(**{INPUT: tf.constant(pictures)}) if loaded else {}
        return Outputs(**{name: value.numpy() for name, value in found.items()})

    return run

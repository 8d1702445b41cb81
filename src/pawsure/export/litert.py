"""A model file as LiteRT (TensorFlow Lite), for phones and small boards.

In int8 it is the quantised model file of `pawsure.export.quantise`, translated with its scales:
LiteRT then computes the same bytes as ONNX Runtime does.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from pawsure.errors import ExportError, MissingExtraError
from pawsure.export.saved_model import SIGNATURE, traced
from pawsure.graph.head import INPUT
from pawsure.model.predictor import Outputs
from pawsure.network.framework import tensorflow as tf


def write_litert(model_file: str | Path, path: Path, precision: str) -> None:
    """Write a .tflite file that takes one picture at a time.

    Its signature `serving_default` takes `image`, uint8 (1, S, S, 3), and gives the outputs of
    the model file by their names.

    Args:
        model_file: of `pawsure train`; for int8, of `quantise`.
        path: to write.
        precision: "float32"; "float16" (for weights; the device chooses that of sums); "int8".

    Raises:
        ExportError: an operator that can't be translated, or that LiteRT lacks.
        ModelFileError: it is not a pawsure model.
    """
    function = traced(model_file, batch_size=1)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    # Not public; and only `network.framework` imports TensorFlow by name.
    converter_error = import_module("tensorflow.lite.python.convert_phase").ConverterError
    try:
        path.write_bytes(converter.convert())
    except converter_error as exc:
        raise ExportError(
            f"{model_file} has an operator that LiteRT lacks in {precision}: "
            f"{_first_line(exc)} Choose another --precision, or --to int8."
        ) from exc


def _first_line(exc: Exception) -> str:
    """Of an error of many pages."""
    return f"{str(exc).splitlines()[0][:200].rstrip('.')}."


def litert_runtime(path: Path) -> Callable[[np.ndarray], Outputs]:
    """Run a .tflite file, a picture at a time.

    Raises:
        MissingExtraError: neither ai-edge-litert nor TensorFlow's own interpreter is installed.
    """
    runner = _interpreter(path).get_signature_runner(SIGNATURE)

    def run(pictures: np.ndarray) -> Outputs:
        # Copied: the runner gives the same memory each time.
        each = [
            {name: value.copy() for name, value in runner(**{INPUT: picture[np.newaxis]}).items()}
            for picture in pictures
        ]
        return Outputs(**{name: np.concatenate([one[name] for one in each]) for name in each[0]})

    return run


def _interpreter(path: Path) -> Any:
    if find_spec("ai_edge_litert"):
        from ai_edge_litert.interpreter import Interpreter

        return Interpreter(model_path=str(path))
    # The same interpreter in TensorFlow, with a deprecation warning.
    if not hasattr(tf.lite, "Interpreter"):
        raise MissingExtraError("ai_edge_litert", "litert")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"(?s).*tf\.lite\.Interpreter is deprecated")
        return tf.lite.Interpreter(model_path=str(path))

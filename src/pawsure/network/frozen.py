"""A frozen backbone as one ONNX graph, whoever wrote it.

This is all that head-only recipes, the audit and the model file need of a backbone:

    uint8 "image" (N, S, S, 3)  →  float32 "feature_map" (N, h, w, F)

Two write it: Keras (`onnx_graph`), from any backbone, and `lite_graph`, from the tensors of a
weights package. Where Keras is not needed it is not imported.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pawsure.graph.scaling import Scaling
from pawsure.network.backbones import Backbone
from pawsure.network.lite_weights import is_lite, read_variables
from pawsure.network.torch_file import TORCH_START
from pawsure.network.weights import weights_file

if TYPE_CHECKING:
    import keras
    import onnx


def needs_keras(backbone: Backbone, weights: str | Path, *, size_px: int) -> bool:
    """Whether only Keras can write this backbone as a graph.

    Raises:
        WeightsError: the weights can't be had.
    """
    if not is_lite(backbone):
        return True
    path = weights_file(backbone, weights, size_px=size_px)
    if path is None:
        return True
    with path.open("rb") as file:
        return file.read(len(TORCH_START)) != TORCH_START


def frozen_graph(
    backbone: Backbone,
    weights: str | Path,
    *,
    size_px: int,
    scaling: Scaling,
    build: Callable[[], keras.Model],
) -> onnx.ModelProto:
    """A backbone with its weights as a graph from pixels to the feature map.

    Args:
        backbone: which one.
        weights: see `pawsure.network.weights.load_weights`.
        size_px: side S of the pictures.
        scaling: of their pixels.
        build: gives the backbone in Keras with these weights; called only if it is needed.

    Raises:
        WeightsError: the weights can't be had or don't fit.
    """
    path = weights_file(backbone, weights, size_px=size_px)
    if path is None or needs_keras(backbone, weights, size_px=size_px):
        from pawsure.network.onnx_graph import to_onnx

        return to_onnx(build(), scaling=scaling)
    from pawsure.network.lite_graph import lite_to_onnx

    return lite_to_onnx(
        read_variables(backbone, path),
        name=backbone.name,
        width=backbone.arguments["width"],
        depth=backbone.arguments["depth"],
        size_px=size_px,
        scaling=scaling,
    )

"""The published weights of EfficientNet-Lite: PyTorch's names and axes, as Keras has them.

Needs neither Keras nor PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pawsure.errors import WeightsError
from pawsure.network.backbones import Backbone
from pawsure.network.efficientnet_lite import HEAD_CHANNELS, NUM_CLASSES, convolutions
from pawsure.network.torch_file import read_tensors

_STATISTICS = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def is_lite(backbone: Backbone) -> bool:
    """Whether a backbone is an EfficientNet-Lite."""
    return backbone.constructor == "EfficientNetLite"


def read_variables(backbone: Backbone, path: Path) -> dict[str, npt.NDArray[np.float32]]:
    """The weights of a published file under the names and with the axes that Keras has them.

    Args:
        backbone: the EfficientNet-Lite that they are for.
        path: the `.pth`; its classifier is left out.

    Returns:
        By variable name: "stem_conv/kernel", (h, w, C, F), "stem_bn/gamma", (F,), and so on.

    Raises:
        WeightsError: the file is damaged, or of another network; the message names the tensor.
    """
    tensors = _read(backbone, path)
    made = {}
    for each in convolutions(backbone.arguments["width"], backbone.arguments["depth"]):
        weight, norm = each.published_as
        order = (2, 3, 0, 1) if each.is_depthwise else (2, 3, 1, 0)
        published_shape = tuple(each.kernel_shape[order.index(axis)] for axis in range(4))
        kernel = tensors.get(f"{weight}.weight", published_shape)
        made[each.kernel_name] = kernel.transpose(order)
        for ours, theirs in _STATISTICS.items():
            statistic = tensors.get(f"{norm}.{theirs}", (each.channels_out,))
            made[f"{each.norm}/{ours}"] = statistic
        if made[f"{each.norm}/moving_variance"].min() < 0:
            raise tensors.refused(f"tensor '{norm}.running_var' has a variance below zero")
    return made


def read_classifier(
    backbone: Backbone, path: Path
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The classifier of a published file: kernel float32 (1280, 1000) and bias (1000,).

    Raises:
        WeightsError: see `read_variables`.
    """
    tensors = _read(backbone, path)
    kernel = tensors.get("_fc.weight", (NUM_CLASSES, HEAD_CHANNELS))
    return np.ascontiguousarray(kernel.T), tensors.get("_fc.bias", (NUM_CLASSES,))


@dataclass(frozen=True)
class _Published:
    """Tensors of a file, each checked when it is asked for."""

    title: str
    path: Path
    tensors: Mapping[str, npt.NDArray[Any]]

    def get(self, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """The tensor of that name, which must have this shape and be finite float32."""
        found = self.tensors.get(name)
        if found is None:
            raise self.refused(f"there is no tensor '{name}'")
        if found.shape != shape:
            raise self.refused(f"tensor '{name}' has the shape {found.shape} and not {shape}")
        if found.dtype != np.float32 or not np.isfinite(found).all():
            raise self.refused(f"tensor '{name}' does not consist of finite float32 numbers")
        return found

    def refused(self, why: str) -> WeightsError:
        """The error for a file that does not fit."""
        return WeightsError(
            f"{self.path} does not hold weights of {self.title}: {why}. "
            "Give the file of this backbone, or choose the backbone of the file."
        )


def _read(backbone: Backbone, path: Path) -> _Published:
    return _Published(backbone.title, path, read_tensors(path))

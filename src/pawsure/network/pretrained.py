"""The ImageNet classifier that a pretrained network came with, on the features that we keep.

Training replaces it by a head of one's own labels. What a picture is in a thousand ordinary
words stays the best evidence of what it is not. No Keras is needed.
"""

from __future__ import annotations

import importlib.resources
import importlib.util
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pawsure.errors import WeightsError
from pawsure.network.backbones import Backbone, find_backbone
from pawsure.network.hdf5_layers import read_layers
from pawsure.network.lite_weights import is_lite, read_classifier
from pawsure.network.torch_file import TORCH_START
from pawsure.network.weights import follow_text_link, imagenet_paths, weights_file

NUM_CLASSES = 1000


@dataclass(frozen=True, kw_only=True, eq=False)
class PretrainedClassifier:
    """A linear classifier of ImageNet's 1,000 classes on pooled features.

    Attributes:
        kernel: float32 (F, 1000).
        bias: float32 (1000,).
        labels: English names of the classes, in the order of ImageNet 2012; "crane" and
            "maillot" each name two of them.
    """

    kernel: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    labels: tuple[str, ...]

    def logits(self, pooled: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Of the backbone's pooled features, float (N, F): float32 (N, 1000)."""
        return np.asarray(pooled, np.float32) @ self.kernel + self.bias

    def probabilities(self, pooled: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Of the backbone's pooled features, float (N, F): float64 (N, 1000), rows sum to 1."""
        logits = self.logits(pooled).astype(np.float64)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def pretrained_classifier(
    backbone: str | Backbone, weights: str | Path, *, size_px: int
) -> PretrainedClassifier | None:
    """The classifier that belongs to a backbone's weights.

    Args:
        backbone: a name, or a row of the table.
        weights: what the backbone starts from; see `pawsure.network.weights.load_weights`.
        size_px: side of the pictures, which decides between several files of weights.

    Returns:
        None where there is none to be had without a download: drawn weights and those of
        one's own, a network whose classifier is not linear, and networks of Keras Applications
        whose file with the classifier ("top") is not in Keras's cache.

    Raises:
        WeightsError: there is a file, and it is damaged or of another network.
    """
    row = find_backbone(backbone) if isinstance(backbone, str) else backbone
    if not row.has_linear_classifier:
        return None
    if is_lite(row):
        path = weights_file(row, weights, size_px=size_px)
        if path is None or not _begins_with(path, TORCH_START):
            return None
        kernel, bias = read_classifier(row, path)
    else:
        found = _file_with_top(row, size_px) if str(weights) == "imagenet" else None
        if found is None or importlib.util.find_spec("h5py") is None:
            return None
        kernel, bias = _last_layer(row, found)
    return PretrainedClassifier(kernel=kernel, bias=bias, labels=imagenet_labels())


@cache
def imagenet_labels() -> tuple[str, ...]:
    """English names of ImageNet's 1,000 classes, the first word of each WordNet synset."""
    file = importlib.resources.files("pawsure.network") / "imagenet_labels.txt"
    return tuple(file.read_text(encoding="utf-8").splitlines())


def _begins_with(path: Path, start: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(start)) == start


def _file_with_top(backbone: Backbone, size_px: int) -> Path | None:
    """The file with the classifier beside the one whose weights are taken, if it is there."""
    for path in imagenet_paths(backbone, size_px):
        if path.is_file():
            name = re.sub(r"_no_?top(_v2)?(?=\.h5$)", "", path.name)
            with_top = follow_text_link(path.with_name(name))
            return with_top if name != path.name and with_top.is_file() else None
    return None


def _last_layer(
    backbone: Backbone, path: Path
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Kernel and bias of the last layer with weights in an older `.h5`."""
    import h5py

    try:
        with h5py.File(path) as file:
            group = file.get("model_weights", file)
            arrays = list(read_layers(group).values())[-1]
    except (OSError, KeyError, RuntimeError, IndexError) as exc:
        raise WeightsError(
            f"The weights {path} are damaged or cut short ({exc}). Fetch the file again."
        ) from exc
    kernel = arrays[0].reshape(-1, arrays[0].shape[-1])  # a 1×1 convolution, in MobileNet
    if len(arrays) != 2 or kernel.shape[1:] != (NUM_CLASSES,) or arrays[1].shape != (NUM_CLASSES,):
        raise WeightsError(
            f"{path} does not end in the classifier of {backbone.title}: expected a kernel for "
            f"{NUM_CLASSES} classes and a bias, got {[each.shape for each in arrays]}. "
            "Fetch the file again."
        )
    return kernel.astype(np.float32), arrays[1].astype(np.float32)

"""What decides a network, as data: a recipe's table `model`, and where its stages may begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HEAD = "head"
"""`train_from` of a stage in which only the new classifier learns."""

AUTO = "auto"
"""`train_from` of a stage that tries ever deeper cuts while validation gains by it."""

WHOLE = "all"
"""`train_from` of a stage in which every layer learns."""

OWN = "own"
"""`weights` of a network whose file holds them."""


@dataclass(frozen=True, kw_only=True)
class Standardisation:
    """Scaling of pixels to (pixel / 255 - mean) / deviation.

    Attributes:
        mean: for each of R, G, B, of pixels from 0 to 1.
        deviation: the same; above 0.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class ModelRecipe:
    """The network.

    Attributes:
        backbone: a name in the table of backbones, or an ONNX file, which stays frozen.
        image_size: side of the square pictures, in pixels.
        weights: what the backbone starts from: imagenet, pets, none, or a file; "own" with an
            ONNX file, which has its own.
        scaling: "backbone" scales pixels to the range that the weights were trained on;
            "unit" to [0, 1] whatever they were trained on, as many scripts do. For an ONNX file
            that does not say how it was trained also "imagenet", by ImageNet's mean and
            deviation, or a mean and deviation of its own.
        output: the tensor of an ONNX file that holds the features, by its name; "": its only
            output.
        head: "softmax" with a unit a label, or "sigmoid" with one unit for two labels.
        dropout: share of embedding features dropped while training, in [0, 1).
        tta: test-time augmentation: the model file averages each picture with a second view of
            it, its middle enlarged and mirrored, if that lowers the validation loss. An answer
            takes twice the time; training is the same.
    """

    backbone: str = "mobilenet_v2"
    image_size: int = 128
    weights: str = "imagenet"
    scaling: Literal["backbone", "unit", "imagenet"] | Standardisation = "backbone"
    output: str = ""
    head: Literal["softmax", "sigmoid"] = "softmax"
    dropout: float = 0.0
    tta: bool = False


def is_file(backbone: str) -> bool:
    """Whether a backbone is an ONNX file, and not one of the table."""
    return backbone.lower().endswith(".onnx")

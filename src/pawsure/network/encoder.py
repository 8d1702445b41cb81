"""Export a backbone for whoever may not import Keras: a short process of its own.

    python -m pawsure.network.encoder at-hand 224

writes the ONNX file into the cache, as a run of the `fast` recipe would, and beside it what it is.
The audit starts this once; from then on it needs neither Keras nor this.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pawsure._version import __version__
from pawsure.data.cache import in_cache
from pawsure.data.checksums import write_checked_json
from pawsure.errors import PawsureError, StorageError
from pawsure.features.encoders import encoder_file
from pawsure.features.prefix import POOLED, Prefix
from pawsure.network.backbones import find_backbone
from pawsure.network.build import build_backbone
from pawsure.network.prefixes import export_prefix, find_prefix
from pawsure.network.recipe import HEAD, ModelRecipe
from pawsure.network.weights import PETS_BACKBONE, find_imagenet_file

if TYPE_CHECKING:
    import keras

AT_HAND = "at-hand"
"""ImageNet weights if they need no download, else the built-in ones."""

BACKBONES = ("efficientnet_lite0", PETS_BACKBONE)
"""Whose ImageNet weights are taken: of the first that needs no download, else of the last."""


def export_encoder(weights: str, size_px: int) -> Path:
    """Export a backbone up to its pooled features.

    Args:
        weights: see `pawsure.network.weights.load_weights`, or `AT_HAND`.
        size_px: side of the pictures.

    Returns:
        Where it is described, for `pawsure.features.encoders.find_encoder`.

    Raises:
        WeightsError: they can't be had.
        MissingExtraError: this takes Keras, which is not installed.
    """
    at_hand = [
        name for name in BACKBONES if find_imagenet_file(find_backbone(name), size_px) is not None
    ]
    if weights == AT_HAND:
        weights = "imagenet" if at_hand else "pets"
    backbone = at_hand[0] if at_hand and weights == "imagenet" else PETS_BACKBONE
    model = ModelRecipe(backbone=backbone, weights=weights, image_size=size_px)

    def build() -> keras.Model:
        return build_backbone(model.backbone, size_px=size_px, weights=weights, seed=0)

    cut = find_prefix(model, [HEAD], seed=0) or export_prefix(model, [HEAD], build, seed=0)
    described = {
        "pawsure": __version__,
        "title": find_backbone(backbone).title,
        "key": cut.prefix.key,
        "path": str(cut.prefix.path),
        "shape": list(cut.prefix.shapes[POOLED]),
    }
    in_cache(lambda: write_checked_json(encoder_file(weights, size_px), described))
    return encoder_file(weights, size_px)


def file_encoder(model: ModelRecipe) -> Prefix:
    """An ONNX file as a network that turns pictures into embeddings; no Keras.

    Args:
        model: its backbone is the file.

    Returns:
        A prefix with the output `POOLED`.

    Raises:
        WeightsError: it can't be taken.
    """

    def build() -> keras.Model:
        raise AssertionError("a file needs no Keras")

    cut = find_prefix(model, [HEAD], seed=0) or export_prefix(model, [HEAD], build, seed=0)
    return cut.prefix


def main() -> int:
    """Run as a process: one line on standard error when it can't be done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights")
    parser.add_argument("size_px", type=int)
    given = parser.parse_args()
    try:
        export_encoder(given.weights, given.size_px)
    except PawsureError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"{StorageError.of(error)}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

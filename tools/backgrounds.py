"""Make the built-in statistics of ordinary pictures: `pawsure/trust/backgrounds/BACKBONE.npz`.

    python tools/backgrounds.py BACKBONE SIZE_PX FOLDER...

BACKBONE is a name in the table of backbones, with its ImageNet weights; each FOLDER has a folder
for each kind of thing. Every second kind, in the order of their names, is taken: the others are
left to measure on, and so is every kind whose name begins with `near_`. What is written are a mean
and two covariances of low rank of the network's embeddings, two thirds of a megabyte, and no
picture.
"""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path

import numpy as np
import onnx

from pawsure.data.images import read_file
from pawsure.data.sources import list_pictures
from pawsure.network.backbones import find_backbone
from pawsure.network.build import build_backbone
from pawsure.network.prefixes import export_prefix, find_prefix
from pawsure.network.recipe import ModelRecipe
from pawsure.training.linear import LinearHead
from pawsure.training.model_graph import head_only_graph
from pawsure.trust.background import background_of, save_background
from pawsure.trust.outputs import Outputs

SEED = 0


def main() -> None:
    """Run the network over the pictures and write their statistics."""
    backbone, size_px, *folders = sys.argv[1:]
    model = ModelRecipe(backbone=find_backbone(backbone).name, image_size=int(size_px))
    paths = list_pictures([kind for folder in folders for kind in background_kinds(Path(folder))])
    found = Outputs(backbone_graph(model), model.image_size)(
        lambda row: read_file(str(paths[row])), np.arange(len(paths)), "Background"
    )
    folder = Path(str(resources.files("pawsure.trust"))) / "backgrounds"
    folder.mkdir(exist_ok=True)
    path = folder / f"{model.backbone}.npz"
    kinds = np.array([paths[row].parent.name for row in found.rows])
    save_background(background_of(found.embedding, kinds), path)
    print(f"{path}: {len(found):,} pictures, {path.stat().st_size / 1e6:.2f} MB")


def backbone_graph(model: ModelRecipe) -> onnx.ModelProto:
    """A backbone with its ImageNet weights, and a head of zeros."""
    prefix = find_prefix(model, ["head"], seed=SEED) or export_prefix(
        model,
        ["head"],
        lambda: build_backbone(
            model.backbone, size_px=model.image_size, weights=model.weights, seed=SEED
        ),
        seed=SEED,
    )
    width = prefix.inputs["head"][0].shape[0]
    no_head = LinearHead(
        kernel=np.zeros((width, 2), np.float32), bias=np.zeros(2, np.float32), history=[], kept=0
    )
    return head_only_graph(prefix.prefix, no_head)


def background_kinds(folder: Path) -> list[Path]:
    """Every second folder, in the order of their names, but those of near kinds."""
    kinds = sorted(path for path in folder.iterdir() if path.is_dir())
    return [kind for kind in kinds[::2] if not kind.name.startswith("near_")]


if __name__ == "__main__":
    main()

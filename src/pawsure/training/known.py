"""What the out-of-distribution score may build on beside the training pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

from pawsure.data import images
from pawsure.data.sources import list_pictures
from pawsure.errors import DataError
from pawsure.network.pretrained import pretrained_classifier
from pawsure.network.recipe import is_file
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.training.recipe import Recipe
from pawsure.trust.background import LEAST_PICTURES, background_of, builtin_background
from pawsure.trust.familiarity import Known
from pawsure.trust.gaussian import Gaussian
from pawsure.trust.log_odds import CompactClassifier
from pawsure.trust.outputs import Outputs

MOST_PICTURES = 2000
"""Of a background; more do not change its Gaussian."""


def known_for(
    recipe: Recipe,
    graph: onnx.ModelProto,
    *,
    is_frozen: bool,
    say: Callable[[str], None],
    progress: Progress = NO_PROGRESS,
) -> Known:
    """Find the background of a network, and the classifier that it came with.

    Pictures that the user names come first; else the built-in statistics, which are of frozen
    backbones with their ImageNet weights. The classifier understands the embeddings of a frozen
    backbone only.

    Args:
        recipe: of the run.
        graph: of `attach_head`.
        is_frozen: whether its embedding is that of the backbone's initial weights.
        say: told what was found.
        progress: told of every picture.

    Raises:
        DataError: the named folder has too few pictures.
    """
    background: Gaussian | None = None
    is_frozen = is_frozen and not is_file(recipe.model.backbone)
    folder = recipe.trust.background
    if folder:
        background, num = _of_pictures(folder, recipe, graph, progress)
        say(f"Background: {num:,} pictures of {folder}.")
    elif is_frozen and recipe.model.weights == "imagenet":
        background = builtin_background(recipe.model.backbone)
        if background is not None:
            say(f"Background: built-in statistics of {recipe.model.backbone}.")
    classifier = _classifier(recipe) if is_frozen else None
    if classifier is not None:
        say("The out-of-distribution score uses the ImageNet classifier of the backbone.")
    elif background is None and recipe.trust.rejected:
        say(
            "No background: the out-of-distribution score knows only the training pictures, so "
            'pictures from other sources get "neither" more often. --set trust.background=DIR '
            "takes a folder of ordinary pictures."
        )
    return Known(backgrounds=() if background is None else (background,), classifier=classifier)


def _classifier(recipe: Recipe) -> CompactClassifier | None:
    model = recipe.model
    found = pretrained_classifier(model.backbone, model.weights, size_px=model.image_size)
    return None if found is None else CompactClassifier.of(found.kernel, found.bias)


def _of_pictures(
    folder: str, recipe: Recipe, graph: onnx.ModelProto, progress: Progress
) -> tuple[Gaussian, int]:
    """The statistics of a folder, and how many pictures they are of."""
    paths = list_pictures([Path(folder)])
    rng = np.random.default_rng(recipe.seed)
    rows = np.sort(rng.permutation(len(paths))[:MOST_PICTURES])
    found = Outputs(graph, recipe.model.image_size, progress)(
        lambda row: images.read_file(str(paths[row])), rows, "Learning the background"
    )
    if len(found) < LEAST_PICTURES:
        raise DataError(
            f"trust.background {folder} has {len(found)} readable pictures; at least "
            f"{LEAST_PICTURES} are needed. Add some, or leave it out."
        )
    return background_of(found.embedding), len(found)

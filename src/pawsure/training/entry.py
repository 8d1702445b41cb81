"""`pawsure.train`: check what was asked for, then load what training needs, and train.

What was typed is checked first, because loading TensorFlow takes seconds and installing it
minutes: nobody should wait for either to hear that a folder does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pawsure.data.sources import check_data
from pawsure.errors import SourceError, UsageError
from pawsure.extras import needing
from pawsure.network.recipe import is_file
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.progress_bars import python_progress
from pawsure.training.finished import Run
from pawsure.training.recipe import Recipe, load_recipe


def train(
    data: str | Path,
    *,
    recipe: str | Path | Recipe = "default",
    out: str | Path | None = None,
    image_size: int | None = None,
    backbone: str | None = None,
    weights: str | Path | None = None,
    neither: str | Path | None = None,
    max_error: float | None = None,
    seed: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    resume: str | Path | None = None,
    tensorboard: str | Path | None = None,
    mlflow: str | None = None,
    strict: bool = False,
    labels: str | None = None,
    verbose: bool = True,
    progress: Progress | None = None,
    on_folder: Callable[[Path], None] | None = None,
) -> Run:
    """Train a classifier on labelled pictures, measure it, and write its run folder.

    Args:
        data: a folder with a folder for each label, a zip archive of one, a CSV or Parquet
            manifest, or a name; see `pawsure.data.sources.open_source`.
        recipe: a built-in name (default, fast, thorough, classic), a TOML file, or a `Recipe`.
        out: the run folder to create; None takes the first free one under `runs/`.
        image_size: side in pixels of the square that pictures are resized to.
        backbone: the network to start from, such as "mobilenet_v2".
        weights: where it starts: "imagenet", "pets", "none", or a file.
        neither: a folder of other pictures, to learn what to call "neither".
        max_error: target error rate among answered pictures, in [0, 1]; the rest become "unsure".
        seed: same seed, same machine: the same model.
        overrides: other keys of the recipe to change; see `load_recipe`.
        resume: the folder of an interrupted run, to go on with by its own recipe.
        tensorboard: a folder for TensorBoard's event files.
        mlflow: where MLflow keeps its runs: a folder, or the address of a server.
        strict: whether to refuse data whose own splits share copies of pictures.
        labels: which folder names the label, "outer", "inner" or "parent", where several could.
        verbose: whether to show progress: bars in a terminal, lines elsewhere.
        progress: told what happens, in place of what `verbose` shows.
        on_folder: called with the run folder once the run can be resumed from it.

    Raises:
        DataError: the pictures can't be trained on, or leak and `strict` is set.
        UsageError: the recipe, the weights or the run folder are not right, or the extra
            'train' is not installed.
        ParityError: the exported file disagrees with the network; it is not written.

    Example:
        >>> run = train("photos", weights="pets")  # doctest: +SKIP
        >>> run  # doctest: +SKIP
        Run('runs/default-1', test accuracy 96.2% [87.0%, 98.9%] of 52)
    """
    named = {
        "image_size": image_size,
        "backbone": backbone,
        "weights": None if weights is None else str(weights),
        "seed": seed,
        "trust.neither": None if neither is None else str(neither),
        "trust.max_error": max_error,
    }
    changes = {key: value for key, value in named.items() if value is not None}
    changes |= overrides or {}
    if resume is None:
        recipe = load_recipe(recipe, changes)
    elif changes or out is not None or recipe != "default":
        raise UsageError(
            "An interrupted run is resumed in its own folder, by its own recipe. Leave out "
            "recipe, out and all settings."
        )
    _check_typed(data, recipe, out, resume)
    with needing("train", light="--recipe fast --backbone efficientnet_lite0"):
        from pawsure.training import run

        return run.train(
            data,
            recipe=recipe,
            out=out,
            resume=resume,
            tensorboard=tensorboard,
            mlflow=mlflow,
            strict=strict,
            labels=labels,
            progress=progress or (python_progress() if verbose else NO_PROGRESS),
            on_folder=on_folder,
        )


def _check_typed(
    data: str | Path, recipe: str | Path | Recipe, out: str | Path | None, resume: str | Path | None
) -> None:
    """Refuse what is not there, or is there already, before anything is loaded or read.

    Raises:
        SourceError: the data or the folder of other pictures do not exist.
        WeightsError: there is no such file of weights.
        RunFolderError: the run folder exists, or the one to resume does not.
    """
    from pawsure.network.weights import check_weights
    from pawsure.training.run_folder import RunFolder

    check_data(data)
    if resume is not None:
        RunFolder.reopen(resume)
    else:
        RunFolder.check_free(out)
    if isinstance(recipe, Recipe):
        if not is_file(recipe.model.backbone):  # the file contains its weights
            check_weights(recipe.model.weights)
        neither = recipe.trust.neither
        if neither and not Path(neither).exists():
            raise SourceError(
                f"There is no '{neither}', which was given as the folder of pictures that are "
                "none of your labels (neither). Check the path."
            )

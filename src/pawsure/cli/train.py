"""`pawsure train`: from labelled pictures to a run folder with a model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pawsure.cli import screen
from pawsure.cli.chatter import without_chatter
from pawsure.cli.exit_codes import ExitCode
from pawsure.cli.labels import LabelsOption
from pawsure.cli.settings import read_setting as _setting
from pawsure.data.file_names import as_text
from pawsure.errors import StorageError, UsageError
from pawsure.progress_bars import terminal_progress

if TYPE_CHECKING:
    from pawsure.training.finished import Run

EXAMPLE = "Example: pawsure train my-folder --weights pets --out runs/mine"


def train(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A folder of class folders, a folder with train and val, a zip of these, a CSV "
            "or Parquet manifest (path,label[,split]), or a name: sample (drawn here), "
            "cats-vs-dogs or oxford-pets (fetched once).",
        ),
    ],
    recipe: Annotated[
        str, typer.Option(help="default, fast, thorough, classic, or a TOML file of your own.")
    ] = "default",
    out: Annotated[
        Path | None, typer.Option(help="The run folder to make; it must not exist.")
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, help="Side of the square that pictures are resized to.")
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="The network to start from: a name such as mobilenet_v2, or an ONNX file, "
            "with --recipe fast."
        ),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Where it starts: imagenet, pets, none, or a file.")
    ] = None,
    neither: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Pictures that are none of your labels, to learn what to call 'neither'.",
        ),
    ] = None,
    max_error: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="Wrong answers to allow among those given, such as 0.5%; the rest is 'unsure'.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Same seed, same machine: the same model.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a key of the recipe, such as stages.fine-tune.epochs=8.",
        ),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with a run that was cut off.")
    ] = None,
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write TensorBoard's event files there.")
    ] = None,
    mlflow: Annotated[
        str | None,
        typer.Option(metavar="URI", help="Log to MLflow: a folder, or a server's address."),
    ] = None,
    labels: LabelsOption = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Refuse data whose own splits share copies of pictures."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Close with one JSON object, for machines.")
    ] = False,
) -> None:
    """Train a classifier, measure it, and write its run folder."""
    named = {"image_size": image_size, "backbone": backbone, "weights": weights, "seed": seed}
    overrides: dict[str, Any] = {key: value for key, value in named.items() if value is not None}
    if neither is not None:
        overrides["trust.neither"] = as_text(str(neither))
    if max_error is not None:
        overrides["trust.max_error"] = _share(max_error)
    overrides |= dict(_setting(text) for text in settings or [])
    if resume is not None and (overrides or out or recipe != "default"):
        raise UsageError(
            "--resume goes on in the run's own folder, by its own recipe. "
            f"Leave the other options out: pawsure train {data} --resume {resume}"
        )
    places = {"tensorboard": tensorboard, "mlflow": mlflow}
    watched = {name: place for name, place in places.items() if place is not None}
    level = None if labels is None else labels.value
    opened: list[Path] = []

    def resuming() -> list[object]:
        """The words of the command that resumes this run; none if it can't be resumed."""
        options = [word for name, place in watched.items() for word in (f"--{name}", place)]
        options += ["--strict"] * strict
        options += [] if level is None else ["--labels", level]
        return ["train", data, "--resume", opened[0], *options] if opened else []

    try:
        run = _train(
            data,
            recipe=recipe,
            out=out,
            overrides=overrides,
            resume=resume,
            strict=strict,
            labels=level,
            on_folder=opened.append,
            **watched,
        )
    except KeyboardInterrupt:
        if opened:
            screen.next_command("Stopped. To resume this run", *resuming())
        else:
            screen.note("Stopped before the run began; give the same command again.")
        raise typer.Exit(ExitCode.STOPPED) from None
    except StorageError as error:
        if not opened or not opened[0].is_dir():
            raise
        raise StorageError(f"{error} To resume the run: {screen.command(*resuming())}") from error
    if as_json:
        screen.answer_json(
            {"folder": str(run.folder), "model": str(run.model_file), "metrics": run.metrics}
        )
        return
    for line in run.summary:
        screen.answer(line)
    screen.next_command("To use it", "predict", "PICTURES", "--model", run.model_file)


def _train(data: str, **options: Any) -> Run:
    """Train; what only training needs is imported no earlier."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # read when TensorFlow is loaded
    from pawsure.training.entry import train as start_training

    with without_chatter():
        return start_training(data, progress=terminal_progress(), **options)


def _share(text: str) -> float:
    """A share as people write it: 0.5% or 0.005."""
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UsageError(f"--max-error takes a share such as 0.5% or 0.005; got '{text}'.")
    return share

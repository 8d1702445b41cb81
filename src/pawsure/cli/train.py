"""`pawsure train`: from labelled pictures to a run folder with a model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pawsure.cli import screen
from pawsure.cli.chatter import without_chatter
from pawsure.cli.exit_codes import ExitCode
from pawsure.cli.options import (
    ImageSizeOption,
    JsonOption,
    LabelsOption,
    as_words,
    read_setting,
    read_share,
)
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
            help="A folder with one folder per label (also below train and val), a zip of it, a "
            "CSV or Parquet manifest (path,label[,split]), or a name: sample (drawn), "
            "cats-vs-dogs or oxford-pets (downloaded once).",
        ),
    ],
    recipe: Annotated[
        str, typer.Option(help="default, fast, thorough, classic, or a TOML file.")
    ] = "default",
    out: Annotated[
        Path | None, typer.Option(help="The run folder to create (default: runs/RECIPE-N).")
    ] = None,
    image_size: ImageSizeOption = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="The pretrained network, such as mobilenet_v2; or an ONNX file, with "
            "--recipe fast."
        ),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Initial weights: imagenet, pets, none, or a file.")
    ] = None,
    neither: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Examples of pictures outside your labels, to improve 'neither'."
        ),
    ] = None,
    max_error: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="Target error rate among answered pictures, e.g. 0.5%; the rest become 'unsure'.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="The same seed on the same machine gives the same model.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a key of the recipe, such as stages.fine-tune.epochs=8. Repeatable.",
        ),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Resume an interrupted run.")
    ] = None,
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write TensorBoard event files here.")
    ] = None,
    mlflow: Annotated[
        str | None,
        typer.Option(metavar="URI", help="Log to MLflow: a folder, or a server's address."),
    ] = None,
    labels: LabelsOption = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse data with copies across its own splits.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show every step; run.log has them in any case.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a classifier, measure it, and write its run folder."""
    named = {"image_size": image_size, "backbone": backbone, "weights": weights, "seed": seed}
    overrides: dict[str, Any] = {key: value for key, value in named.items() if value is not None}
    if neither is not None:
        overrides["trust.neither"] = as_text(str(neither))
    if max_error is not None:
        overrides["trust.max_error"] = read_share("--max-error", max_error)
    overrides |= dict(map(read_setting, settings or []))
    if resume is not None and (overrides or out or recipe != "default"):
        raise UsageError(
            "--resume uses the run's own folder and recipe. Leave the other options out: "
            f"pawsure train {data} --resume {resume}"
        )
    opened: list[Path] = []

    def resuming() -> list[object]:
        """The words of the command that resumes this run."""
        options = {"--tensorboard": tensorboard, "--mlflow": mlflow, "--labels": labels}
        return ["train", data, "--resume", opened[0], *as_words(options), *["--strict"] * strict]

    try:
        run = _train(
            data,
            recipe=recipe,
            out=out,
            overrides=overrides,
            resume=resume,
            tensorboard=tensorboard,
            mlflow=mlflow,
            strict=strict,
            labels=labels,
            verbose=verbose,
            on_folder=opened.append,
        )
    except KeyboardInterrupt:
        if opened:
            screen.next_command("Stopped. To resume this run", *resuming())
        else:
            screen.note("Stopped before the run began; repeat the command.")
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


def _train(data: str, *, verbose: bool, **options: Any) -> Run:
    """Train; what only training needs is imported no earlier."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # read when TensorFlow is loaded
    from pawsure.training.entry import train as start_training

    with without_chatter():
        return start_training(data, progress=terminal_progress(verbose=verbose), **options)

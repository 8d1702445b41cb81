"""`pawsure export`: a model in another format, checked picture by picture."""

from __future__ import annotations

import json
import os
import shlex
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pawsure.cli import screen
from pawsure.cli.chatter import without_chatter
from pawsure.cli.options import JsonOption, LabelsOption, Level, ModelArgument, read_share
from pawsure.errors import DataError, SourceError, UsageError
from pawsure.extras import needing
from pawsure.progress_bars import terminal_progress

if TYPE_CHECKING:
    from pawsure.data.catalog import Catalog
    from pawsure.export.folder import ExportResult
    from pawsure.model.metadata import ModelMetadata
    from pawsure.progress import Progress

EXAMPLE = "Example: pawsure export runs/mine --to int8 --out exports/mine-int8"

_SAMPLE = "sample"


def export(
    model: ModelArgument,
    to: Annotated[
        str,
        typer.Option(
            metavar="FORMAT",
            help="int8 (a model file a third as large), two-looks (test-time augmentation: fewer "
            "mistakes, twice the time), litert (phones and small boards), saved-model "
            "(TensorFlow), browser (a web page that needs no server).",
        ),
    ],
    out: Annotated[
        Path, typer.Option(metavar="PATH", help="The folder to create; it must not exist.")
    ],
    precision: Annotated[
        str | None,
        typer.Option(help="For litert: float32, float16 (the default) or int8."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA", help="The training data (default: those that the run folder names)."
        ),
    ] = None,
    max_changed: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="Largest share of pictures that may get another label (default: 0.1%; int8: 2%).",
        ),
    ] = None,
    runtime: Annotated[
        Path | None,
        typer.Option(
            help="For browser: the npm package onnxruntime-web, a file or a folder (default: "
            "downloaded by npm, once).",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed for selecting pictures.")] = 0,
    labels: LabelsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export a model; it is written only if it agrees with MODEL on pictures."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # read when TensorFlow is loaded
    changed = None if max_changed is None else read_share("--max-changed", max_changed)
    from pawsure.data.sources import check_data
    from pawsure.export.choices import FITTED, check_choice, check_free, needs_tensorflow
    from pawsure.model.predictor import Predictor

    check_choice(to, precision)
    check_free(out)
    if runtime is not None and to != "browser":
        raise UsageError(f"--runtime is for --to browser; got --to {to}.")
    if data is not None:
        check_data(data)
    predictor = Predictor(model)
    with needing("train" if needs_tensorflow(to) else "lite"):
        from pawsure.export.formats import export as export_checked

        progress = terminal_progress()
        needs_labels = to in FITTED or precision == "int8"
        catalog = _catalog(predictor.path, predictor.metadata, data, labels, needs_labels, progress)
        with without_chatter():
            result = export_checked(
                predictor.path,
                to,
                catalog,
                out,
                precision=precision,
                max_changed=changed,
                runtime=runtime,
                seed=seed,
                progress=progress,
            )
    if as_json:
        screen.answer_json(result.to_dict())
        return
    _show(result, predictor.path)
    if to in FITTED:
        screen.next_command("To use it", "predict", "PICTURES", "--model", result.model)
    elif to == "browser":
        folder = shlex.quote(str(result.folder))
        screen.note(f"To use it: python -m http.server --bind 127.0.0.1 --directory {folder} 8000")
    else:
        screen.note(f"To use it: the code in {result.folder / 'README.md'}")


def _show(result: ExportResult, model_file: Path) -> None:
    from pawsure.export.folder import accuracy_sentence, agreement_sentence

    before = model_file.stat().st_size
    screen.answer(
        f"{result.model}: {result.num_bytes / 1e6:.2f} MB (the model file: {before / 1e6:.2f} MB)."
    )
    screen.answer(agreement_sentence(result.agreement))
    if result.accuracy:
        screen.answer(accuracy_sentence(result.accuracy))


def _catalog(
    model_file: Path,
    metadata: ModelMetadata,
    data: str | None,
    labels: Level | None,
    needs_labels: bool,
    progress: Progress,
) -> Catalog:
    """The pictures of the run with its splits; else, if any pictures will do, the drawn sample."""
    from pawsure.copies.grouping import grouped_catalog
    from pawsure.data.catalog import build_catalog
    from pawsure.data.layouts import OUTER
    from pawsure.data.saved_catalog import load_catalog
    from pawsure.data.sources import open_source
    from pawsure.data.split import assign_splits

    run_folder = model_file.parent
    try:
        named = data or _recorded_data(model_file)
        # Recorded pictures have recorded labels, whatever the level.
        source = open_source(named, labels=OUTER, progress=progress)
    except SourceError as exc:
        if data is not None:
            raise
        if needs_labels:
            raise DataError(f"{exc} This export needs the training pictures: --data DATA.") from exc
        progress.say(f"{exc} Comparing on drawn pictures; --data DATA takes others.")
        return build_catalog(_SAMPLE, progress=progress)
    recorded = load_catalog(run_folder / "catalog.parquet", source)
    if recorded is not None:
        return recorded
    recipe = tomllib.loads(metadata.recipe)
    source = open_source(named, labels=labels)
    catalog = grouped_catalog(source, progress=progress).catalog
    return assign_splits(catalog, seed=recipe.get("seed", 0), **recipe.get("split", {}))


def _recorded_data(model_file: Path) -> str:
    """The data that metrics.json names; SourceError if it names none."""
    try:
        text = (model_file.parent / "metrics.json").read_text("utf-8")
        data = json.loads(text)["data"]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise SourceError(f"No training data recorded for {model_file}.") from exc
    return str(data)

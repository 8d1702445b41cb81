"""`pawsure export`: a model file for somewhere else, checked picture by picture."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pawsure.cli import screen
from pawsure.cli.extras import needing
from pawsure.cli.progress import terminal_progress
from pawsure.errors import DataError, SourceError, UsageError

if TYPE_CHECKING:
    from pawsure.data.catalog import Catalog
    from pawsure.export.folder import ExportResult
    from pawsure.model.metadata import ModelMetadata
    from pawsure.progress import Progress

EXAMPLE = "Example: pawsure export runs/mine --to int8 --out exports/mine-int8"

_SAMPLE = "sample"


def export(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A model file, or the run folder that holds it.")
    ],
    to: Annotated[
        str,
        typer.Option(
            metavar="FORMAT",
            help="int8: a model file a third as large.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="PATH", help="The folder to make; must not exist.")],
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="What the model was trained on; by default what its run folder names.",
        ),
    ] = None,
    max_changed: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="Pictures that may get another label than from MODEL: 0.1%, for int8 2%.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the pictures that are drawn.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")] = False,
) -> None:
    """Export a model, and compare it with MODEL on real pictures before it is written."""
    with needing("train"):
        from pawsure.export.formats import check_free, export_int8, format_names

    if to not in format_names():
        raise UsageError(f"There is no format '{to}'. --to takes {', '.join(format_names())}.")
    from pawsure.model.predictor import Predictor

    check_free(out)
    predictor = Predictor(model)
    progress = terminal_progress()
    catalog = _catalog(predictor.path, predictor.metadata, data, progress)
    result = export_int8(
        predictor.path,
        catalog,
        out,
        max_changed=None if max_changed is None else _share(max_changed),
        seed=seed,
        progress=progress,
    )
    if as_json:
        screen.answer_json(result.to_dict())
        return
    _show(result, predictor.path)
    screen.next_command("To use it", "predict", "PICTURES", "--model", result.model)


def _show(result: ExportResult, model_file: Path) -> None:
    from pawsure.export.folder import accuracy_sentence, agreement_sentence

    before = model_file.stat().st_size
    screen.answer(
        f"{result.model}: {result.num_bytes / 1e6:.2f} MB, the model file {before / 1e6:.2f} MB."
    )
    screen.answer(agreement_sentence(result.agreement))
    if result.accuracy:
        screen.answer(accuracy_sentence(result.accuracy))


def _catalog(
    model_file: Path, metadata: ModelMetadata, data: str | None, progress: Progress
) -> Catalog:
    """The pictures of the run, split as it split them."""
    from pawsure.audit.grouping import grouped_catalog
    from pawsure.data.recorded import recorded_catalog
    from pawsure.data.sources import open_source
    from pawsure.data.split import assign_splits

    run_folder = model_file.parent
    named = data or _recorded_data(run_folder)
    if named is None:
        raise DataError(
            f"Nothing beside {model_file} says what it was trained on. Int8 is fitted on training "
            "pictures: say where they are with --data DATA."
        )
    try:
        source = open_source(named, progress=progress)
    except SourceError as exc:
        if data is not None:
            raise
        raise DataError(
            f"{model_file} was trained on '{named}', which can't be opened from here: {exc} "
            "Say where it is with --data DATA."
        ) from exc
    recorded = recorded_catalog(run_folder / "catalog.parquet", source)
    if recorded is not None:
        return recorded
    recipe = tomllib.loads(metadata.recipe)
    catalog = grouped_catalog(source, progress=progress).catalog
    return assign_splits(catalog, seed=recipe.get("seed", 0), **recipe.get("split", {}))


def _recorded_data(run_folder: Path) -> str | None:
    """What metrics.json says that the run was on."""
    try:
        content: dict[str, Any] = json.loads((run_folder / "metrics.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    data = content.get("data")
    return data if isinstance(data, str) else None


def _share(text: str) -> float:
    """A share of one, written as such or with a percent sign."""
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UsageError(f"--max-changed is a share such as 0.5% or 0.005; got '{text}'.")
    return share

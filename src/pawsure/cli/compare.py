"""`pawsure compare`: base models side by side on somebody's own pictures."""

from __future__ import annotations

import os
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pawsure.cli import screen
from pawsure.cli.chatter import without_chatter
from pawsure.cli.labels import LabelsOption
from pawsure.cli.settings import read_setting
from pawsure.errors import UsageError
from pawsure.extras import needing
from pawsure.progress_bars import terminal_progress
from pawsure.wording import count

if TYPE_CHECKING:
    from pawsure.training.compare import Candidate, Comparison

EXAMPLE = "Example: pawsure compare my-folder --backbones mobilenet_v2,mobilenet_050"

TABLE, PLOT = "compare.json", "compare.svg"


class Judged(StrEnum):
    """Which pictures accuracies are measured on."""

    TEST = "test"
    VALIDATION = "validation"


def compare(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Labelled pictures, as for 'pawsure train'.")
    ],
    backbones: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,C", help="Which to try, by name or ONNX file; else all names there are."
        ),
    ] = None,
    fine_tune: Annotated[
        bool, typer.Option("--fine-tune", help="Also run all stages of the recipe with each.")
    ] = False,
    recipe: Annotated[
        str, typer.Option(help="Gives image size, weights and split, and the stages to fine-tune.")
    ] = "default",
    image_size: Annotated[
        int | None, typer.Option(min=1, help="Side of the square that pictures are resized to.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Where they start: imagenet, or none.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Decides the split.")] = None,
    split: Annotated[
        Judged, typer.Option(help="Which pictures accuracies are measured on.")
    ] = Judged.VALIDATION,
    labels: LabelsOption = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="What ONNX files do not say themselves: scaling, output or image_size, as for "
            "'pawsure train'.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder to make for the table and the plot.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")] = False,
) -> None:
    """Compare base models on labelled pictures: accuracy, log loss, training time, speed, size.

    Each base model is run once over the pictures, and the best linear head is put on it. The most
    accurate is recommended, and the fastest that is not significantly worse. Features are kept
    for 'train'.
    """
    given = {"image_size": image_size, "weights": weights, "seed": seed}
    comparison, folder = _compare(
        data,
        recipe,
        {key: value for key, value in given.items() if value is not None},
        out,
        backbones=_names(backbones),
        fine_tune=fine_tune,
        split=split.value,
        labels=None if labels is None else labels.value,
        settings=dict(read_setting(text) for text in settings or []),
    )
    if as_json:
        screen.answer_json({"folder": str(folder), **comparison.to_dict()})
        return
    _show(comparison)
    screen.answer(f"\n{comparison.recommendation()}")
    for one in comparison.skipped:
        is_file = one.backbone.lower().endswith(".onnx")  # what to do is short, and possible
        reason = one.reason if is_file else f"{one.reason.partition('. ')[0].rstrip('.')}."
        screen.note(f"Skipped {one.title}: {reason}")
    screen.note(f"The table and the plot are in {folder}.")
    best = comparison.candidates[0].backbone
    chosen: dict[str, object] = {
        "--recipe": None if recipe == "default" else recipe,
        "--image-size": image_size,
        "--weights": weights,
        "--labels": None if labels is None else labels.value,
    }
    if best.lower().endswith(".onnx"):  # it stays frozen; size and weights come from the file
        chosen |= {"--recipe": "fast", "--image-size": None, "--weights": None}
    elif find_spec("keras") is None and _trains_layers(recipe):
        chosen["--recipe"] = "fast"
    options = [word for pair in chosen.items() if pair[1] is not None for word in pair]
    if best.lower().endswith(".onnx"):
        options += [word for text in settings or [] for word in ("--set", text)]
    screen.next_command("To train the most accurate", "train", data, "--backbone", best, *options)


def _trains_layers(recipe: str) -> bool:
    """Whether more than a head learns, which takes Keras."""
    from pawsure.training.recipe import load_recipe

    return load_recipe(recipe).needs_keras


def _names(text: str | None) -> list[str] | None:
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("--backbones takes names with commas in between, such as mobilenet_v2.")
    return names


def _compare(
    data: str, recipe_name: str, overrides: dict[str, Any], out: Path | None, **options: Any
) -> tuple[Comparison, Path]:
    """Compare, and write what there is to look at."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # read when TensorFlow is loaded
    from pawsure.data.sources import check_data
    from pawsure.training.recipe import load_recipe
    from pawsure.training.run_folder import RunFolder

    recipe = load_recipe(recipe_name, overrides)
    check_data(data)
    RunFolder.check_free(out)
    with needing("train", light="--backbones efficientnet_lite0"):
        from pawsure.training.compare import compare_backbones
        from pawsure.training.compare_plot import comparison_svg

        # Fine-tuning leaves its runs in the folder, so that is made first; else nothing is
        # made before there is something to keep.
        folder = RunFolder.create(out, "compare") if options["fine_tune"] else None
        with without_chatter():
            comparison = compare_backbones(
                data,
                recipe,
                out=folder.path if folder else None,
                progress=terminal_progress(),
                **options,
            )
        folder = folder or RunFolder.create(out, "compare")
        folder.write_json(TABLE, comparison.to_dict())
        folder.write_text(PLOT, comparison_svg(comparison))
    return comparison, folder.path


def _show(comparison: Comparison) -> None:
    """A table for people."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from pawsure.training.compare import SIGNIFICANT

    tuned = any(one.fine_tuned is not None or one.note for one in comparison.candidates)
    table = Table(
        title=f"{count(comparison.num_pictures, 'picture')} (split: {comparison.split}), "
        f"{comparison.num_train:,} learned from, {comparison.image_size} pixels",
        caption="seconds: decoding, features and head, with nothing stored\n"
        "pictures/s: the model file on this machine, without decoding\n"
        "★ none is better at both accuracy and speed\n"
        f"= not significantly worse than the most accurate (p ≥ {SIGNIFICANT})",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("")
    table.add_column("base model")
    if tuned:
        table.add_column("linear head", justify="right")
    table.add_column("fine-tuned" if tuned else "accuracy", justify="right")
    table.add_column("95% interval", justify="right")
    table.add_column("")
    table.add_column("log loss", justify="right")
    table.add_column("seconds", justify="right")
    table.add_column("pictures/s", justify="right")
    table.add_column("MB", justify="right")
    for one in comparison.candidates:
        is_equal = comparison.p_value(one) >= SIGNIFICANT
        table.add_row(*_row(one, tuned, is_equal, comparison.image_size))
    # Piped, a table is as wide as it needs to be; a terminal says how wide it is.
    console = Console(width=None if _is_terminal() else 120)
    console.print(table)
    for one in comparison.candidates:
        if one.note:
            screen.note(f"{one.title} was not fine-tuned: {one.note}")


def _row(one: Candidate, tuned: bool, is_equal: bool, size_px: int) -> list[str]:
    own_size = f" ({one.size_px} pixels)" if one.size_px not in (0, size_px) else ""
    is_tuned, interval = one.fine_tuned is not None, one.best_interval
    seconds = one.seconds + (one.fine_tuned_seconds or 0.0)
    return [
        "★" if one.is_unbeaten else "",
        one.backbone + own_size,
        *([f"{one.accuracy:.1%}"] if tuned else []),
        "–" if tuned and not is_tuned else f"{one.best_accuracy:.1%}",
        "–" if tuned and not is_tuned else f"{interval.low:.1%} – {interval.high:.1%}",
        "=" if is_equal else "",
        f"{one.best_log_loss:.3f}",
        f"{seconds:,.0f}" if seconds >= 10 else f"{seconds:.1f}",
        f"{one.pictures_per_s:,.0f}",
        f"{one.size_mb:.1f}",
    ]


def _is_terminal() -> bool:
    import sys

    return sys.stdout.isatty()

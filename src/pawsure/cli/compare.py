"""`pawsure compare`: backbones side by side on labelled pictures."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pawsure.cli import screen
from pawsure.cli.chatter import without_chatter
from pawsure.cli.options import (
    BackboneSettingsOption,
    DataArgument,
    ImageSizeOption,
    JsonOption,
    LabelsOption,
    as_words,
    read_setting,
)
from pawsure.errors import UsageError
from pawsure.extras import needing
from pawsure.progress_bars import is_terminal, terminal_progress
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
    data: DataArgument,
    backbones: Annotated[
        str | None,
        typer.Option(metavar="A,B,C", help="Names and ONNX files to compare (default: all names)."),
    ] = None,
    fine_tune: Annotated[
        bool, typer.Option("--fine-tune", help="Also run all stages of the recipe with each.")
    ] = False,
    recipe: Annotated[
        str, typer.Option(help="Gives image size, weights, split, and the stages to fine-tune.")
    ] = "default",
    image_size: ImageSizeOption = None,
    weights: Annotated[str | None, typer.Option(help="Initial weights: imagenet, or none.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the split.")] = None,
    split: Annotated[
        Judged, typer.Option(help="Which pictures accuracies are measured on.")
    ] = Judged.VALIDATION,
    labels: LabelsOption = None,
    settings: BackboneSettingsOption = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder to create for the table and the plot.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare backbones on labelled pictures: accuracy, log loss, training time, speed, size.

    A linear probe is fitted on each backbone. The most accurate is recommended, and the fastest
    that is not significantly worse. 'train' reuses the features.
    """
    given = {"image_size": image_size, "weights": weights, "seed": seed}
    comparison, folder = _compare(
        data,
        recipe,
        {key: value for key, value in given.items() if value is not None},
        out,
        backbones=_names(backbones),
        fine_tune=fine_tune,
        split=split,
        labels=labels,
        settings=dict(map(read_setting, settings or [])),
    )
    if as_json:
        screen.answer_json({"folder": str(folder), **comparison.to_dict()})
        return
    _show(comparison)
    screen.answer(f"\n{comparison.recommendation()}")
    for one in comparison.skipped:
        # The whole reason only where it is short and can be mended at once.
        reason = one.reason if _is_onnx(one.backbone) else f"{one.reason.partition('. ')[0]}."
        screen.note(f"Skipped {one.title}: {reason}")
    screen.note(f"The table and the plot are in {folder}.")
    best = comparison.candidates[0].backbone
    options = {"--recipe": None if recipe == "default" else recipe, "--labels": labels}
    words: list[object] = []
    if _is_onnx(best):  # it stays frozen; size and weights come from the file
        options["--recipe"] = "fast"
        words = [word for text in settings or [] for word in ("--set", text)]
    else:
        if find_spec("keras") is None and _trains_layers(recipe):
            options["--recipe"] = "fast"
        words = as_words({"--image-size": image_size, "--weights": weights})
    words = [*as_words(options), *words]
    screen.next_command("To train the most accurate", "train", data, "--backbone", best, *words)


def _is_onnx(backbone: str) -> bool:
    return backbone.lower().endswith(".onnx")


def _trains_layers(recipe: str) -> bool:
    """Whether more than a head is trained, which takes Keras."""
    from pawsure.training.recipe import load_recipe

    return load_recipe(recipe).needs_keras


def _names(text: str | None) -> list[str] | None:
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("--backbones takes names separated by commas, such as mobilenet_v2.")
    return names


def _compare(
    data: str, recipe_name: str, overrides: dict[str, Any], out: Path | None, **options: Any
) -> tuple[Comparison, Path]:
    """Compare, and write the table and the plot."""
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

        # Fine-tuning keeps its runs in the folder; else it is created with the results.
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

    from pawsure.evaluation.headline import LEAST_TEST_PICTURES
    from pawsure.training.compare import SIGNIFICANT

    few = f"Fewer than {LEAST_TEST_PICTURES} pictures: too few to rank models by accuracy.\n"
    tuned = any(one.fine_tuned is not None or one.note for one in comparison.candidates)
    table = Table(
        title=f"{count(comparison.num_pictures, 'picture')} (split: {comparison.split}), "
        f"{comparison.num_train:,} for training, {comparison.image_size} pixels",
        caption=(few if comparison.num_pictures < LEAST_TEST_PICTURES else "")
        + "seconds: decoding, features and head, with nothing stored\n"
        "pictures/s: the model file on this machine, without decoding\n"
        "★ no other is both more accurate and faster\n"
        f"= not significantly worse than the most accurate (p ≥ {SIGNIFICANT})",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("")
    table.add_column("backbone")
    if tuned:
        table.add_column("linear probe", justify="right")
    table.add_column("fine-tuned" if tuned else "accuracy", justify="right")
    table.add_column("95% CI", justify="right")
    table.add_column("")
    table.add_column("log loss", justify="right")
    table.add_column("seconds", justify="right")
    table.add_column("pictures/s", justify="right")
    table.add_column("MB", justify="right")
    for one in comparison.candidates:
        is_equal = comparison.p_value(one) >= SIGNIFICANT
        table.add_row(*_row(one, tuned, is_equal, comparison.image_size))
    # In a pipe a table is as wide as it needs to be.
    Console(width=None if is_terminal(sys.stdout) else 120).print(table)
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

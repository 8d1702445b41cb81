"""`pawsure evaluate`: how good a model file is on labelled pictures."""

from __future__ import annotations

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pawsure.cli import screen
from pawsure.cli.exit_codes import ExitCode
from pawsure.cli.labels import LabelsOption, Level
from pawsure.wording import count, printable

if TYPE_CHECKING:
    import numpy as np

    from pawsure.data.catalog import Catalog
    from pawsure.model.metadata import ModelMetadata
    from pawsure.model.predictor import Predictor
    from pawsure.progress import Progress

EXAMPLE = "Example: pawsure evaluate runs/mine/model.onnx my-folder"


class Split(StrEnum):
    """Which pictures of the data to measure on."""

    TEST = "test"
    VALIDATION = "validation"
    TRAIN = "train"
    ALL = "all"


def evaluate(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A model file, or the run folder that holds it.")
    ],
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Labelled pictures, as for 'pawsure train'.")
    ],
    split: Annotated[
        Split, typer.Option(help="Which of them; 'all' suits pictures kept apart from training.")
    ] = Split.TEST,
    against: Annotated[
        Path | None,
        typer.Option(metavar="MODEL", help="Another model, to compare with on the same pictures."),
    ] = None,
    labels: LabelsOption = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PATH",
            help="More labelled pictures, from elsewhere; figures are shown side by side. May be "
            "given several times. A column 'source' of a manifest does the same.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")] = False,
) -> None:
    """Measure a model on labelled pictures, with 95% intervals.

    The split is drawn as in training, so that the test pictures of the same data are those
    that training never saw.
    """
    from pawsure.cli.sources import (
        column_of_sources,
        measure_sources,
        named_sources,
        show_sources,
    )
    from pawsure.data.sources import check_data
    from pawsure.evaluation.evaluate import evaluate as evaluate_split
    from pawsure.evaluation.sources import KEPT
    from pawsure.model.predictor import Predictor
    from pawsure.progress_bars import terminal_progress

    check_data(data)
    sources = named_sources(source or [], data)
    predictor = Predictor(model)
    other = None if against is None else Predictor(against)
    progress = terminal_progress()
    catalog = _catalog(data, labels, split, predictor.metadata, progress)
    seen = _seen(predictor, catalog)
    figures = evaluate_split(
        predictor,
        catalog,
        split=None if split is Split.ALL else split.value,
        against=other,
        seen=seen,
        against_seen=None if other is None else _seen(other, catalog),
        source=column_of_sources(catalog),
        progress=progress,
    )
    if sources:
        own = figures["sources"] or {Path(data).stem: {name: figures[name] for name in KEPT}}
        figures["sources"] = own | measure_sources(predictor, sources, progress)
    if as_json:
        screen.answer_json(figures | {"split": split.value})
    else:
        _show_all(figures, split)
        if figures["sources"]:
            show_sources(figures["sources"])
        if against is not None:
            _show_comparison(figures["against"], against)
        _tell_unreadable(figures["unreadable"])
        if split is Split.TEST and seen is not None and not seen.any():
            screen.note(
                "The model has seen none of these data. To measure on all of them: --split all"
            )
        screen.next_command("To use it", "predict", "PICTURES", "--model", model)
    if figures["unreadable"]:
        raise typer.Exit(ExitCode.SOME_PICTURES)


def _catalog(
    data: str,
    labels: Level | None,
    split: Split,
    metadata: ModelMetadata,
    progress: Progress,
) -> Catalog:
    """The pictures, split as the run that made the model would have split them."""
    from pawsure.copies.grouping import grouped_catalog
    from pawsure.data.sources import open_source
    from pawsure.data.split import assign_splits

    level = None if labels is None else labels.value
    source = open_source(data, labels=level, progress=progress)
    catalog = grouped_catalog(source, for_training=False, progress=progress).catalog
    if split is Split.ALL:
        return catalog
    recipe = tomllib.loads(metadata.recipe)
    return assign_splits(catalog, seed=recipe.get("seed", 0), **recipe.get("split", {}))


def _seen(predictor: Predictor, catalog: Catalog) -> np.ndarray | None:
    """Which pictures the model was made from, by the run's catalog beside it; None: not known."""
    from pawsure.data.saved_catalog import load_splits, seen_pictures

    file = predictor.path.parent / "catalog.parquet"
    splits = load_splits(file, predictor.metadata.data_fingerprint)
    return None if splits is None else seen_pictures(catalog, splits)


def _show_all(figures: dict[str, Any], split: Split) -> None:
    """The figures, those on pictures that the model has not seen first."""
    seen, unseen = figures["seen"], figures["unseen"]
    what = f"{_pictures(figures['n'])} (split: {split.value})"
    if seen is None:
        screen.note(
            "There is no catalog of the run beside the model file: whether the model was trained "
            "on these pictures can't be checked."
        )
    elif any(seen.values()):
        screen.answer(_seen_words(seen, figures["n"]))
    if unseen is None:
        _show(figures, what)
        return
    _show(unseen, f"{_pictures(unseen['n'])} that the model has not seen")
    screen.answer(
        f"On all {what}, seen ones included: accuracy {_with_interval(figures['accuracy'], '.1%')}"
    )


def _seen_words(seen: dict[str, int], n: int) -> str:
    """A warning: how many pictures the model was made from."""
    train, validation = seen["train"], seen["validation"]
    parts = [
        f"was trained on {train:,} of these {_pictures(n)} or on copies of them" if train else "",
        f"was selected and calibrated by {validation:,}"
        + ("" if train else f" of these {_pictures(n)} or by copies of them")
        if validation
        else "",
    ]
    return f"Warning: the model {', and '.join(filter(None, parts))}. Figures on them are too good."


def _pictures(number: int) -> str:
    return count(number, "picture")


def _show(figures: dict[str, Any], what: str) -> None:
    """A table for people."""
    from pawsure.evaluation.headline import LEAST_TEST_PICTURES

    screen.answer(f"{what}, 95% intervals in brackets")
    if figures["n"] < LEAST_TEST_PICTURES:
        screen.answer(f"  Fewer than {LEAST_TEST_PICTURES} pictures: too few for precise figures.")
    for name, title, form in (
        ("accuracy", "accuracy", ".1%"),
        ("log_loss", "log loss", ".3f"),
        ("brier_score", "Brier score", ".3f"),
        ("calibration_error", "calibration error", ".1%"),
    ):
        chance = figures[name].get("by_chance")
        expected = "" if chance is None else f"; {chance:{form}} if it were calibrated"
        screen.answer(f"  {title:<18}{_with_interval(figures[name], form)}{expected}")
    _show_answers(figures["answers"])
    screen.answer("Of the pictures of each label, found (recall):")
    width = max(map(len, figures["labels"]))
    for label, own in figures["per_class"].items():
        found = _with_interval(own["recall"], ".1%") if own["recall"] else "no pictures"
        screen.answer(f"  {label:<{width}}  {found}  of {own['n']:,}{_mistaken(figures, label)}")


def _show_answers(answers: dict[str, Any]) -> None:
    """What the model's own thresholds make of the pictures."""
    if answers["answered"]["value"] < 1:
        for name, title in (
            ("answered", "answered"),
            ("unsure", "unsure"),
            ("neither", "neither"),
        ):
            screen.answer(f"  {title:<18}{_with_interval(answers[name], '.1%')}")
        if answers["error"] is not None:
            screen.answer(f"  {'wrong if answered':<18}{_with_interval(answers['error'], '.2%')}")


def _show_comparison(found: dict[str, Any], against: Path) -> None:
    """Which of two models is better, if that can be told."""
    accuracy, gain, loss = (
        found[name] for name in ("accuracy", "difference", "log_loss_difference")
    )
    verdict = "no more than noise" if found["p_value"] >= 0.05 else "beyond noise"
    screen.answer(
        f"Against {printable(str(against))}, on the same pictures "
        f"(its accuracy: {_with_interval(accuracy, '.1%')}):"
    )
    screen.answer(
        f"  accuracy          {gain['value']:+.1%} [{gain['low']:+.1%}, {gain['high']:+.1%}], "
        f"{verdict}: {found['only_this']:,} right only here, {found['only_other']:,} only there "
        f"(McNemar p = {found['p_value']:.2g})"
    )
    screen.answer(f"  log loss          {_with_interval(loss, '+.3f')}")
    seen, unseen = found["seen"], found["unseen"]
    if seen and any(seen.values()):
        screen.answer(
            f"  Warning: it was trained on {seen['train']:,} of these pictures, and selected and "
            f"calibrated by {seen['validation']:,}."
        )
    if unseen:
        gain = unseen["difference"]
        screen.answer(
            f"  On {_pictures(unseen['n'])} that neither has seen: accuracy {gain['value']:+.1%} "
            f"[{gain['low']:+.1%}, {gain['high']:+.1%}] (McNemar p = {unseen['p_value']:.2g})"
        )


def _with_interval(figure: dict[str, float], form: str) -> str:
    return f"{figure['value']:{form}} [{figure['low']:{form}}, {figure['high']:{form}}]"


def _mistaken(figures: dict[str, Any], label: str) -> str:
    """What pictures of a label were taken for, most often first."""
    labels = figures["labels"]
    row = figures["confusion_matrix"][labels.index(label)]
    others = sorted(
        ((count, other) for other, count in zip(labels, row, strict=True) if other != label),
        reverse=True,
    )
    wrong = [f"{count:,} as {other}" for count, other in others[:3] if count]
    return f"; taken {', '.join(wrong)}" if wrong else ""


def _tell_unreadable(unreadable: list[dict[str, str]]) -> None:
    for picture in unreadable[:20]:
        screen.note(f"{printable(picture['path'])}: {picture['error']}")
    if len(unreadable) > 20:
        screen.note(f"… and {len(unreadable) - 20:,} more that could not be read; --json has all.")

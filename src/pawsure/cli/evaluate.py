"""`pawsure evaluate`: how good a model file is on labelled pictures."""

from __future__ import annotations

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pawsure.cli import screen
from pawsure.cli.exit_codes import ExitCode
from pawsure.cli.options import DataArgument, JsonOption, LabelsOption, Level, ModelArgument
from pawsure.wording import count, printable

if TYPE_CHECKING:
    import numpy as np

    from pawsure.data.catalog import Catalog
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
    model: ModelArgument,
    data: DataArgument,
    split: Annotated[
        Split | None,
        typer.Option(
            help="Which of them (default: test for the model's own data and data with a test "
            "split, all for others)."
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(metavar="MODEL", help="Another model, to compare on the same pictures."),
    ] = None,
    labels: LabelsOption = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PATH",
            help="More labelled pictures, from another source; figures are shown side by side. "
            "Repeatable. A manifest may have a column 'source' instead.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a model on labelled pictures, with 95% confidence intervals.

    The split is drawn as in training, so the test pictures of the model's own data are those
    that were held out.
    """
    from pawsure.cli.sources import column_of_sources, measure_sources, named_sources, show_sources
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
    grouped = _grouped(data, labels, progress)
    catalog, seen = _split(grouped, predictor)
    is_elsewhere = split is None and not ("test" in grouped.split or _has_seen(seen))
    split = split or (Split.ALL if is_elsewhere else Split.TEST)
    figures = evaluate_split(
        predictor,
        catalog,
        split=None if split is Split.ALL else split,
        against=other,
        seen=seen,
        against_seen=None if other is None else _split(grouped, other)[1],
        source=column_of_sources(catalog),
        progress=progress,
    )
    if sources:
        own = figures["sources"] or {Path(data).stem: {name: figures[name] for name in KEPT}}
        figures["sources"] = own | measure_sources(predictor, sources, progress)
    if as_json:
        screen.answer_json(figures | {"split": split})
    else:
        if is_elsewhere:
            unknown = "; copies of its training pictures can't be detected" if seen is None else ""
            screen.note(f"The model was trained on other data: measured on all pictures{unknown}.")
        elif seen is None:
            screen.note(
                "No catalog of the run beside the model file: can't check whether the model was "
                "trained on these pictures."
            )
        _show_all(figures, split)
        if figures["sources"]:
            show_sources(figures["sources"])
        if against is not None:
            _show_comparison(figures["against"], against)
        _show_unreadable(figures["unreadable"])
        screen.next_command("To use it", "predict", "PICTURES", "--model", model)
    if figures["unreadable"]:
        raise typer.Exit(ExitCode.SOME_PICTURES)


def _grouped(data: str, labels: Level | None, progress: Progress) -> Catalog:
    """The pictures with their copies grouped, and the splits that the data give."""
    from pawsure.copies.grouping import grouped_catalog
    from pawsure.data.sources import open_source

    source = open_source(data, labels=labels, progress=progress)
    return grouped_catalog(source, for_training=False, progress=progress).catalog


def _split(catalog: Catalog, predictor: Predictor) -> tuple[Catalog, np.ndarray | None]:
    """The pictures, split as the run that made a model would, and which of them it has seen.

    Seen is "train", "validation" or "" for each picture, by the run's catalog beside the model
    file, or because these are the data that the file names; None: not known.
    """
    from pawsure.data.saved_catalog import load_splits, seen_pictures
    from pawsure.data.split import assign_splits

    recipe = tomllib.loads(predictor.metadata.recipe)
    drawn = assign_splits(catalog, seed=recipe.get("seed", 0), **recipe.get("split", {}))
    trained_on = predictor.metadata.data_fingerprint
    splits = load_splits(predictor.path.parent / "catalog.parquet", trained_on)
    if splits is None and drawn.fingerprint == trained_on:
        splits = {drawn.content[row]: drawn.split[row] for row in drawn.where()}
    return drawn, None if splits is None else seen_pictures(drawn, splits)


def _has_seen(seen: np.ndarray | None) -> bool:
    return seen is not None and bool((seen != "").any())


def _show_all(figures: dict[str, Any], split: Split) -> None:
    """The figures, those on unseen pictures first."""
    seen, unseen = figures["seen"], figures["unseen"]
    what = f"{_pictures(figures['n'])} (split: {split})"
    if seen and any(seen.values()):
        screen.answer(_seen_words(seen, figures["n"]))
    if unseen is None:
        _show(figures, what)
        return
    _show(unseen, f"{_pictures(unseen['n'])} that the model has not seen")
    screen.answer(
        f"On all {what}, seen ones included: accuracy {_with_interval(figures['accuracy'], '.1%')}"
    )


def _seen_words(seen: dict[str, int], n: int) -> str:
    """A warning: how many pictures the model has seen."""
    train, validation = seen["train"], seen["validation"]
    of = f" of these {_pictures(n)} or their copies"
    parts = [f"trained on {train:,}{of}"] if train else []
    if validation:
        parts.append(f"selected and calibrated on {validation:,}{'' if train else of}")
    return f"Warning: the model was {' and '.join(parts)}. Figures on them are too good."


def _pictures(number: int) -> str:
    return count(number, "picture")


def _show(figures: dict[str, Any], what: str) -> None:
    """A table for people."""
    from pawsure.evaluation.headline import LEAST_TEST_PICTURES

    screen.answer(f"{what}, 95% confidence intervals in brackets")
    if figures["n"] < LEAST_TEST_PICTURES:
        screen.answer(f"  Fewer than {LEAST_TEST_PICTURES} pictures: the figures are imprecise.")
    for name, title, form in (
        ("accuracy", "accuracy", ".1%"),
        ("log_loss", "log loss", ".3f"),
        ("brier_score", "Brier score", ".3f"),
        ("calibration_error", "calibration error", ".1%"),
    ):
        chance = figures[name].get("by_chance")
        expected = "" if chance is None else f" ({chance:{form}} expected by chance if calibrated)"
        screen.answer(f"  {title:<18}{_with_interval(figures[name], form)}{expected}")
    answers = figures["answers"]
    if answers["answered"]["value"] < 1:
        for name in ("answered", "unsure", "neither"):
            screen.answer(f"  {name:<18}{_with_interval(answers[name], '.1%')}")
        if answers["error"] is not None:
            screen.answer(f"  {'error if answered':<18}{_with_interval(answers['error'], '.2%')}")
    screen.answer("Recall by label:")
    width = max(map(len, figures["labels"]))
    for label, own in figures["per_class"].items():
        recall = _with_interval(own["recall"], ".1%") if own["recall"] else "no pictures"
        screen.answer(f"  {label:<{width}}  {recall}  of {own['n']:,}{_mistaken(figures, label)}")


def _show_comparison(result: dict[str, Any], against: Path) -> None:
    """Which of two models is better, if the pictures can tell."""
    gain, loss = result["difference"], result["log_loss_difference"]
    significant = "significant" if result["p_value"] < 0.05 else "not significant"
    screen.answer(
        f"Compared with {printable(str(against))} on the same pictures (its accuracy: "
        f"{_with_interval(result['accuracy'], '.1%')}):"
    )
    screen.answer(
        f"  accuracy          {_with_interval(gain, '+.1%')}, {significant} (McNemar p = "
        f"{result['p_value']:.2g}). Only this model right: {result['only_this']:,}; only the "
        f"other: {result['only_other']:,}."
    )
    screen.answer(f"  log loss          {_with_interval(loss, '+.3f')}")
    seen, unseen = result["seen"], result["unseen"]
    if seen and any(seen.values()):
        screen.answer(
            f"  Warning: the other was trained on {seen['train']:,} of these pictures, and "
            f"selected and calibrated on {seen['validation']:,}."
        )
    if unseen:
        screen.answer(
            f"  On {_pictures(unseen['n'])} that neither has seen: accuracy "
            f"{_with_interval(unseen['difference'], '+.1%')} (McNemar p = "
            f"{unseen['p_value']:.2g})"
        )


def _with_interval(figure: dict[str, float], form: str) -> str:
    return f"{figure['value']:{form}} [{figure['low']:{form}}, {figure['high']:{form}}]"


def _mistaken(figures: dict[str, Any], label: str) -> str:
    """What else pictures of a label were predicted as, most frequent first."""
    labels = figures["labels"]
    row = figures["confusion_matrix"][labels.index(label)]
    others = sorted(
        ((number, other) for other, number in zip(labels, row, strict=True) if other != label),
        reverse=True,
    )
    wrong = [f"{number:,} as {other}" for number, other in others[:3] if number]
    return f"; predicted {', '.join(wrong)}" if wrong else ""


def _show_unreadable(unreadable: list[dict[str, str]]) -> None:
    for picture in unreadable[:20]:
        screen.note(f"{printable(picture['path'])}: {picture['error']}")
    if len(unreadable) > 20:
        screen.note(f"… and {len(unreadable) - 20:,} more could not be read; --json lists all.")

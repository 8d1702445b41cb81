"""How a model fares on pictures from elsewhere: accuracy and share without a label, by source.

    python benchmarks/elsewhere.py MODEL DATA... [--others DIR]... [--check pets|pets-small|run]
                                   [--json OUT.json]

MODEL is a model file, a run folder or the name of a built-in model. Each DATA is NAME=PATH or a
PATH: labelled pictures of one source, all of which are measured (a manifest with a column `split`
is measured on its test split). Each --others DIR holds pictures outside the labels, in a folder
for each kind; kinds whose names begin with near_ resemble a label and are counted apart. --check
holds the figures to bars and exits with 1 where one is missed. All figures come from the file
itself, through the public predictor.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pawsure.data.catalog import build_catalog
from pawsure.data.images import read_file
from pawsure.data.sources import list_pictures
from pawsure.evaluation.evaluate import predict
from pawsure.evaluation.measure import measure, share_figure
from pawsure.model.predictor import Predictor
from pawsure.trust.rule import LABEL


@dataclass(frozen=True, kw_only=True)
class Bars:
    """What is asked of a model; shares in [0, 1].

    Attributes:
        accuracy: at least, of each source.
        press: at least, of the source of that name, where a few pictures show both or neither.
        without_label: at most, of the pictures of each source.
        others: at most, of other pictures called a label.
        near: at most, of those that resemble a label.
        calibration_error: at most, by source, beyond what chance alone would show.
        error: at most, of the answered pictures of each source.
    """

    accuracy: float
    press: float
    without_label: float
    others: float
    near: float
    calibration_error: float
    error: float


BARS = {
    "pets": Bars(
        accuracy=0.993,
        press=0.985,
        without_label=0.03,
        others=0.025,
        near=0.25,
        calibration_error=0.01,
        error=0.01,
    ),
    "pets-small": Bars(
        accuracy=0.975,
        press=0.965,
        without_label=0.05,
        others=0.04,
        near=0.35,
        calibration_error=0.02,
        error=0.015,
    ),
    # Any run of `default` on 3,000 photographs: twice the error shares of "pets".
    "run": Bars(
        accuracy=0.986,
        press=0.97,
        without_label=0.06,
        others=0.05,
        near=0.5,
        calibration_error=0.02,
        error=0.02,
    ),
}


def main() -> None:
    """Measure, print, and check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("data", nargs="*", metavar="[NAME=]PATH")
    parser.add_argument("--others", action="append", default=[], metavar="DIR")
    parser.add_argument("--check", choices=sorted(BARS))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    figures = elsewhere(Predictor(given.model), given.data, given.others)
    print_table(figures)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")
    if given.check:
        missed = missed_bars(figures, BARS[given.check])
        print("\n".join(missed) or f"All bars of '{given.check}' are met.")
        sys.exit(bool(missed))


def elsewhere(predictor: Predictor, data: list[str], others: list[str]) -> dict[str, Any]:
    """Every figure, JSON-ready: "sources" by name, and "others", null where none were given."""
    sources = dict(named(each) for each in data)
    found = [of_others(predictor, Path(folder)) for folder in others]
    return {
        "sources": {name: of_source(predictor, path) for name, path in sources.items()},
        "others": {
            group: share_figure(sum(each[group][0] for each in found), n)
            for group in ("far", "near")
            if (n := sum(each[group][1] for each in found))
        },
    }


def named(given: str) -> tuple[str, str]:
    """NAME=PATH, or a path that is called by its last part."""
    name, equals, path = given.partition("=")
    return (name, path) if equals and "/" not in name else (Path(given).stem, given)


def of_source(predictor: Predictor, path: str) -> dict[str, Any]:
    """Figures of labelled pictures."""
    catalog = build_catalog(path)
    split = "test" if len(catalog.where("test")) else None
    found = predict(predictor, catalog, split=split)
    figures = measure(found.probability, found.label, predictor.labels, outcome=found.outcome)
    wrong = found.probability.argmax(axis=1) != found.label
    return {
        key: figures[key] for key in ("n", "accuracy", "log_loss", "calibration_error", "answers")
    } | {"wrong": [str(catalog.path[row]) for row in found.indices[wrong]]}


def of_others(predictor: Predictor, folder: Path) -> dict[str, tuple[int, int]]:
    """How many other pictures get a label, and how many there are, "far" and "near" ones."""
    paths = list_pictures([folder])
    batches = list(
        predictor.predict_series(lambda row: read_file(str(paths[row])), np.arange(len(paths)))
    )
    rows = np.concatenate([batch.indices for batch in batches])
    outcome = np.concatenate(
        [
            predictor.outcomes(batch.outputs.probability, batch.outputs.familiarity)
            for batch in batches
        ]
    )
    near = np.array([paths[row].parent.name.startswith("near_") for row in rows])
    labelled = outcome == LABEL
    return {
        "far": (int(labelled[~near].sum()), int((~near).sum())),
        "near": (int(labelled[near].sum()), int(near.sum())),
    }


def print_table(figures: dict[str, Any]) -> None:
    """As docs/trust.md has it."""
    print("| source | n | accuracy | no label | wrong if answered | log loss | calibration error |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, found in figures["sources"].items():
        answers = found["answers"]
        error = answers["error"]
        print(
            f"| {name} | {found['n']:,} | {found['accuracy']['value']:.1%} "
            f"| {1 - answers['answered']['value']:.1%} ({answers['neither']['value']:.1%} neither) "
            f"| {'' if error is None else format(error['value'], '.2%')} "
            f"| {found['log_loss']['value']:.3f} "
            f"| {found['calibration_error']['value']:.1%} "
            f"({found['calibration_error']['by_chance']:.1%} by chance) |"
        )
    for group, found in figures["others"].items():
        print(
            f"Other pictures called a label, {group}: {found['value']:.1%} "
            f"[{found['low']:.1%}, {found['high']:.1%}]"
        )


def missed_bars(figures: dict[str, Any], bars: Bars) -> list[str]:
    """A line for each bar that is missed."""
    missed = []

    def check(what: str, value: float, least: float | None, most: float | None) -> None:
        if (least is not None and value < least) or (most is not None and value > most):
            bar = f"at least {least:.1%}" if least is not None else f"at most {most:.1%}"
            missed.append(f"{what}: {value:.2%}, asked for {bar}")

    for name, found in figures["sources"].items():
        answers, error = found["answers"], found["calibration_error"]
        least = bars.press if name == "press" else bars.accuracy
        check(f"{name}, accuracy", found["accuracy"]["value"], least, None)
        check(f"{name}, no label", 1 - answers["answered"]["value"], None, bars.without_label)
        beyond = max(0.0, error["value"] - error["by_chance"])
        check(f"{name}, calibration error", beyond, None, bars.calibration_error)
        if answers["error"]:
            check(f"{name}, wrong if answered", answers["error"]["value"], None, bars.error)
    for group, most in (("far", bars.others), ("near", bars.near)):
        if group in figures["others"]:
            check(f"others, {group}", figures["others"][group]["value"], None, most)
    return missed


if __name__ == "__main__":
    main()

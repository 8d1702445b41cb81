"""`--source` of `pawsure evaluate`: labelled pictures from elsewhere, side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import typer

from pawsure.cli import screen
from pawsure.data.catalog import Catalog, build_catalog
from pawsure.evaluation.evaluate import predict
from pawsure.evaluation.sources import compare_sources, source_figures
from pawsure.model.predictor import Predictor
from pawsure.progress import Progress
from pawsure.wording import printable


def named_sources(given: list[str], data: str) -> dict[str, str]:
    """Paths by name, in the order given.

    Raises:
        typer.BadParameter: one is not NAME=PATH, or a name comes twice.
    """
    sources: dict[str, str] = {}
    for each in given:
        name, _, path = (part.strip() for part in each.partition("="))
        if not (name and path):
            raise typer.BadParameter(
                f"'{each}' is not NAME=PATH. Write --source web=PATH for labelled pictures from "
                f"another source; to tell apart pictures of {data}, list them in a manifest with "
                "a column 'source'.",
                param_hint="--source",
            )
        if name in sources:
            raise typer.BadParameter(f"'{name}' is named twice.", param_hint="--source")
        sources[name] = path
    return sources


def column_of_sources(catalog: Catalog) -> np.ndarray | None:
    """The column `source` of a manifest, object (N,) of str; None if there is none."""
    named: dict[str, str] = getattr(catalog.source, "source_of", {})
    if not named:
        return None
    return np.array([named.get(path, "") for path in catalog.path], dtype=object)


def measure_sources(
    predictor: Predictor, sources: dict[str, str], progress: Progress
) -> dict[str, dict[str, Any]]:
    """Figures of each source, on all its pictures."""
    return {
        name: source_figures(
            predict(
                predictor, build_catalog(path, progress=progress), split=None, progress=progress
            ),
            predictor.labels,
        )
        for name, path in sources.items()
    }


def show_sources(sources: dict[str, dict[str, Any]]) -> None:
    """A table, and which differences are significant."""
    screen.answer("By source, 95% confidence intervals in brackets:")
    width = max(len("source"), *(len(printable(name)) for name in sources))
    columns = ("pictures", "accuracy", "no label", "error if answered")
    screen.answer(
        f"  {'source':<{width}}  {columns[0]:>8}  "
        + "  ".join(f"{column:<22}" for column in columns[1:]).rstrip()
    )
    for name, figures in sources.items():
        n, answered = figures["n"], figures["answers"]["answered"]
        unlabelled = {
            "value": 1 - answered["value"],
            "low": 1 - answered["high"],
            "high": 1 - answered["low"],
        }
        cells = (figures["accuracy"], unlabelled, figures["answers"]["error"])
        screen.answer(
            f"  {printable(name):<{width}}  {n:>8,}  "
            + "  ".join(f"{_cell(cell):<22}" for cell in cells).rstrip()
        )
    for sentence in compare_sources(sources):
        screen.answer(sentence)


def _cell(figure: dict[str, float] | None) -> str:
    if figure is None:
        return "–"
    return f"{figure['value']:.1%} [{figure['low']:.1%}, {figure['high']:.1%}]"

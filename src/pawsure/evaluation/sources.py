"""Figures by source: whether a model holds on pictures from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from pawsure.evaluation.intervals import newcombe
from pawsure.evaluation.measure import Predictions, measure

LEVEL = 0.95

KEPT = ("n", "accuracy", "log_loss", "brier_score", "calibration_error", "answers", "per_class")
"""Figures of a source."""

NO_SOURCE = "(no source)"
"""What pictures are filed under for which a manifest names none."""


def source_figures(found: Predictions, labels: Sequence[str], *, seed: int = 0) -> dict[str, Any]:
    """Figures of the pictures of one source, JSON-ready.

    Args:
        found: what a predictor said of them.
        labels: of the predictor.
        seed: of the bootstrap.

    Returns:
        Those of `measure` that `KEPT` names.
    """
    figures = measure(found.probability, found.label, labels, outcome=found.outcome, seed=seed)
    return {name: figures[name] for name in KEPT}


def by_source(
    found: Predictions, source: np.ndarray, labels: Sequence[str], *, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Figures of each source among some pictures.

    Args:
        found: what a predictor said of them.
        source: object (rows of the catalog,) of str.
        labels: of the predictor.
        seed: of the bootstrap.
    """
    names = np.array([source[row] or NO_SOURCE for row in found.indices], dtype=object)
    return {
        name: source_figures(found.at(names == name), labels, seed=seed)
        for name in sorted(set(names.tolist()))
    }


def compare_sources(sources: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Sentences on sources that are significantly worse than another one.

    Of each measure the pair that differs most is named. The intervals are corrected for the
    number of pairs (Bonferroni).

    Args:
        sources: `source_figures` by name.
    """
    pairs = list(combinations(sources, 2))
    if not pairs:
        return []
    level = 1 - (1 - LEVEL) / len(pairs) / len(_MEASURES)
    sentences = []
    for measure_of, words in _MEASURES:
        worst: tuple[float, str] | None = None
        for pair in pairs:
            counts = {name: measure_of(sources[name]) for name in pair}
            worse, better = sorted(pair, key=lambda name: -_share(counts[name]))
            if not counts[worse][1] or not counts[better][1]:
                continue
            gap = _share(counts[worse]) - _share(counts[better])
            interval = newcombe(*counts[worse], *counts[better], level=level)
            if interval.low > 0 and (worst is None or gap > worst[0]):
                shares = (_share(counts[worse]), _share(counts[better]))
                worst = gap, words.format(worse, *shares, better)
        if worst is not None:
            sentences.append(worst[1])
    return sentences or ["No significant differences between the sources."]


def _share(count: tuple[int, int]) -> float:
    return count[0] / max(count[1], 1)


def _wrong(figures: Mapping[str, Any]) -> tuple[int, int]:
    n = int(figures["n"])
    return n - round(figures["accuracy"]["value"] * n), n


def _unlabelled(figures: Mapping[str, Any]) -> tuple[int, int]:
    n = int(figures["n"])
    return n - int(figures["answers"]["answered"]["n"]), n


def _wrong_answers(figures: Mapping[str, Any]) -> tuple[int, int]:
    answered, error = int(figures["answers"]["answered"]["n"]), figures["answers"]["error"]
    return (0 if error is None else round(error["value"] * answered)), answered


_MEASURES = (
    (_wrong, "Error rate: {0} is significantly worse than {3}, {1:.1%} against {2:.1%}."),
    (
        _unlabelled,
        'Pictures without a label ("unsure" or "neither"): {0} has significantly more than {3}, '
        "{1:.1%} against {2:.1%}.",
    ),
    (
        _wrong_answers,
        "Error rate among answered pictures: {0} is significantly worse than {3}, {1:.2%} against "
        "{2:.2%}.",
    ),
)
"""How many of how many, where more is worse, and the sentence."""

"""Believe the figure or not, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pawsure.evaluation.headline import LEAST_TEST_PICTURES, few_test_pictures

WIDE = 0.10
"""An interval this wide tells 85% from 95%: good enough to go on by, not to decide by."""


@dataclass(frozen=True)
class Belief:
    """How far the accuracy of a run can be believed.

    Attributes:
        level: "yes", "roughly" or "no".
        headline: in two or three words.
        sentence: why, in one.
    """

    level: Literal["yes", "roughly", "no"]
    headline: str
    sentence: str


def believe(
    test: Mapping[str, Any], *, leaked: int = 0, crossed: Mapping[str, Any] | None = None
) -> Belief:
    """Judge the accuracy that heads the report.

    Args:
        test: figures of `pawsure.evaluation.measure.measure`.
        leaked: test pictures of which a copy is among those that were learned from.
        crossed: figures of cross-validation, which head the report where test pictures are few.
    """
    if test["n"] < LEAST_TEST_PICTURES:
        return _believe_without_test(test, crossed)
    n, accuracy = test["n"], test["accuracy"]
    low, high = accuracy["low"], accuracy["high"]
    between = f"between {_percent(low, high)} and {_percent(high, low)}"
    usual = max((sum(row) for row in test["confusion_matrix"]), default=0) / n
    if leaked:
        return Belief(
            "no",
            "Don't believe it yet",
            f"{leaked:,} of {n:,} test pictures {'has a copy' if leaked == 1 else 'have copies'} "
            "among those that were learned from, so the figure flatters the model.",
        )
    if low <= usual:
        return Belief(
            "no",
            "Don't believe it yet",
            f"on {n:,} test pictures it can't be told from always saying the most frequent "
            f"label, which is right on {usual:.1%} of them.",
        )
    if high - low > WIDE:
        return Belief(
            "roughly",
            "Believe it roughly",
            f"{n:,} test pictures leave the true accuracy anywhere {between}; more test pictures "
            "would narrow that down.",
        )
    return Belief(
        "yes",
        "Believe it",
        f"measured on {n:,} pictures that nothing was learned from and no choice was made by, "
        f"the true accuracy lies {between}, with 95% confidence.",
    )


def _believe_without_test(test: Mapping[str, Any], crossed: Mapping[str, Any] | None) -> Belief:
    """Judge a run whose test pictures are too few for a figure."""
    if crossed is None:
        return Belief("no", "Not measured", f"{few_test_pictures(test)} Add pictures.")
    low, high = crossed["accuracy"]["low"], crossed["accuracy"]["high"]
    usual = max(sum(row) for row in crossed["confusion_matrix"]) / crossed["n"]
    which = f"{crossed['folds']}-fold cross-validation of the {crossed['of']}"
    if low <= usual:
        return Belief(
            "no",
            "Don't believe it yet",
            f"{which} can't be told from always saying the most frequent label, which is right on "
            f"{usual:.1%} of the pictures.",
        )
    return Belief(
        "roughly",
        "Believe it roughly",
        f"there are only {test['n']} test pictures. {which[0].upper()}{which[1:]} on "
        f"{crossed['n']:,} training and validation pictures puts the true accuracy between "
        f"{_percent(low, high)} and {_percent(high, low)}, with 95% confidence.",
    )


def _percent(value: float, other: float) -> str:
    """With as many decimals as it takes to tell two ends apart."""
    decimals = 1 if f"{value:.1%}" != f"{other:.1%}" else 2
    return f"{value:.{decimals}%}"

"""Whether the accuracy of a run is reliable, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pawsure.evaluation.headline import LEAST_TEST_PICTURES, few_test_pictures

WIDE = 0.10
"""A wider interval can't tell 85% from 95%."""


@dataclass(frozen=True)
class Verdict:
    """How reliable the accuracy of a run is.

    Attributes:
        level: decides the colour.
        headline: in one to three words.
        sentence: the reason.
    """

    level: Literal["reliable", "rough", "unreliable"]
    headline: str
    sentence: str


def judge(
    test: Mapping[str, Any], *, leaked: int = 0, crossed: Mapping[str, Any] | None = None
) -> Verdict:
    """Judge the accuracy at the top of the report.

    Args:
        test: figures of `pawsure.evaluation.evaluate.measure`.
        leaked: test pictures with a copy among the training or validation pictures.
        crossed: cross-validated figures, used if there are too few test pictures.
    """
    if test["n"] < LEAST_TEST_PICTURES:
        return _judge_without_test(test, crossed)
    n, accuracy = test["n"], test["accuracy"]
    low, high = accuracy["low"], accuracy["high"]
    if leaked:
        return _unreliable(
            f"{leaked:,} of {n:,} test pictures {'has a copy' if leaked == 1 else 'have copies'} "
            "among the training or validation pictures, so the accuracy is too high.",
        )
    if low <= _majority(test):
        return _unreliable(
            f"on {n:,} test pictures it is not significantly better than always giving the most "
            f"frequent label, which is right for {_majority(test):.1%}.",
        )
    if high - low > WIDE:
        return Verdict(
            "rough",
            "Roughly reliable",
            f"with {n:,} test pictures the true accuracy is between {_ends(accuracy)} (95% "
            "confidence). More test pictures would narrow this range.",
        )
    return Verdict(
        "reliable",
        "Reliable",
        f"measured on {n:,} held-out pictures; the true accuracy is between {_ends(accuracy)} "
        "(95% confidence).",
    )


def _judge_without_test(test: Mapping[str, Any], crossed: Mapping[str, Any] | None) -> Verdict:
    if crossed is None:
        return Verdict("unreliable", "Not measured", f"{few_test_pictures(test)} Add pictures.")
    method = f"{crossed['folds']}-fold cross-validation of the {crossed['of']}"
    if crossed["accuracy"]["low"] <= _majority(crossed):
        return _unreliable(
            f"in {method} it is not significantly better than always giving the most frequent "
            f"label, which is right for {_majority(crossed):.1%}.",
        )
    return Verdict(
        "rough",
        "Roughly reliable",
        f"there are only {test['n']} test pictures. By {method} on {crossed['n']:,} training and "
        f"validation pictures, the true accuracy is between {_ends(crossed['accuracy'])} (95% "
        "confidence).",
    )


def _unreliable(sentence: str) -> Verdict:
    return Verdict("unreliable", "Not reliable yet", sentence)


def _majority(figures: Mapping[str, Any]) -> float:
    """The share of the most frequent label."""
    return max((sum(row) for row in figures["confusion_matrix"]), default=0) / figures["n"]


def _ends(accuracy: Mapping[str, float]) -> str:
    """With as many decimals as it takes to tell them apart."""
    low, high = accuracy["low"], accuracy["high"]
    decimals = 1 if f"{low:.1%}" != f"{high:.1%}" else 2
    return f"{low:.{decimals}%} and {high:.{decimals}%}"

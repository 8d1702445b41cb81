"""The main figure of a run, and how it was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

LEAST_TEST_PICTURES = 20
"""Below this many pictures, tested or cross-validated, their accuracy is no headline: 19 right of
19 leave anything between 83% and 100%."""


@dataclass(frozen=True, kw_only=True)
class Headline:
    """The main figure of a run.

    Attributes:
        source: "test": the model file on its test pictures; "cross_validation": see
            `pawsure.training.cross_validation`; "none": there are too few pictures for a figure.
        n: pictures behind it; for "none", the test pictures.
        value: accuracy in [0, 1]; None for "none".
        low: end of its 95% interval; None likewise.
        high: the other end.
        method: how it was measured, such as "5-fold cross-validation of the linear probe".
    """

    source: Literal["test", "cross_validation", "none"]
    n: int
    value: float | None
    low: float | None
    high: float | None
    method: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def cross_validated(metrics: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Figures of cross-validation, where there are any and they are of enough pictures."""
    crossed = metrics.get("cross_validation")
    return crossed if crossed and crossed["n"] >= LEAST_TEST_PICTURES else None


def headline(metrics: Mapping[str, Any]) -> Headline:
    """Choose the headline of a run from its figures.

    Args:
        metrics: with "test" (see `pawsure.evaluation.measure.measure`) and, if there is one,
            "cross_validation".
    """
    test, crossed = metrics["test"], cross_validated(metrics)
    if test["n"] >= LEAST_TEST_PICTURES:
        return Headline(source="test", n=test["n"], **_ends(test), method="held-out test pictures")
    if crossed:
        return Headline(
            source="cross_validation",
            n=crossed["n"],
            **_ends(crossed),
            method=f"{crossed['folds']}-fold cross-validation of the {crossed['of']}",
        )
    return Headline(
        source="none", n=test["n"], value=None, low=None, high=None, method="too few test pictures"
    )


def headline_sentences(metrics: Mapping[str, Any]) -> list[str]:
    """The accuracy of a run, for people, with its limits."""
    test, crossed = metrics["test"], cross_validated(metrics)
    sentences = []
    if test["n"] >= LEAST_TEST_PICTURES:
        sentences.append(
            f"Test accuracy {test['accuracy']['value']:.1%} ({test['n']:,} held-out pictures; "
            f"{_interval(test)})."
        )
    if crossed:
        sentences.append(
            f"Cross-validated accuracy {crossed['accuracy']['value']:.1%} ({crossed['folds']}-fold "
            f"cross-validation of the {crossed['of']} on {crossed['n']:,} training and validation "
            f"pictures; {_interval(crossed)}).{_of_which_model(metrics)}"
        )
    if test["n"] < LEAST_TEST_PICTURES:
        sentences.append(
            f"{few_test_pictures(test)} At least {LEAST_TEST_PICTURES} are needed for a test "
            "accuracy."
        )
    return sentences


def few_test_pictures(test: Mapping[str, Any]) -> str:
    """The sentence for a test split that is too small for a figure."""
    right = round(test["accuracy"]["value"] * test["n"])
    return f"Right on {right} of {test['n']} test pictures: too few for a figure."


def _of_which_model(metrics: Mapping[str, Any]) -> str:
    caveat = cross_validation_caveat(metrics)
    return f" {caveat}" if caveat else ""


def cross_validation_caveat(metrics: Mapping[str, Any]) -> str:
    """A sentence where the model file is not what was cross-validated; else ""."""
    selected = metrics.get("selected") or {}
    if not selected.get("is_probe"):
        return "The model file is fine-tuned; this figure is not of it."
    if selected.get("tta"):
        return "The model file uses test-time augmentation; this figure is without it."
    return ""


def _ends(figures: Mapping[str, Any]) -> dict[str, float]:
    return {name: figures["accuracy"][name] for name in ("value", "low", "high")}


def _interval(figures: Mapping[str, Any]) -> str:
    return f"95% CI {100 * figures['accuracy']['low']:.1f}–{figures['accuracy']['high']:.1%}"

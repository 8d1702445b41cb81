"""Section: how answers change with changed pictures."""

from __future__ import annotations

from typing import Any

from pawsure.report.blocks import card, cards, section, table
from pawsure.report.markup import Markup
from pawsure.report.run_data import RunData


def robustness_section(run: RunData) -> Markup | None:
    """Accuracy and answers by kind of change; None in runs of older versions."""
    robustness = run.metrics.get("robustness") or {}
    unsure = run.trust.get("unsure") or {}
    content = []
    if robustness.get("kinds"):
        content.append(_table(robustness))
    if (unsure.get("answers") or {}).get("changed"):
        content.append(_target_error(unsure))
    if not content:
        return None
    return section(
        "robustness",
        "Changed pictures",
        "Other cameras, crops and web sites change pictures. Here validation pictures were "
        "changed in eight ways, each in five strengths.",
        cards(*content),
    )


def _table(robustness: dict[str, Any]) -> Markup:
    rows = [("unchanged", *_row(robustness["clean"]), "")]
    for kind, figures in robustness["kinds"].items():
        strengths = (f"{each['accuracy']['value']:.0%}" for each in figures["strengths"])
        rows.append((kind, *_row(figures), " ".join(strengths)))
    head = ("pictures", "accuracy", "no label", "wrong if answered", "accuracy by strength, 1–5")
    return card(
        "Robustness",
        table(head, rows, caption="Robustness"),
        note=f"{robustness['n']:,} validation pictures, with 95% intervals; each strength on about "
        "a fifth of them.",
        wide=True,
    )


def _row(figures: dict[str, Any]) -> tuple[str, str, str]:
    answers = figures["answers"]
    accuracy = figures["accuracy"]
    return (
        f"{accuracy['value']:.1%} [{accuracy['low']:.1%}, {accuracy['high']:.1%}]",
        f"{1 - answers['answered']['value']:.1%}",
        "–" if answers["error"] is None else f"{answers['error']['value']:.1%}",
    )


def _target_error(unsure: dict[str, Any]) -> Markup:
    """Whether the target error rate is met."""
    rows = []
    for name, key in (("unchanged", "clean"), ("changed at random", "changed")):
        answers = unsure["answers"][key]
        error = answers["error"]
        interval = (
            f"{error['value']:.2%} [{error['low']:.2%}, {error['high']:.2%}]" if error else "–"
        )
        rows.append((name, f"{answers['answered']['value']:.1%}", interval))
    head = ("validation pictures", "get a label", "of these wrong")
    return card(
        "Target error rate",
        table(head, rows, caption="Error rate"),
        note=f"At most {unsure['max_error']:.2%} of the answers may be wrong. The threshold was "
        "set on both rows together.",
    )

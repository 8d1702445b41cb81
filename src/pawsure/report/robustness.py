"""How answers fare as pictures change."""

from __future__ import annotations

from typing import Any

from pawsure.report.blocks import card, cards, section, table
from pawsure.report.markup import Markup
from pawsure.report.material import Material

_TITLE = "Pictures from elsewhere"
_LEAD = (
    "Other cameras, crops and web sites change pictures. Validation pictures were changed in "
    "eight ways and five strengths to see what that does to the answers."
)


def robustness_section(material: Material) -> Markup | None:
    """Accuracy and labels by kind of change; None in runs of older versions."""
    found = material.metrics.get("robustness") or {}
    changed = ((material.trust.get("unsure") or {}).get("answers") or {}).get("changed")
    shown = []
    if found.get("kinds"):
        shown.append(_table(found))
    if changed:
        clean = material.trust["unsure"]["answers"]["clean"]
        shown.append(_asked_for(material, clean, changed))
    return section("robustness", _TITLE, _LEAD, cards(*shown)) if shown else None


def _table(found: dict[str, Any]) -> Markup:
    rows = [("as they are", *_row(found["clean"]), "")]
    rows += [
        (kind, *_row(figures), " ".join(_short(each) for each in figures["strengths"]))
        for kind, figures in found["kinds"].items()
    ]
    return card(
        "Robustness",
        table(
            ("pictures", "accuracy", "no label", "wrong if answered", "accuracy by strength, 1–5"),
            rows,
            caption="Robustness",
        ),
        note=f"{found['n']:,} validation pictures, with 95% intervals; each strength of a row is "
        "of about a fifth of them.",
        wide=True,
    )


def _row(figures: dict[str, Any]) -> tuple[str, str, str]:
    answers = figures["answers"]
    error = answers["error"]
    accuracy = figures["accuracy"]
    return (
        f"{accuracy['value']:.1%} [{accuracy['low']:.1%}, {accuracy['high']:.1%}]",
        f"{1 - answers['answered']['value']:.1%}",
        "–" if error is None else f"{error['value']:.1%}",
    )


def _short(figures: dict[str, Any]) -> str:
    return f"{figures['accuracy']['value']:.0%}"


def _asked_for(material: Material, clean: dict[str, Any], changed: dict[str, Any]) -> Markup:
    """Whether the error that was asked for holds."""
    max_error = material.trust["unsure"]["max_error"]
    rows = [
        (name, f"{found['answered']['value']:.1%}", _error(found))
        for name, found in (("as they are", clean), ("changed at random", changed))
    ]
    return card(
        "The error rate that was asked for",
        table(("validation pictures", "get a label", "of these wrong"), rows, caption="Error rate"),
        note=f"At most {max_error:.2%} of the answers may be wrong; the threshold was set on both "
        "together.",
    )


def _error(found: dict[str, Any]) -> str:
    error = found["error"]
    if error is None:
        return "–"
    return f"{error['value']:.2%} [{error['low']:.2%}, {error['high']:.2%}]"

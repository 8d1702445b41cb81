"""Whether its probabilities mean what they say, and what it gains by answering less."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pawsure.evaluation.headline import LEAST_TEST_PICTURES
from pawsure.evaluation.intervals import wilson
from pawsure.report.blocks import (
    card,
    cards,
    chart_card,
    missing,
    section,
    table,
    with_interval,
)
from pawsure.report.markup import Child, Markup, together
from pawsure.report.material import Material
from pawsure.report.plot import Axis, Plot, share_axis
from pawsure.wording import count


def confidence_section(material: Material) -> Markup:
    """Reliability, calibration before and after, risk against coverage."""
    test = material.test
    if test["n"] < LEAST_TEST_PICTURES:
        return section(
            "confidence",
            "Whether its probabilities mean what they say",
            "A probability of 90% should be right nine times in ten: no more, and no less.",
            missing(
                f"{count(test['n'], 'test picture')} can't tell. At least {LEAST_TEST_PICTURES} "
                "are needed."
            ),
        )
    parts = [
        _reliability(test["reliability"], test) if test.get("reliability") else None,
        _risk_coverage(material) if test.get("risk_coverage") else None,
        _before_and_after(material),
    ]
    lead = "A probability of 90% should be right nine times in ten: no more, and no less."
    if not any(parts):
        return section(
            "confidence",
            "Whether its probabilities mean what they say",
            lead,
            missing(
                "This run was made before pawsure drew this; its calibration error is "
                f"{test['calibration_error']['value']:.1%}. A new run of its recipe has it all."
            ),
        )
    return section(
        "confidence", "Whether its probabilities mean what they say", lead, cards(*parts)
    )


def _reliability(bins: Mapping[str, Any], test: Mapping[str, Any]) -> Markup:
    confidence, accuracy = bins["confidence"], bins["accuracy"]
    low, high = bins["low"], bins["high"]
    axis_of = [*confidence, *low, *accuracy]
    x, y = share_axis("how sure it was", axis_of), share_axis("how often it was right", axis_of)
    error = test["calibration_error"]
    plot = Plot(
        x,
        y,
        title="How sure it was against how often it was right",
        description=f"Calibration error {error['value']:.1%}, where a calibrated model would show "
        f"{error['by_chance']:.1%} by chance; {count(len(confidence), 'group')} of answers.",
    )
    plot.diagonal()
    for place, sure in enumerate(confidence):
        plot.interval(sure, low[place], high[place], "validation")
    for place, sure in enumerate(confidence):
        told = (
            f"{count(bins['count'][place], 'answer')}: {sure:.1%} sure, {accuracy[place]:.1%} right"
        )
        plot.dot(sure, accuracy[place], "validation", size=5, told=told)
    rows = [
        (
            f"{sure:.2%}",
            f"{bins['count'][place]:,}",
            f"{accuracy[place]:.2%}",
            f"{low[place]:.1%} to {high[place]:.1%}",
        )
        for place, sure in enumerate(confidence)
    ]
    return chart_card(
        "Reliability",
        plot.svg(),
        note=together(
            "On the dashed line it is exactly as right as it is sure; below, it is too sure. The "
            f"mean gap is {error['value']:.1%}; chance alone would show {error['by_chance']:.1%}."
        ),
        key=(("validation", "a group of answers, with 95% interval"), ("guide", "perfect")),
        figures=table(("sure", "answers", "right", "95% interval"), rows, caption="Reliability"),
    )


def _risk_coverage(material: Material) -> Markup:
    test = material.test
    curve, n = test["risk_coverage"], test["n"]
    coverage, risk = curve["coverage"], curve["risk"]
    bounds = [wilson(round(r * c * n), round(c * n)) for c, r in zip(coverage, risk, strict=True)]
    # The first few answers have intervals up to 100% that would flatten everything else.
    told = [bound.high for bound, c in zip(bounds, coverage, strict=True) if c >= 0.2]
    y = share_axis("wrong answers", [0.0, *risk, *told], high=_top(risk, told))
    plot = Plot(
        Axis(
            title="pictures that get an answer",
            low=0.0,
            high=1.0,
            ticks=(0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
            form="{:.0%}".format,
        ),
        y,
        title="Wrong answers against the share of pictures answered",
        description=f"Answering all, {risk[-1]:.1%} are wrong. {_unsure_words(material)}",
    )
    plot.band(coverage, [b.low for b in bounds], [b.high for b in bounds], "validation")
    plot.line(coverage, risk, "validation")
    answers = test.get("answers")
    if answers and answers.get("error"):
        answered, error = answers["answered"]["value"], answers["error"]["value"]
        plot.dot(
            answered, error, "sure", size=6, told=f"{answered:.1%} answered, {error:.1%} wrong"
        )
    rows = [
        (f"{c:.0%}", f"{r:.2%}", f"{t:.4f}")
        for c, r, t in _thinned(coverage, risk, curve["threshold"])
    ]
    return chart_card(
        "Answering only when sure",
        plot.svg(),
        note="Of the pictures that it is surest of, how many it gets wrong. "
        + _unsure_words(material),
        key=(("validation", "wrong answers, with 95% interval"), ("sure", "this model file")),
        figures=table(("answered", "of these wrong", "sure at least"), rows, caption="Risk"),
    )


def _top(risk: list[float], told: list[float]) -> float:
    return min(1.0, max([0.02, *(1.2 * value for value in risk[len(risk) // 5 :]), *told]))


def _thinned(*columns: list[float]) -> list[tuple[float, ...]]:
    """A row for about every tenth of the pictures."""
    rows, wanted = [], 0.1
    for row in zip(*columns, strict=True):
        if row[0] >= wanted - 1e-9 or row[0] == columns[0][-1]:
            rows.append(row)
            wanted = row[0] + 0.1
    return rows


def _unsure_words(material: Material) -> str:
    unsure, answers = material.trust.get("unsure"), material.test.get("answers")
    if not unsure or not answers or not answers.get("error"):
        return ""
    threshold = unsure.get("threshold")
    result = (
        f"On test, {answers['answered']['value']:.1%} get a label and "
        f"{answers['error']['value']:.1%} of these are wrong"
    )
    if threshold is None:
        return f"The model file answers every picture that is familiar. {result}."
    asked = (
        f"{unsure['max_error']:.3g}"
        if unsure["max_error"] < 0.001
        else (f"{100 * unsure['max_error']:g}%")
    )
    return f"Below {threshold:.1%} it says unsure, to keep errors at {asked}. {result}."


def _before_and_after(material: Material) -> Markup | None:
    calibration = material.trust.get("calibration") or {}
    measured = calibration.get("test")
    if not measured:
        return None
    how = (
        f"a temperature of {calibration['temperature']:.2f}"
        if calibration.get("temperature") is not None
        else "a curve, which was better beyond noise than a temperature"
    )
    rows: list[tuple[Child, ...]] = [
        (
            title,
            with_interval(measured["before"][key], form),
            with_interval(measured["after"][key], form),
        )
        for key, title, form in (
            ("log_loss", "log loss", ".3f"),
            ("brier_score", "Brier score", ".3f"),
            ("calibration_error", "calibration error", ".1%"),
        )
    ]
    needed = (material.trust.get("unsure") or {}).get("pictures_needed")
    method = (material.trust.get("unsure") or {}).get("method")
    note = f"By {how}, fitted on validation pictures and measured on test pictures."
    if method == "estimate" and needed:
        note += (
            f" To promise the error rate that was asked for takes {needed:,} validation pictures "
            "without a mistake; this run can only estimate it."
        )
    return card(
        "What calibrating changed",
        table(("", "as learned", "calibrated"), rows, caption="Before and after calibration"),
        note=note,
        wide=True,
    )

"""Section: calibration, and the trade-off between coverage and errors."""

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
from pawsure.report.markup import Child, Markup
from pawsure.report.plot import Plot, percent_axis, share_axis
from pawsure.report.run_data import RunData
from pawsure.wording import count


def confidence_section(run: RunData) -> Markup:
    """Reliability, calibration before and after, risk against coverage."""
    test = run.test
    if test["n"] < LEAST_TEST_PICTURES:
        content = missing(
            f"{count(test['n'], 'test picture')}: too few to measure this. At least "
            f"{LEAST_TEST_PICTURES} are needed."
        )
    elif not test.get("reliability"):
        content = missing(
            "This run is of an older version without these figures; its calibration error is "
            f"{test['calibration_error']['value']:.1%}. Train again to get them."
        )
    else:
        content = cards(
            _reliability(test["reliability"], test), _risk_coverage(run), _before_and_after(run)
        )
    return section(
        "confidence",
        "Confidence",
        "Of the answers with a probability of 90%, nine in ten should be correct.",
        content,
    )


def _reliability(bins: Mapping[str, Any], test: Mapping[str, Any]) -> Markup:
    confidence, accuracy = bins["confidence"], bins["accuracy"]
    low, high = bins["low"], bins["high"]
    axis_of = [*confidence, *low, *accuracy]
    x, y = share_axis("confidence", axis_of), share_axis("accuracy", axis_of)
    error = test["calibration_error"]
    plot = Plot(
        x,
        y,
        title="Accuracy against confidence",
        description=f"Calibration error {error['value']:.1%} ({error['by_chance']:.1%} expected by "
        f"chance from a calibrated model); {count(len(confidence), 'group')} of answers.",
    )
    plot.diagonal()
    for place, sure in enumerate(confidence):
        plot.interval(sure, low[place], high[place], "validation")
    for place, sure in enumerate(confidence):
        tip = (
            f"{count(bins['count'][place], 'answer')}: confidence {sure:.1%}, accuracy "
            f"{accuracy[place]:.1%}"
        )
        plot.dot(sure, accuracy[place], "validation", size=5, tip=tip)
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
        note="Points below the dashed line are overconfident. Calibration error "
        f"{error['value']:.1%} ({error['by_chance']:.1%} expected by chance from a calibrated "
        "model).",
        key=(("validation", "a group of answers, with 95% interval"), ("guide", "perfect")),
        figures=table(
            ("confidence", "answers", "accuracy", "95% interval"), rows, caption="Reliability"
        ),
    )


def _risk_coverage(run: RunData) -> Markup:
    test = run.test
    curve, n = test["risk_coverage"], test["n"]
    coverage, risk = curve["coverage"], curve["risk"]
    bounds = [wilson(round(r * c * n), round(c * n)) for c, r in zip(coverage, risk, strict=True)]
    # The intervals of the first few answers go up to 100% and would flatten everything else.
    highs = [bound.high for bound, c in zip(bounds, coverage, strict=True) if c >= 0.2]
    top = min(1.0, max([0.02, *(1.2 * value for value in risk[len(risk) // 5 :]), *highs]))
    plot = Plot(
        percent_axis("coverage (pictures answered)"),
        share_axis("wrong answers", [0.0, *risk, *highs], high=top),
        title="Wrong answers against coverage",
        description=f"With every picture answered, {risk[-1]:.1%} are wrong. {_unsure(run)}",
    )
    plot.band(coverage, [b.low for b in bounds], [b.high for b in bounds], "validation")
    plot.line(coverage, risk, "validation")
    answers = test.get("answers")
    if answers and answers.get("error"):
        answered, error = answers["answered"]["value"], answers["error"]["value"]
        tip = f"{answered:.1%} answered, {error:.1%} wrong"
        plot.dot(answered, error, "sure", size=6, tip=tip)
    rows = [
        (f"{c:.0%}", f"{r:.2%}", f"{t:.4f}")
        for c, r, t in _thinned(coverage, risk, curve["threshold"])
    ]
    return chart_card(
        "Errors and coverage",
        plot.svg(),
        note=f"Errors if only the most confident answers are given. {_unsure(run)}",
        key=(("validation", "wrong answers, with 95% interval"), ("sure", "this model file")),
        figures=table(
            ("coverage", "of these wrong", "least confidence"), rows, caption="Errors and coverage"
        ),
    )


def _thinned(*columns: list[float]) -> list[tuple[float, ...]]:
    """About every tenth row."""
    rows, least = [], 0.1
    for row in zip(*columns, strict=True):
        if row[0] >= least - 1e-9 or row[0] == columns[0][-1]:
            rows.append(row)
            least = row[0] + 0.1
    return rows


def _unsure(run: RunData) -> str:
    """What the threshold for "unsure" does, in words."""
    unsure, answers = run.trust.get("unsure"), run.test.get("answers")
    if not unsure or not answers or not answers.get("error"):
        return ""
    threshold = unsure.get("threshold")
    result = (
        f"Coverage on test pictures is {answers['answered']['value']:.1%}, with "
        f"{answers['error']['value']:.1%} error."
    )
    if threshold is None:
        return f"The model file has no threshold for “unsure”. {result}"
    target = f"{100 * unsure['max_error']:.3g}%"
    return f"Answers below {threshold:.1%} are “unsure” (target error {target}). {result}"


def _before_and_after(run: RunData) -> Markup | None:
    calibration = run.trust.get("calibration") or {}
    measured = calibration.get("test")
    if not measured:
        return None
    temperature, unsure = calibration.get("temperature"), run.trust.get("unsure") or {}
    method = (
        f"Temperature {temperature:.2f}"
        if temperature is not None
        else "A curve, significantly better than a temperature"
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
    note = f"{method}; fitted on validation pictures, measured on test pictures."
    if unsure.get("method") == "estimate" and unsure.get("pictures_needed"):
        note += (
            " The target error rate is an estimate: guaranteeing it needs "
            f"{unsure['pictures_needed']:,} validation pictures without a mistake."
        )
    return card(
        "Effect of calibration",
        table(("", "before", "after"), rows, caption="Before and after calibration"),
        note=note,
        wide=True,
    )

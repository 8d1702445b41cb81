"""Section at the top: the accuracy, whether it is reliable, and the diagnosis."""

from __future__ import annotations

from collections.abc import Sequence

from pawsure.evaluation.headline import LEAST_TEST_PICTURES, Headline, cross_validation_caveat
from pawsure.report.blocks import command, lead_in
from pawsure.report.data import leaked_pictures
from pawsure.report.markup import Child, Markup, element, together
from pawsure.report.plot import dot, drawing, label, line
from pawsure.report.run_data import RunData
from pawsure.report.verdict import judge

_ADVICE = "To try:"
"""Start of a diagnosis sentence that is a command; the report shows these as commands."""


def summary_section(run: RunData) -> Markup:
    """The top of the page."""
    figure = run.headline
    verdict = judge(run.test, leaked=leaked_pictures(run), crossed=run.cross_validation)
    is_crossed = figure.source == "cross_validation"
    return element(
        "section",
        element("p", _labels(run.labels), class_="what"),
        element("h1", _headline(figure)),
        None
        if figure.value is None or figure.low is None or figure.high is None
        else _interval(figure.low, figure.value, figure.high),
        element(
            "p",
            element("strong", f"{verdict.headline}:"),
            f" {verdict.sentence}",
            f" {cross_validation_caveat(run.metrics)}" if is_crossed else "",
            class_=f"verdict {verdict.level}",
        ),
        _tiles(run),
        id="summary",
        aria_label="Summary",
    )


def _headline(figure: Headline) -> Child:
    if figure.value is None:
        text = f"Too few test pictures to measure accuracy ({figure.n:,})"
        return element("span", text, class_="unit")
    unit = (
        f"accuracy on {figure.n:,} test pictures"
        if figure.source == "test"
        else f"accuracy in {figure.method} ({figure.n:,} training and validation pictures)"
    )
    return together(
        element("span", f"{figure.value:.1%}", class_="figure"),
        element("span", unit, class_="unit"),
    )


def _labels(labels: Sequence[str]) -> Markup:
    if len(labels) > 6:
        return element("strong", f"{len(labels)} labels")
    names = ([", " if place else "", element("strong", name)] for place, name in enumerate(labels))
    return together("Labels: ", names)


def _interval(low: float, value: float, high: float) -> Markup:
    """The accuracy with its interval, on a line that ends at 100%."""
    width, height, left, right = 480, 54, 10, 470
    start = max(0.0, min(low - 2 * (high - low), 0.9))
    start = int(start * 20) / 20

    def across(share: float) -> float:
        return round(left + (share - start) / (1 - start) * (right - left), 1)

    y = 20
    room = across(high) - across(low)
    return drawing(
        width,
        height,
        line(left, y, right, y, "track"),
        line(across(low), y, across(high), y, "span"),
        dot(across(value), y, "validation", size=8),
        label(left, 46, f"{start:.0%}", style="tick") if across(low) > left + 90 else None,
        label(
            across(low) + (-2 if room < 110 else 0),
            46,
            f"{low:.1%}",
            anchor="end" if room < 110 else "middle",
            style="end",
        ),
        label(
            min(across(high) + (2 if room < 110 else 0), right - 2),
            46,
            f"{high:.1%}",
            anchor=_anchor(across(high), room, right),
            style="end",
        ),
        label(right, 46, "100%", anchor="end", style="tick")
        if across(high) < right - 110
        else None,
        title="Accuracy with its 95% interval",
        description=f"{value:.1%}, from {low:.1%} to {high:.1%}.",
    )


def _anchor(x: float, room: float, right: float) -> str:
    if x > right - 50:
        return "end"
    return "start" if room < 110 else "middle"


def _tiles(run: RunData) -> Markup:
    test = run.test
    tiles: list[tuple[str, str, str]] = []
    if test["n"] >= LEAST_TEST_PICTURES:
        if answers := test.get("answers"):
            error = answers.get("error")
            wrong = f"{error['value']:.1%} of these are wrong" if error else ""
            tiles.append(("answered", f"{answers['answered']['value']:.0%}", wrong))
        calibration = test["calibration_error"]
        by_chance = f"{calibration['by_chance']:.1%} expected by chance"
        tiles.append(("calibration error", f"{calibration['value']:.1%}", by_chance))
    else:
        right = round(test["accuracy"]["value"] * test["n"])
        tiles.append(("test pictures", f"{right} of {test['n']}", "correct"))
    if ood := (run.trust.get("neither") or {}).get("ood"):
        accepted = f"{ood['accepted']['value']:.1%}"
        tiles.append(("other pictures accepted", accepted, f"of {ood['n']:,}; lower is better"))
    if num_train := sum((run.counts.get("train") or {}).values()):
        seconds = (run.metrics.get("seconds") or {}).get("all")
        tiles.append(
            ("training pictures", f"{num_train:,}", f"in {_time(seconds)}" if seconds else "")
        )
    return element(
        "ul",
        [
            element(
                "li",
                element("span", name, class_="name"),
                element("strong", value),
                element("span", note, class_="note"),
            )
            for name, value, note in tiles
        ],
        class_="tiles",
    )


def _time(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"


def diagnosis_section(run: RunData) -> Markup | None:
    """What training showed, and what to try."""
    diagnosis = run.metrics.get("diagnosis") or {}
    sentences = [line for line in diagnosis.get("sentences") or () if not line.startswith(_ADVICE)]
    if not sentences:
        return None
    advice = [
        element("li", element("p", one["why"]), command(one["command"]))
        for one in (diagnosis.get("next") or ())[:3]
    ]
    findings = element(
        "ul", [element("li", lead_in(line)) for line in sentences], class_="findings"
    )
    suggestions = element(
        "div",
        element("h3", "What to try next"),
        element("ol", advice, class_="advice"),
        class_="card",
    )
    return element(
        "section",
        element("h2", "Diagnosis", id="diagnosis-title"),
        element("div", findings, suggestions if advice else None, class_="diagnosis"),
        id="diagnosis",
        aria_labelledby="diagnosis-title",
    )

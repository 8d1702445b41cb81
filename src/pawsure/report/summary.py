"""The answer first: how good it is, whether to believe that, and what training showed."""

from __future__ import annotations

from collections.abc import Sequence

from pawsure.evaluation.headline import LEAST_TEST_PICTURES, Headline, cross_validation_caveat
from pawsure.report.belief import Belief, believe
from pawsure.report.blocks import command, lead_in
from pawsure.report.data import leaked_pictures
from pawsure.report.markup import Child, Markup, element, together
from pawsure.report.material import Material
from pawsure.report.plot import drawing, label

_ADVICE = "To try:"
"""How sentences of a diagnosis begin that are a command; these are shown as commands."""


def summary_section(material: Material) -> Markup:
    """The head of the page."""
    figure = material.headline
    belief = believe(
        material.test, leaked=leaked_pictures(material), crossed=material.cross_validation
    )
    return element(
        "section",
        element("p", _what(material.labels), class_="what"),
        element("h1", _headline(figure)),
        None
        if figure.value is None or figure.low is None or figure.high is None
        else _interval(figure.low, figure.value, figure.high),
        element(
            "p",
            element("strong", f"{belief.headline}:"),
            f" {belief.sentence}",
            f" {cross_validation_caveat(material.metrics)}"
            if figure.source == "cross_validation"
            else "",
            class_=f"belief {belief.level}",
        ),
        _tiles(material, belief),
        id="summary",
        aria_label="The answer",
    )


def _headline(figure: Headline) -> Child:
    if figure.value is None:
        return element("span", f"Too few test pictures for a figure ({figure.n:,})", class_="unit")
    unit = (
        f"right on {figure.n:,} test pictures"
        if figure.source == "test"
        else f"right in {figure.method} ({figure.n:,} training and validation pictures)"
    )
    return together(
        element("span", f"{figure.value:.1%}", class_="figure"),
        element("span", unit, class_="unit"),
    )


def _what(labels: Sequence[str]) -> Markup:
    if len(labels) > 6:
        return together("Tells apart ", element("strong", f"{len(labels)} labels"))
    names = [element("strong", name) for name in labels]
    joined = [together(", " if place else "", name) for place, name in enumerate(names[:-1])]
    return together("Tells apart ", joined, " and ", names[-1])


def _interval(low: float, value: float, high: float) -> Markup:
    """The interval on a line that ends at 100%."""
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
        element("line", x1=left, x2=right, y1=y, y2=y, class_="track"),
        element("line", x1=across(low), x2=across(high), y1=y, y2=y, class_="span"),
        element("circle", cx=across(value), cy=y, r=8, class_="dot validation"),
        label(left, 46, f"{start:.0%}", look="tick") if across(low) > left + 90 else None,
        label(
            across(low) + (-2 if room < 110 else 0),
            46,
            f"{low:.1%}",
            anchor="end" if room < 110 else "middle",
            look="end",
        ),
        label(
            min(across(high) + (2 if room < 110 else 0), right - 2),
            46,
            f"{high:.1%}",
            anchor=_anchor(across(high), room, right),
            look="end",
        ),
        label(right, 46, "100%", anchor="end", look="tick") if across(high) < right - 110 else None,
        title="Accuracy with its 95% interval",
        description=f"{value:.1%}, from {low:.1%} to {high:.1%}.",
    )


def _anchor(x: float, room: float, right: float) -> str:
    if x > right - 50:
        return "end"
    return "start" if room < 110 else "middle"


def _tiles(material: Material, belief: Belief) -> Markup:
    test = material.test
    has_figures = test["n"] >= LEAST_TEST_PICTURES
    tiles: list[tuple[str, str, str]] = []
    answers = test.get("answers")
    if answers and has_figures:
        error = answers.get("error")
        told = f"{error['value']:.1%} of these are wrong" if error else "none"
        tiles.append(("gets an answer", f"{answers['answered']['value']:.0%}", told))
    if has_figures:
        calibration = test["calibration_error"]
        tiles.append(
            (
                "calibration error",
                f"{calibration['value']:.1%}",
                f"{calibration['by_chance']:.1%} would be chance alone",
            )
        )
    else:
        right = round(test["accuracy"]["value"] * test["n"])
        tiles.append(("test pictures", f"{right} of {test['n']}", "right; too few for a figure"))
    strangers = (material.trust.get("neither") or {}).get("strangers")
    if strangers:
        tiles.append(
            (
                "strangers accepted",
                f"{strangers['accepted']['value']:.1%}",
                f"of {strangers['n']:,} that it was never shown",
            )
        )
    seconds = (material.metrics.get("seconds") or {}).get("all")
    learned = sum((material.counts.get("train") or {}).values())
    if learned:
        told = f"in {_time(seconds)}" if seconds else "to learn from"
        tiles.append(("pictures learned from", f"{learned:,}", told))
    return element(
        "ul",
        [
            element(
                "li",
                element("span", name, class_="name"),
                element("strong", value),
                element("span", told, class_="told"),
            )
            for name, value, told in tiles
        ],
        class_="tiles",
    )


def _time(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"


def diagnosis_section(material: Material) -> Markup | None:
    """What training showed, and what to try."""
    diagnosis = material.diagnosis
    sentences = [line for line in diagnosis.get("sentences") or () if not line.startswith(_ADVICE)]
    if not sentences:
        return None
    advice: list[Child] = [
        element("li", element("p", one["why"]), command(one["command"]))
        for one in (diagnosis.get("next") or ())[:3]
    ]
    return element(
        "section",
        element("h2", "What training showed", id="diagnosis-title"),
        element(
            "div",
            element("ul", [element("li", lead_in(line)) for line in sentences], class_="findings"),
            element(
                "div",
                element("h3", "What to try next"),
                element("ol", advice, class_="advice"),
                class_="card",
            )
            if advice
            else None,
            class_="diagnosis",
        ),
        id="diagnosis",
        aria_labelledby="diagnosis-title",
    )

"""The parts that sections are built from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pawsure.report.markup import Child, Markup, element, together


def section(anchor: str, title: str, lead: Child, *content: Child) -> Markup:
    """A section of the page with a title and an introductory sentence."""
    return element(
        "section",
        element("h2", title, id=f"{anchor}-title"),
        element("p", lead, class_="lead") if lead else None,
        *content,
        id=anchor,
        aria_labelledby=f"{anchor}-title",
    )


def cards(*content: Child) -> Markup:
    """Cards side by side where there is room."""
    return element("div", *content, class_="cards")


def stack(*content: Child) -> Markup | None:
    """Cards below each other, in one column of `cards`; None if there are none."""
    inside = together(*content)
    return element("div", inside, class_="stack") if inside else None


def card(title: str, *content: Child, note: Child = None, wide: bool = False) -> Markup:
    """A box with a title, and a note on how to read it."""
    return element(
        "div",
        element("h3", title),
        element("p", note, class_="note") if note else None,
        *content,
        class_="card wide" if wide else "card",
    )


def chart_card(
    title: str,
    svg: Markup,
    *,
    note: Child = None,
    key: Sequence[tuple[str, str]] = (),
    figures: Markup | None = None,
) -> Markup:
    """A chart with a note on how to read it, a legend, and its figures as a table.

    Args:
        title: what it shows.
        svg: the chart.
        note: how to read it.
        key: CSS class and name of each colour.
        figures: the table, collapsed at first.
    """
    chips = [element("li", element("i", class_=f"chip {style}"), name) for style, name in key]
    return element(
        "figure",
        element(
            "figcaption",
            element("h3", title),
            element("p", note, class_="note") if note else None,
        ),
        element("ul", *chips, class_="key") if chips else None,
        svg,
        element("details", element("summary", "Show as a table"), figures) if figures else None,
        class_="card",
    )


def table(
    head: Sequence[Child],
    rows: Iterable[Sequence[Child]],
    *,
    caption: str = "",
    numbers: bool = True,
) -> Markup:
    """A table; the first column names the row."""
    return element(
        "div",
        element(
            "table",
            element("caption", caption, class_="unseen") if caption else None,
            element("thead", element("tr", [element("th", name, scope="col") for name in head])),
            element(
                "tbody",
                [
                    element(
                        "tr",
                        element("th", row[0], scope="row"),
                        [element("td", value) for value in row[1:]],
                    )
                    for row in rows
                ],
            ),
            class_="numbers" if numbers else None,
        ),
        class_="scrolled",
        tabindex="0",
        role="region",
        aria_label=caption or "Table",
    )


def facts(pairs: Iterable[tuple[str, Child]]) -> Markup:
    """Names and values."""
    return element(
        "dl",
        [together(element("dt", name), element("dd", value)) for name, value in pairs],
        class_="facts",
    )


def command(text: str) -> Markup:
    """A shell command."""
    # Wraps between words only, so that --out is not broken after a hyphen.
    words = [
        together(" " if place else "", element("span", word))
        for place, word in enumerate(text.split(" "))
    ]
    return element("pre", element("code", words), class_="command")


def missing(*words: Child) -> Markup:
    """One sentence on why something is missing and how to get it."""
    return element("p", *words, class_="missing")


def with_interval(figure: Mapping[str, Any], form: str = ".1%") -> Markup:
    """A figure and its interval in small print."""
    return together(
        f"{figure['value']:{form}} ",
        element("small", f"{figure['low']:{form}} to {figure['high']:{form}}"),
    )


def lead_in(sentence: str) -> Markup:
    """A sentence with the words before its first colon in bold."""
    first, colon, rest = sentence.partition(": ")
    if colon and len(first) < 70:
        return together(element("strong", f"{first}:"), f" {rest}")
    return together(sentence)

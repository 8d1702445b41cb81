"""What every section of the page is put together from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pawsure.report.markup import Child, Markup, element, together


def section(anchor: str, title: str, lead: Child, *content: Child) -> Markup:
    """A part of the page with a title and one sentence on what it is for."""
    return element(
        "section",
        element("h2", title, id=f"{anchor}-title"),
        element("p", lead, class_="lead") if lead else None,
        *content,
        id=anchor,
        aria_labelledby=f"{anchor}-title",
    )


def cards(*content: Child, look: str = "") -> Markup:
    """Cards beside each other where there is room."""
    return element("div", *content, class_=f"cards {look}".strip())


def stack(*content: Child) -> Markup | None:
    """Cards under each other, in one column of `cards`; None where there are none."""
    inside = together(*content)
    return element("div", inside, class_="stack") if inside else None


def card(title: str, *content: Child, note: Child = None, wide: bool = False) -> Markup:
    """A box with a title, and a sentence on how to read it."""
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
    wide: bool = False,
) -> Markup:
    """A chart with how to read it, which colour is what, and its figures as a table.

    Args:
        title: what it shows.
        svg: the chart.
        note: how to read it.
        key: look and name of each colour.
        figures: the same as a table, to open.
        wide: whether it takes the whole width.
    """
    chips = [element("li", element("i", class_=f"chip {look}"), name) for look, name in key]
    return element(
        "figure",
        element(
            "figcaption",
            element("h3", title),
            element("p", note, class_="note") if note else None,
        ),
        element("ul", *chips, class_="key") if chips else None,
        svg,
        element("details", element("summary", "The figures as a table"), figures)
        if figures
        else None,
        class_="card wide" if wide else "card",
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
    """Names and what they are."""
    return element(
        "dl",
        [together(element("dt", name), element("dd", value)) for name, value in pairs],
        class_="facts",
    )


def command(text: str) -> Markup:
    """Something for a shell, on a line of its own."""
    # A word is broken only where it is longer than a line: never between the hyphens of --out.
    words = [
        together(" " if place else "", element("span", word))
        for place, word in enumerate(text.split(" "))
    ]
    return element("pre", element("code", words), class_="command")


def missing(*words: Child) -> Markup:
    """One sentence on why something is not here and how to get it."""
    return element("p", *words, class_="missing")


def percent(share: float, decimals: int = 1) -> str:
    """A share in [0, 1] as a percentage."""
    return f"{share:.{decimals}%}"


def with_interval(figure: Mapping[str, Any], form: str = ".1%") -> Markup:
    """A figure and, smaller, its interval."""
    return together(
        f"{figure['value']:{form}} ",
        element("small", f"{figure['low']:{form}} to {figure['high']:{form}}"),
    )


def lead_in(sentence: str) -> Markup:
    """A sentence whose first words, up to a colon, say it all."""
    first, colon, rest = sentence.partition(": ")
    if colon and len(first) < 70:
        return together(element("strong", f"{first}:"), f" {rest}")
    return together(sentence)

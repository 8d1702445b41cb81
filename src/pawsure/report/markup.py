"""HTML and SVG as values; text is escaped.

Labels, paths and messages come from the user's data and may contain markup. So sections never
join strings: they call `element`, which escapes every child that is not `Markup`.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TypeAlias


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child: TypeAlias = "str | int | Iterable[Child] | None"
"""Content of an element: text, `Markup`, a number, several of these, or nothing."""

_VOID = {"br", "hr", "img", "meta", "link"}
"""HTML elements without content or end tag."""


def element(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """One element of HTML or SVG.

    Args:
        name: of the element.
        children: its content; text that is not `Markup` is escaped.
        attributes: a trailing underscore is dropped (`class_`), others become hyphens
            (`stroke_width`). None and False omit the attribute, True omits its value.

    Example:
        >>> element("p", "a < b", class_="lead")
        '<p class="lead">a &lt; b</p>'
    """
    opening = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{name}{opening}>")
    return Markup(f"<{name}{opening}>{together(*children)}</{name}>")


def together(*children: Child) -> Markup:
    """Children without an element around them."""
    return Markup("".join(_text(child) for child in children))


def _text(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, (str, int)):
        return _visible(escape(str(child)))
    return together(*child)


def _attribute(key: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return f' {name}="{_visible(escape(text))}"'


def _visible(text: str) -> str:
    """Replaces control characters, and bytes of names that are not valid UTF-8."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else "\N{REPLACEMENT CHARACTER}"
        for letter in text
    )

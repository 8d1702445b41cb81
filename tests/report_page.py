"""What a page of HTML is made of, read by the standard library's parser."""

from __future__ import annotations

from html.parser import HTMLParser

_VOID = {"meta", "link", "img", "br", "hr"}


class Page(HTMLParser):
    """Elements in order, text, and whether every element is closed where it should be.

    Attributes:
        elements: name and attributes of each.
        text: all that is to be read, but style.
        problems: end tags that do not fit.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.problems: list[str] = []
        self._open: list[str] = []
        self._text: list[str] = []
        self.feed(html)
        self.close()
        self.problems += self._open

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._text).split())

    def all(self, name: str) -> list[dict[str, str | None]]:
        """Attributes of every element of a name."""
        return [attributes for found, attributes in self.elements if found == name]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.problems.append(tag)

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self._text.append(data)

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawsure.report.markup import Markup, element, together


class _Reader(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(text=st.text(), value=st.text())
def test_text_stays_text_wherever_it_stands(text, value):
    read = _Reader(element("p", text, title=value))
    ((tag, ((name, found),)),) = read.tags
    assert (tag, name) == ("p", "title")
    for given_text, seen in ((text, read.text), (value, found or "")):
        if given_text.isprintable():
            assert seen == given_text


def test_what_was_built_here_is_not_escaped_again():
    inner = element("b", "a < b")
    assert element("p", inner, " & ", ["x", None, element("br")]) == (
        "<p><b>a &lt; b</b> &amp; x<br></p>"
    )
    assert isinstance(together("a", inner), Markup)


def test_attributes():
    assert element("a", class_="x", stroke_width=1.5, hidden=True, id=None, open=False) == (
        '<a class="x" stroke-width="1.5" hidden></a>'
    )


@pytest.mark.parametrize("text", ["\ud800.jpg", "a\x00b", "a\x1b[31m"])
def test_names_that_no_page_could_hold_can_be_written(text):
    assert "\N{REPLACEMENT CHARACTER}" in element("p", text)
    element("p", text).encode("utf-8")

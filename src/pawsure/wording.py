"""Numbers in sentences: nouns and verbs that agree with them."""

from __future__ import annotations


def count(number: int, one: str, many: str | None = None) -> str:
    """'1 picture', '2,000 pictures'; `many` is `one` with an s if not given."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def agreeing(number: int, one: str, many: str) -> str:
    """The verb or pronoun for a number: 'is' for 1, 'are' for any other."""
    return one if number == 1 else many


def rounded(value: float) -> float:
    """A number without rounding errors: 3e-05, not 2.9999999999999997e-05; twelve digits."""
    return float(f"{value:.12g}")


def printable(text: str) -> str:
    """Text with control characters, which could move a terminal's cursor, escaped."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )

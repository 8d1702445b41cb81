"""Words that go with numbers, so that sentences agree with what they count."""

from __future__ import annotations


def count(number: int, one: str, many: str | None = None) -> str:
    """'1 picture', '2,000 pictures'.

    Args:
        number: how many.
        one: the noun, for one of them.
        many: for any other number; by default `one` with an s.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def agreeing(number: int, one: str, many: str) -> str:
    """The verb or pronoun that goes with a number: 'is' with 1, 'are' with any other."""
    return one if number == 1 else many


def rounded(value: float) -> float:
    """A number as a person would write it: 3e-05, not 2.9999999999999997e-05.

    Arithmetic with floats leaves errors in the sixteenth digit; twelve are kept.
    """
    return float(f"{value:.12g}")


def printable(text: str) -> str:
    """Text with everything that could move a terminal's cursor written as an escape."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )

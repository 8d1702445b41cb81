"""Answers on standard output: aligned lines or JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pawsure.cli import screen
from pawsure.model.answer import Answer, Failure
from pawsure.trust.rule import NEITHER
from pawsure.wording import printable

WriteAnswer = Callable[[Answer | Failure], None]
"""Takes one result at a time, in order."""


def text_lines(paths: Sequence[Path], labels: Sequence[str]) -> WriteAnswer:
    """Aligned lines on standard output; failures on standard error.

    Args:
        paths: some of the paths, which decide the width of the first column.
        labels: of the model.
    """
    path_width = min(60, max((len(str(path)) for path in paths), default=0))
    answer_width = max(len(word) for word in (*labels, "unsure", "neither"))

    def write(result: Answer | Failure) -> None:
        path = printable(str(result.path))
        if isinstance(result, Failure):
            screen.note(f"{path}: {printable(result.error)}")
            return
        screen.answer(f"{path:<{path_width}}  {result.answer:<{answer_width}}  {_how_sure(result)}")

    return write


def _how_sure(answer: Answer) -> str:
    """The probability, or why the answer is "neither"."""
    if answer.answer == NEITHER:
        return answer.message
    label = f" {answer.label}" if answer.answer != answer.label else ""
    return f"{answer.probability:6.1%}{label}"


def json_lines(result: Answer | Failure) -> None:
    """One JSON object per line on standard output."""
    screen.answer(result.to_json())

"""Progress for people: bars with pictures a second and time left, or lines.

rich is imported by the first bar, not by this module: a prediction that shows none starts
without it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from pawsure.progress import Progress
from pawsure.wording import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


def terminal_progress() -> Progress:
    """Bars where a person is looking, else plain lines for what is worth keeping."""
    return Bar() if is_terminal(sys.stderr) else PlainLines()


def python_progress() -> Progress:
    """What a call from Python shows: bars in a terminal, else a line for each piece of work.

    In a notebook the lines go to standard output: Jupyter marks standard error as trouble.
    """
    if is_terminal(sys.stderr):
        return Bar()
    return EachPiece(sys.stdout if "ipykernel" in sys.modules else sys.stderr)


def is_terminal(stream: object) -> bool:
    """Whether a person is looking.

    Programs put objects of their own in a stream's place, or None where they have no console.
    """
    try:
        return bool(stream.isatty())  # type: ignore[attr-defined]
    except (AttributeError, ValueError):  # has no such method, or is closed
        return False


class PlainLines:
    """A `Progress` for logs and pipes: no bars, only the lines that stay."""

    def start(self, description: str, total: int | None, unit: str = "pictures") -> None:
        """Show nothing."""

    def advance(self, steps: int = 1) -> None:
        """Show nothing."""

    def finish(self) -> None:
        """Show nothing."""

    def say(self, message: str) -> None:
        """Print one line."""
        print(printable(message), file=sys.stderr, flush=True)


class EachPiece:
    """A `Progress` that also tells when a piece of work begins."""

    def __init__(self, stream: TextIO | None) -> None:
        """Write to `stream`; None: nowhere."""
        self._stream = stream

    def start(self, description: str, total: int | None, unit: str = "pictures") -> None:
        """Tell what begins."""
        self.say(f"{description}{'' if total is None else f' ({total:,} {unit})'} …")

    def advance(self, steps: int = 1) -> None:
        """Show nothing."""

    def finish(self) -> None:
        """Show nothing."""

    def say(self, message: str) -> None:
        """Write one line."""
        if self._stream is not None:
            print(message, file=self._stream, flush=True)


class Bar:
    """A `Progress` that draws one bar at a time and wipes it when the work is done."""

    def __init__(self, console: Console | None = None) -> None:
        """Draw on `console`; on standard error when there is none."""
        from rich.console import Console

        self._console = console or Console(stderr=True)
        self._bars: Bars | None = None
        self._task: TaskID | None = None

    def start(self, description: str, total: int | None, unit: str = "pictures") -> None:
        """Begin a bar; one that was left open ends."""
        self.finish()
        self._bars = _bars(self._console, unit)
        self._task = self._bars.add_task(description, total=total)
        self._bars.start()

    def advance(self, steps: int = 1) -> None:
        """Move the bar on."""
        if self._bars is not None and self._task is not None:
            self._bars.advance(self._task, steps)

    def finish(self) -> None:
        """Wipe the bar."""
        if self._bars is not None:
            self._bars.stop()
        self._bars = self._task = None

    def say(self, message: str) -> None:
        """Print one line above the bar."""
        line = printable(message)
        self._console.print(line, markup=False, emoji=False, highlight=False, soft_wrap=True)


def _bars(console: Console, unit: str) -> Bars:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:,.0f} {unit}/s")

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        Speed(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )

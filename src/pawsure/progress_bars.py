"""Progress for people: bars with pictures a second and time left, or lines.

rich is imported by the first bar, not by this module: a prediction that shows none starts
without it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from pawsure.progress import NoProgress, Progress
from pawsure.wording import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


def terminal_progress(*, verbose: bool = False) -> Progress:
    """Bars in a terminal, else lines; details only if `verbose`."""
    return Bar(verbose=verbose) if is_terminal(sys.stderr) else Lines(sys.stderr, verbose=verbose)


def python_progress() -> Progress:
    """Bars and lines for a call from Python, with details.

    In a notebook the lines go to standard output: Jupyter marks standard error as trouble.
    """
    if is_terminal(sys.stderr):
        return Bar(verbose=True)
    return Lines(sys.stdout if "ipykernel" in sys.modules else sys.stderr, verbose=True)


def is_terminal(stream: object) -> bool:
    """Whether a stream is a terminal.

    Programs may replace a stream by another object, or by None where they have no console.
    """
    try:
        return bool(stream.isatty())  # type: ignore[attr-defined]
    except (AttributeError, ValueError):  # has no such method, or is closed
        return False


class Lines(NoProgress):
    """A `Progress` for logs, pipes and notebooks: one line a message, no bars.

    Args:
        stream: where lines go; None: nowhere.
        verbose: whether to show details, and a line when a piece of work begins.
    """

    def __init__(self, stream: TextIO | None, *, verbose: bool = False) -> None:
        self._stream = stream
        self._verbose = verbose

    def start(self, description: str, total: int | None, unit: str = "pictures") -> None:
        """Name the piece of work."""
        self.detail(f"{description}{'' if total is None else f' ({total:,} {unit})'} …")

    def say(self, message: str) -> None:
        """Write one line."""
        if self._stream is not None:
            print(printable(message), file=self._stream, flush=True)

    def detail(self, message: str) -> None:
        """Write one line if verbose."""
        if self._verbose:
            self.say(message)


class Bar:
    """A `Progress` that draws one bar at a time and removes it when the work is done.

    Args:
        console: where to draw; None: on standard error.
        verbose: whether to show details.
    """

    def __init__(self, console: Console | None = None, *, verbose: bool = False) -> None:
        from rich.console import Console

        self._console = console or Console(stderr=True)
        self._verbose = verbose
        self._bars: Bars | None = None
        self._task: TaskID | None = None

    def start(self, description: str, total: int | None, unit: str = "pictures") -> None:
        """Show a new bar; an open one is removed."""
        self.finish()
        self._bars = _bars(self._console, unit)
        self._task = self._bars.add_task(description, total=total)
        self._bars.start()

    def advance(self, steps: int = 1) -> None:
        """Advance the bar."""
        if self._bars is not None and self._task is not None:
            self._bars.advance(self._task, steps)

    def finish(self) -> None:
        """Remove the bar."""
        if self._bars is not None:
            self._bars.stop()
        self._bars = self._task = None

    def say(self, message: str) -> None:
        """Print one line above the bar."""
        line = printable(message)
        self._console.print(line, markup=False, emoji=False, highlight=False, soft_wrap=True)

    def detail(self, message: str) -> None:
        """Print one line if verbose."""
        if self._verbose:
            self.say(message)


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

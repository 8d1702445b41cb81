"""run.log and the seconds of each step, while a run goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from pawsure.progress import Progress
from pawsure.training.run_folder import LOG, RunFolder


class RunLog:
    """What a run reports: to whoever watches, and to run.log once there is a run folder.

    Args:
        progress: of the run.

    Attributes:
        progress: the same.
        seconds: of each finished step, by its name.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.seconds: dict[str, float] = {}
        self._folder: RunFolder | None = None
        self._lines: list[str] = []
        self._started = time.perf_counter()

    def warn(self, message: str) -> None:
        """Show a warning, and log it."""
        self.progress.say(message)
        self.write(message)

    def say(self, message: str) -> None:
        """Log a detail; it is shown only if details were asked for."""
        self.progress.detail(message)
        self.write(message)

    def write(self, message: str) -> None:
        """Log a line without showing it."""
        self._lines.append(f"{self.elapsed():8.1f} s  {message}\n")
        if self._folder is not None:
            self._folder.write_text(LOG, "".join(self._lines))

    def keep_in(self, folder: RunFolder) -> None:
        """From the next line on, write run.log in this folder."""
        self._folder = folder

    def elapsed(self) -> float:
        """Seconds since the run began."""
        return round(time.perf_counter() - self._started, 2)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Measure a step."""
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 2)

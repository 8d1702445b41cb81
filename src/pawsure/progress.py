"""How long work reports what it has done, without knowing who is watching."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the steps and messages of long work.

    The command line shows them as bars and lines; tests and library users may ignore them.
    """

    def start(self, description: str, total: int | None, unit: str = "pictures") -> None:
        """Begin a piece of work of `total` steps (None: unknown)."""

    def advance(self, steps: int = 1) -> None:
        """Report that `steps` more are done."""

    def finish(self) -> None:
        """End the piece of work."""

    def say(self, message: str) -> None:
        """Show one line that everybody should see, such as a warning."""

    def detail(self, message: str) -> None:
        """Show one line to those who asked for details."""


class NoProgress:
    """A `Progress` that shows nothing."""

    def start(self, description: str, total: int | None, unit: str = "pictures") -> None:
        """Do nothing."""

    def advance(self, steps: int = 1) -> None:
        """Do nothing."""

    def finish(self) -> None:
        """Do nothing."""

    def say(self, message: str) -> None:
        """Do nothing."""

    def detail(self, message: str) -> None:
        """Do nothing."""


NO_PROGRESS = NoProgress()

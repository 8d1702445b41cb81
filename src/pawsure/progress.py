"""How long work tells what it has done, without knowing who is looking."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives steps of one piece of long work.

    The command line shows them as a bar; tests and library users may ignore them.
    """

    def start(self, description: str, total: int | None, unit: str = "pictures") -> None:
        """Begin a piece of work of `total` steps (None: unknown)."""

    def advance(self, steps: int = 1) -> None:
        """Report that `steps` more are done."""

    def finish(self) -> None:
        """End the piece of work."""

    def say(self, message: str) -> None:
        """Show one line that stays."""


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


NO_PROGRESS = NoProgress()

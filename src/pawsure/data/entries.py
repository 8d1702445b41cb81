"""What a source of pictures is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pawsure.data.split_names import split_named as split_named

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture as its source names it.

    Attributes:
        path: what `Source.read` takes, and what people are shown.
        label: the class, or None where the source has none for it.
        split: one of `SPLITS`, or None where the source leaves it open.
        problem: why it can't be used, if that shows without reading it; else empty.
    """

    path: str
    label: str | None
    split: str | None = None
    problem: str = ""


class Source(Protocol):
    """A place that pictures come from."""

    @property
    def name(self) -> str:
        """What the user called it."""

    @property
    def kind(self) -> str:
        """'folder', 'zip' or 'manifest'."""

    @property
    def folder(self) -> Path | None:
        """What paths are relative to; None where pictures are not files of their own."""

    @property
    def entries(self) -> Sequence[Entry]:
        """All its pictures, in an order that does not change from run to run."""

    @property
    def notes(self) -> Sequence[str]:
        """What was passed over when it was opened, in sentences."""

    def read(self, path: str) -> bytes:
        """The bytes of one picture; safe to call from many threads.

        Raises:
            PictureError: it is missing, too large, or can't be read.
        """

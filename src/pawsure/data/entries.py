"""What a source of pictures is, and what it says of each of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pawsure.data.file_names import as_text
from pawsure.errors import SourceError

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture as its source lists it.

    Attributes:
        path: what `Source.read` takes, and what people are shown.
        label: the class; None where the source has none for it.
        split: one of `SPLITS`; None where the source does not give it.
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
        """What was skipped when it was opened, in sentences."""

    def read(self, path: str) -> bytes:
        """The bytes of one picture; safe to call from many threads.

        Raises:
            PictureError: it is missing, too large, or can't be read.
        """


def check_spelling(entries: Iterable[Entry], where: str) -> None:
    """Refuse labels that differ only in case, except single letters (pictures of handwriting).

    Raises:
        SourceError: two labels do; the message names them.
    """
    seen: dict[str, str] = {}
    for label in sorted({entry.label for entry in entries if entry.label}):
        other = seen.setdefault(label.casefold(), label)
        if other != label and len(label) > 1:
            raise SourceError(
                f"{where} has the labels '{as_text(other)}' and '{as_text(label)}', which differ "
                "only in upper and lower case. Rename one of them: to the other if they are the "
                "same, else so that they can be told apart."
            )

"""Labels that can't be told apart for sure."""

from __future__ import annotations

from collections.abc import Iterable

from pawsure.data.entries import Entry
from pawsure.data.file_names import as_text
from pawsure.errors import SourceError


def check_spelling(entries: Iterable[Entry], where: str) -> None:
    """Refuse labels that differ in upper and lower case alone.

    Single letters may: they are what pictures of handwriting show.

    Raises:
        SourceError: two labels do; the message names them.
    """
    labels = sorted({entry.label for entry in entries if entry.label})
    seen: dict[str, str] = {}
    for label in labels:
        other = seen.setdefault(label.casefold(), label)
        if other != label and len(label) > 1:
            raise SourceError(
                f"{where} has the labels '{as_text(other)}' and '{as_text(label)}', which differ "
                "only in upper and lower case. Rename one of them: to the other if they are the "
                "same, else so that they can be told apart."
            )

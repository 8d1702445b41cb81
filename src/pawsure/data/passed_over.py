"""What a search for pictures passed over, counted and named in a few words."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from pawsure.data.file_names import as_text
from pawsure.data.formats import VIDEO_SUFFIXES
from pawsure.data.litter import is_hidden

_MOST_NAMED = 3


class PassedOver:
    """Collects what is passed over, and says it.

    Attributes:
        locked: reason by path, of folders that could not be searched.
        empty: folders that hold neither pictures nor folders.
        special: pipes, sockets and devices.
        classes: files with a picture's label in them, beside it.
    """

    def __init__(self) -> None:
        self.locked: dict[str, str] = {}
        self.empty: list[str] = []
        self.special: list[str] = []
        self.classes: list[str] = []
        self._litter: Counter[str] = Counter()
        self._videos: Counter[str] = Counter()
        self._without_suffix: list[str] = []
        self._told: list[str] = []

    def add(self, found: PassedOver, below: Path) -> None:
        """What was passed over in one of several folders."""

        def named(path: str) -> str:
            return str(below / path)

        self.locked |= {named(path): reason for path, reason in found.locked.items()}
        self.empty += map(named, found.empty)
        self.special += map(named, found.special)
        self._without_suffix += map(named, found._without_suffix)
        self._litter += found._litter
        self._videos += found._videos

    def add_litter(self, name: str) -> None:
        """A folder that a system keeps for itself; hidden ones are not worth a word."""
        if not is_hidden(name):
            self._litter[name] += 1

    def add_file(self, path: str) -> None:
        """A file that is not named as a picture."""
        suffix = os.path.splitext(path)[1].lower()
        if suffix in VIDEO_SUFFIXES:
            self._videos[suffix] += 1
        elif suffix == ".cls":  # WebDataset's
            self.classes.append(path)
        elif not suffix:
            self._without_suffix.append(path)

    def say(self, sentence: str) -> None:
        """Something else that was passed over, in words."""
        self._told.append(sentence)

    def sentences(self) -> list[str]:
        """All of it for people; nothing where nothing was passed over."""
        parts = [
            _counted(sorted(self.empty), "folder without pictures", "folders without pictures"),
            _counted(
                sorted(self._without_suffix),
                "file without a suffix such as .jpg",
                "files without a suffix such as .jpg",
            ),
            _counted(
                _tallied(self._videos), "video", "videos", number=sum(self._videos.values())
            ),
            _counted(self.special, "pipe, socket or device", "pipes, sockets or devices"),
            _counted(
                list(self._litter), "system folder", "system folders",
                number=sum(self._litter.values()),
            ),
        ]  # fmt: skip
        found = ", ".join(part for part in parts if part)
        said = [f"Passed over: {found}."] if found else []
        said += [
            f"The folder {as_text(path)} can't be searched ({reason}); its pictures are missing."
            for path, reason in list(self.locked.items())[:_MOST_NAMED]
        ]
        more = len(self.locked) - _MOST_NAMED
        if more > 0:
            said.append(f"{more:,} more folders can't be searched.")
        return [*said, *self._told]


def _tallied(counter: Counter[str]) -> list[str]:
    return [f"{name} {count:,}" for name, count in counter.most_common()]


def _counted(names: Iterable[str], one: str, many: str, *, number: int | None = None) -> str:
    names = list(names)
    number = len(names) if number is None else number
    if not number:
        return ""
    shown = ", ".join(map(as_text, names[:_MOST_NAMED]))
    more = ", …" if len(names) > _MOST_NAMED else ""
    return f"{number:,} {one if number == 1 else many} ({shown}{more})"

"""What a search for pictures skipped, counted and named in a few words."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pawsure.data.file_names import as_text
from pawsure.data.formats import VIDEO_SUFFIXES
from pawsure.wording import count

_MAX_NAMED = 3


class Skipped:
    """Collects what a search skips, and reports it.

    Attributes:
        unsearchable: reason by path, of folders that could not be searched.
        empty: folders that hold neither pictures nor folders.
        special: pipes, sockets and devices.
        class_files: files with a picture's label in them, beside it.
        system_folders: how often, by name.
        notes: what else was skipped, as sentences.
    """

    def __init__(self) -> None:
        self.unsearchable: dict[str, str] = {}
        self.empty: list[str] = []
        self.special: list[str] = []
        self.class_files: list[str] = []
        self.system_folders: Counter[str] = Counter()
        self.notes: list[str] = []
        self._videos: Counter[str] = Counter()
        self._without_suffix: list[str] = []

    def add(self, other: Skipped, below: Path) -> None:
        """Add what was skipped in one of several folders."""
        self.unsearchable |= {str(below / path): why for path, why in other.unsearchable.items()}
        self.empty += [str(below / path) for path in other.empty]
        self.special += [str(below / path) for path in other.special]
        self._without_suffix += [str(below / path) for path in other._without_suffix]
        self.system_folders += other.system_folders
        self._videos += other._videos

    def add_file(self, path: str) -> None:
        """Add a file that is not named as a picture."""
        suffix = os.path.splitext(path)[1].lower()
        if suffix in VIDEO_SUFFIXES:
            self._videos[suffix] += 1
        elif suffix == ".cls":  # WebDataset's
            self.class_files.append(path)
        elif not suffix:
            self._without_suffix.append(path)

    def sentences(self) -> list[str]:
        """All of it for people; nothing where nothing was skipped."""
        videos = [f"{suffix} {number:,}" for suffix, number in self._videos.most_common()]
        parts = [
            _listed(sorted(self.empty), "folder without pictures", "folders without pictures"),
            _listed(
                sorted(self._without_suffix),
                "file without a suffix such as .jpg",
                "files without a suffix such as .jpg",
            ),
            _listed(videos, "video", number=self._videos.total()),
            _listed(self.special, "pipe, socket or device", "pipes, sockets or devices"),
            _listed(list(self.system_folders), "system folder", number=self.system_folders.total()),
        ]
        skipped = ", ".join(filter(None, parts))
        sentences = [f"Skipped: {skipped}."] if skipped else []
        sentences += [
            f"The folder {as_text(path)} can't be searched ({reason}); its pictures are missing."
            for path, reason in list(self.unsearchable.items())[:_MAX_NAMED]
        ]
        if (more := len(self.unsearchable) - _MAX_NAMED) > 0:
            sentences.append(f"{more:,} more folders can't be searched.")
        return sentences + self.notes


def _listed(names: Sequence[str], one: str, many: str | None = None, *, number: int = 0) -> str:
    if not names:
        return ""
    shown = ", ".join(map(as_text, names[:_MAX_NAMED]))
    more = ", …" if len(names) > _MAX_NAMED else ""
    return f"{count(number or len(names), one, many)} ({shown}{more})"

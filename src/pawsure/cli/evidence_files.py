"""The pictures that `pawsure predict --evidence DIR` leaves behind."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pawsure.errors import PictureError, UsageError
from pawsure.model.answer import Answer, Failure

ENDING = ".evidence.jpg"
"""No camera or program uses this name, so no picture of the user is overwritten."""

INDEX = "index.csv"

_LONGEST_NAME = 100  # most file systems take 255 bytes, and letters may take four
_LONGEST_PX = 640


class EvidenceFolder:
    """Saves the heat maps of answers, one file each, and lists which is of which picture.

    Args:
        folder: created if it does not exist.
        searched: files and folders that the pictures come from.

    Raises:
        UsageError: the folder is inside of those, so that the next run would take maps for
            pictures, or can't be created.
    """

    def __init__(self, folder: Path, searched: Sequence[Path]) -> None:
        self.folder = folder
        self._taken: set[str] = set()
        self._index: list[tuple[str, str]] = []
        _refuse_inside(folder, searched)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{folder} can't be created: {error.strerror or error}.") from error

    def write(self, answer: Answer | Failure) -> None:
        """Save one heat map; unreadable pictures are left out."""
        from pawsure.data.files import atomic_path

        if isinstance(answer, Failure) or answer.path is None:
            return
        try:
            drawn = answer.overlay(longest_px=_LONGEST_PX)
        except PictureError:
            return
        name = self._name_for(answer.path)
        with atomic_path(self.folder / name) as temporary:
            drawn.save(temporary, "JPEG", quality=88)
        self._index.append((answer.path, name))

    def write_index(self) -> None:
        """Write which file shows which picture."""
        from pawsure.data.files import atomic_path

        with (
            atomic_path(self.folder / INDEX) as temporary,
            temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
        ):
            table: Any = csv.writer(file)
            table.writerow(("path", "evidence"))
            table.writerows(self._index)

    def __len__(self) -> int:
        """How many were drawn."""
        return len(self._index)

    def _name_for(self, path: str) -> str:
        """The picture's own name if it is free, else with a hash of its path."""
        stem = plain_name(Path(path).stem)
        digest = hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()
        names = (stem, *(f"{stem}-{digest[:length]}" for length in (8, 16, 64)))
        counted = (f"{stem}-{digest}-{turn}" for turn in range(2, len(self._taken) + 3))
        name = next(name for name in (*names, *counted) if name.casefold() not in self._taken)
        self._taken.add(name.casefold())  # for file systems that ignore case
        return name + ENDING


def plain_name(stem: str) -> str:
    """A file name that every system takes: no separators, no reserved names."""
    name = re.sub(r"[^\w.()+ -]", "_", stem, flags=re.UNICODE)
    name = name.encode("utf-8", "replace").decode().strip(" .")[:_LONGEST_NAME]
    is_device = re.fullmatch(r"(?i:con|prn|aux|nul|com\d|lpt\d)(\..*)?", name)
    return f"_{name}" if is_device or not name or name.startswith("-") else name


@contextmanager
def evidence_folder(folder: Path, searched: Sequence[Path]) -> Iterator[EvidenceFolder]:
    """A folder for heat maps, which gets its index in the end."""
    drawn = EvidenceFolder(folder, searched)
    yield drawn
    drawn.write_index()


def _refuse_inside(folder: Path, searched: Sequence[Path]) -> None:
    place = folder.resolve()
    for path in searched:
        given = path.resolve()
        if given.is_dir() and (place == given or given in place.parents):
            raise UsageError(
                f"--evidence {folder} is inside {path}: the next run would classify the heat maps. "
                "Choose a folder outside of it."
            )
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--evidence {folder} is a file; name a folder.")

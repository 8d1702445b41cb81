"""The lists of the Oxford-IIIT Pet data set.

`annotations/trainval.txt` and `annotations/test.txt` have a line for each picture,

    Abyssinian_100 1 1 1

with its name without `.jpg`, its breed (1 to 37), its species (1: cat, 2: dog) and the breed's
number within the species (Parkhi et al. 2012, and the header of `annotations/list.txt`).
"""

from __future__ import annotations

import re
from pathlib import Path

from pawsure.data.entries import Entry
from pawsure.errors import DownloadError

_SPLITS = {"trainval.txt": "train", "test.txt": "test"}
_SPECIES = {"1": "cat", "2": "dog"}
_WANTED = re.compile(r"images/[A-Za-z_]+_\d+\.jpg|annotations/(list|trainval|test)\.txt")
_PICTURE = re.compile(r"[A-Za-z_]+_\d+")
_REMOVE = "Remove the folder to download the data set again."


def is_wanted(name: str) -> bool:
    """Whether a member of the archives is a picture or a list; masks and boxes are not."""
    return _WANTED.fullmatch(name) is not None


def read_entries(folder: Path) -> list[Entry]:
    """Labels by species and splits as published, for every picture that is listed.

    A picture that is missing fails when it is read. The archive has 7,390 pictures, of which 7,349
    are listed; as in other libraries, the rest is not part of the data set.

    Args:
        folder: with `annotations` in it.

    Returns:
        An entry for each picture, sorted by path.

    Raises:
        DownloadError: a list is missing or malformed, or a picture is listed twice.
    """
    entries: dict[str, Entry] = {}
    for name, split in _SPLITS.items():
        for entry in _read_list(folder / "annotations" / name, split):
            if entry.path in entries:
                raise DownloadError(f"{folder / 'annotations'} lists {entry.path} twice. {_REMOVE}")
            entries[entry.path] = entry
    return [entries[path] for path in sorted(entries)]


def _read_list(path: Path, split: str) -> list[Entry]:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise DownloadError(f"{path} can't be read ({exc}). {_REMOVE}") from exc
    entries = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or line.startswith("#"):
            continue
        if len(words) != 4 or words[2] not in _SPECIES or not _PICTURE.fullmatch(words[0]):
            raise DownloadError(
                f"{path}, line {number}: expected a name and three numbers, the second of them 1 "
                f"(cat) or 2 (dog); found {line[:80]!r}. {_REMOVE}"
            )
        entries.append(Entry(f"images/{words[0]}.jpg", _SPECIES[words[2]], split))
    return entries

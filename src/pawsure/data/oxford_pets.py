"""The lists of the Oxford-IIIT Pet data set: which picture shows what, and is for what.

`annotations/trainval.txt` and `annotations/test.txt` have a line for each picture,

    Abyssinian_100 1 1 1

with the name of the picture without `.jpg`, its breed (1 to 37), its species (1 for cats, 2 for
dogs) and the breed's number within the species (Parkhi et al. 2012, and the header of the
`annotations/list.txt` beside them).
"""

from __future__ import annotations

import re
from pathlib import Path

from pawsure.data.entries import Entry
from pawsure.errors import DownloadError

LISTS = {"trainval.txt": "train", "test.txt": "test"}
"""The published lists, and the splits that they are here."""

_SPECIES = {"1": "cat", "2": "dog"}
_WANTED = re.compile(r"images/[A-Za-z_]+_\d+\.jpg|annotations/(list|trainval|test)\.txt")
_PICTURE = re.compile(r"[A-Za-z_]+_\d+")


def is_wanted(name: str) -> bool:
    """Whether a member of the archives is a picture or a list; masks and boxes are not."""
    return _WANTED.fullmatch(name) is not None


def read_entries(folder: Path) -> list[Entry]:
    """Labels by species and splits as published, for every picture that is listed.

    That one of them is missing shows when it is read. The archive of pictures has a few more
    (7,390 where 7,349 are listed), which belong to neither split and have no published species;
    as in other libraries, they are not part of the data set.

    Args:
        folder: with `annotations` in it.

    Returns:
        An entry for each picture, sorted by path.

    Raises:
        DownloadError: a list is missing or malformed, or a picture is listed twice.
    """
    entries: dict[str, Entry] = {}
    for name, split in LISTS.items():
        for entry in _read_list(folder / "annotations" / name, split):
            if entry.path in entries:
                raise DownloadError(f"{folder / 'annotations'} lists {entry.path} twice. {_ANEW}")
            entries[entry.path] = entry
    return [entries[path] for path in sorted(entries)]


def _read_list(path: Path, split: str) -> list[Entry]:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise DownloadError(f"{path} can't be read ({exc}). {_ANEW}") from exc
    return [
        _entry(line, split, f"{path}, line {number}")
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.startswith("#")
    ]


def _entry(line: str, split: str, where: str) -> Entry:
    words = line.split()
    if len(words) != 4 or words[2] not in _SPECIES or not _PICTURE.fullmatch(words[0]):
        raise DownloadError(
            f"{where}: expected a name and three numbers, the second of them 1 (cat) or 2 (dog); "
            f"found {line[:80]!r}. {_ANEW}"
        )
    return Entry(f"images/{words[0]}.jpg", _SPECIES[words[2]], split)


_ANEW = "Remove the folder to have the data set fetched anew."

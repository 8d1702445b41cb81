"""Which pictures a folder holds: listed as they are needed, in an order that does not change.

A folder of a million pictures is a list of 100 MB as paths. Here the names of one folder at a
time are kept, sorted and packed (20 MB for a million), and only for the folders that a path
leads through.
"""

from __future__ import annotations

import heapq
import os
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from pawsure.data.formats import PICTURE_SUFFIXES, is_hidden
from pawsure.errors import SourceError

_NAMES_A_RUN = 50_000  # sorted at a time, 4 MB


def list_pictures(paths: Iterable[str | Path]) -> list[Path]:
    """What `iter_pictures` gives, all at once.

    Raises:
        SourceError: a folder holds no pictures, or can't be searched.
    """
    return list(iter_pictures(paths))


def iter_pictures(paths: Iterable[str | Path]) -> Iterator[Path]:
    """The pictures that paths stand for, in their order, each looked up when it is asked for.

    Args:
        paths: files, taken as they are (that a file is missing or no picture shows when it is
            read); and folders, searched with all inside them for files named as pictures,
            sorted by path, hidden ones left out.

    Raises:
        SourceError: a folder holds no pictures, or can't be searched; when it is its turn.
    """
    for path, name in _found(paths):
        yield path / name


def count_pictures(paths: Iterable[str | Path]) -> int:
    """How many `iter_pictures` will give: two to three seconds for a million.

    Raises:
        SourceError: a folder holds no pictures, or can't be searched.
    """
    return sum(1 for _ in _found(paths))


def _found(paths: Iterable[str | Path]) -> Iterator[tuple[Path, str]]:
    """What was given, and the name of a picture in it, empty for a file."""
    for path in map(Path, paths):
        if not path.is_dir():
            yield path, ""
            continue
        name = ""
        for name in pictures_under(path):
            yield path, name
        if not name:
            raise SourceError(
                f"{path} holds no pictures, nor do the folders in it. Name another folder, or "
                "the files themselves."
            )


def pictures_under(root: Path) -> Iterator[str]:
    """Paths of the pictures in a folder and in those below it, relative to it.

    With forward slashes, sorted; links are followed, loops are not.

    Raises:
        SourceError: a folder can't be searched.
    """
    seen: set[tuple[int, int]] = set()
    under_way = [_inside(root, "", seen)]
    while under_way:
        path = next(under_way[-1], None)
        if path is None:
            under_way.pop()
        elif path.endswith("/"):
            under_way.append(_inside(root, path, seen))
        else:
            yield path


def _inside(root: Path, folder: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    """Pictures of one folder, and the folders in it, these with a slash at the end.

    The slash sorts whatever is in a folder to where it belongs among all paths.
    """
    place = root / folder
    try:
        status = os.stat(place)
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(place) as entries:
            names = _sorted(_wanted(entries))
    except OSError as exc:
        raise SourceError(
            f"The folder {place} can't be searched ({exc.strerror}). Make it readable, or move "
            "it away."
        ) from exc
    for name in names:
        yield folder + name


def _wanted(entries: Iterable[os.DirEntry[str]]) -> Iterator[str]:
    for entry in entries:
        name = entry.name
        if is_hidden(name):
            continue
        if entry.is_dir():
            yield name + "/"
        elif os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES:
            yield name


def _sorted(names: Iterator[str]) -> Iterator[str]:
    """Sort names; while they wait for their turn they are packed, by runs, a byte a letter."""
    runs = []
    while run := sorted(islice(names, _NAMES_A_RUN)):
        runs.append("\0".join(run))
    return heapq.merge(*map(_unpacked, runs))


def _unpacked(run: str) -> Iterator[str]:
    return (name[0] for name in re.finditer(r"[^\0]+", run))

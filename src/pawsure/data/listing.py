"""Which pictures a folder holds: listed as they are needed, in an order that does not change.

A folder of a million pictures is a list of 100 MB as paths. Here only the names of the folders
that a path leads through are kept, sorted and packed (20 MB for a million).
"""

from __future__ import annotations

import heapq
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from pawsure.data.formats import PICTURE_SUFFIXES
from pawsure.data.ignored import is_hidden, is_system_name
from pawsure.data.skipped import Skipped
from pawsure.errors import SourceError

_NAMES_A_RUN = 50_000  # sorted at a time, 4 MB


def list_pictures(paths: Iterable[str | Path], skipped: Skipped | None = None) -> list[Path]:
    """What `iter_pictures` gives, all at once."""
    return list(iter_pictures(paths, skipped))


def iter_pictures(paths: Iterable[str | Path], skipped: Skipped | None = None) -> Iterator[Path]:
    """The pictures that paths stand for, in their order, each found when it is asked for.

    Args:
        paths: files, given as they are (one that is missing or no picture fails when it is read);
            and folders, searched with all inside them for files named as pictures, sorted by
            path, without hidden ones and those of systems. A folder that can't be searched is
            given itself, after the pictures of the path it is in: reading it says why.
        skipped: collects what is skipped.

    Raises:
        SourceError: there are no pictures in any of them.
    """
    for path, name in _found(paths, skipped or Skipped()):
        yield path / name


def count_pictures(paths: Iterable[str | Path], skipped: Skipped | None = None) -> int:
    """How many `iter_pictures` will give; a million take two to three seconds."""
    return sum(1 for _ in _found(paths, skipped or Skipped()))


def _found(paths: Iterable[str | Path], skipped: Skipped) -> Iterator[tuple[Path, str]]:
    """The given path, and the name of a picture in it, empty for a file."""
    given = [Path(path) for path in paths]
    system_names = _system_names_of_a_pattern(given)
    found_any = False
    for path in given:
        if path in system_names:
            skipped.system_folders[system_names[path]] += 1
        elif not os.path.isdir(path):
            found_any = True
            yield path, ""
        else:
            here, name = Skipped(), ""
            for name in pictures_under(path, here):
                yield path, name
            for unsearchable in here.unsearchable:
                yield path, unsearchable
            if name or here.unsearchable:
                found_any = True
            else:
                here.empty[:] = [""]
            skipped.add(here, path)
    if given and not found_any:
        if archives := sorted(given[0].glob("*.zip")):
            raise SourceError(
                f"{given[0]} holds no pictures, but archives. Unpack them first: {archives[0]}."
            )
        raise SourceError(
            f"{given[0]} holds no pictures, nor do the folders in it. Name another folder, or "
            "the files themselves."
        )


def _system_names_of_a_pattern(paths: Sequence[Path]) -> dict[Path, str]:
    """System names, by path, that a shell has put in place of `photos/*`: among what is beside.

    Alone, such a folder was named on purpose.
    """
    parents = {parent: _first_system_name(parent) for parent in {path.parent for path in paths}}
    found: dict[Path, tuple[Path, str]] = {}
    beside: set[Path] = set()
    for path in paths:
        place = parents[path.parent]
        if place is None and is_system_name(path.name):
            place = path.parent, path.name
        if place is None:
            beside.add(path.parent)
        else:
            found[path] = place
    return {path: name for path, (parent, name) in found.items() if parent in beside}


def _first_system_name(folder: Path) -> tuple[Path, str] | None:
    """The first system name on a path, and the folder it is in."""
    for place, name in enumerate(folder.parts):
        if is_system_name(name):
            return Path(*folder.parts[:place]), name
    return None


def pictures_under(root: Path, skipped: Skipped | None = None) -> Iterator[str]:
    """Paths of the pictures in a folder and in those below it, relative to it.

    With forward slashes, sorted; links are followed, loops are not.

    Args:
        root: the folder.
        skipped: collects folders that can't be searched, files that are no pictures, …
    """
    skipped = skipped or Skipped()
    seen: set[tuple[int, int]] = set()
    stack = [_inside(root, "", seen, skipped)]
    while stack:
        path = next(stack[-1], None)
        if path is None:
            stack.pop()
        elif path.endswith("/"):
            stack.append(_inside(root, path, seen, skipped))
        else:
            yield path


def why_unsearchable(folder: str | Path) -> str:
    """Why a folder can't be searched; empty if it can."""
    try:
        os.scandir(folder).close()
    except OSError as exc:
        return exc.strerror or str(exc)
    return ""


def _inside(root: Path, folder: str, seen: set[tuple[int, int]], skipped: Skipped) -> Iterator[str]:
    """Pictures of one folder, and the folders in it, these with a slash at the end.

    The slash sorts whatever is in a folder to where it belongs among all paths.
    """
    try:
        status = os.stat(root / folder)
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(root / folder) as entries:
            names = _sorted(_wanted(entries, folder, skipped))
    except OSError as exc:
        skipped.unsearchable[folder.rstrip("/")] = exc.strerror or str(exc)
        return
    name = ""
    for name in names:
        yield folder + name
    if not name:
        skipped.empty.append(folder.rstrip("/"))


def _wanted(entries: Iterable[os.DirEntry[str]], folder: str, skipped: Skipped) -> Iterator[str]:
    for entry in entries:
        name = entry.name
        is_picture = os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES
        if is_hidden(name):
            continue
        # No system's name is that of a picture, and nearly everything else is.
        if not is_picture and is_system_name(name):
            if _kind(entry) == _FOLDER:
                skipped.system_folders[name] += 1
            continue
        kind = _kind(entry)
        if kind == _FOLDER:
            yield name + "/"
        elif not is_picture:
            skipped.add_file(folder + name)
        elif kind == _SPECIAL:
            skipped.special.append(folder + name)
        else:
            yield name


_FOLDER, _FILE, _SPECIAL = "folder", "file", "special"


def _kind(entry: os.DirEntry[str]) -> str:
    """What an entry is; a link that leads nowhere, or in a circle, is a file that is missing.

    Reading a pipe would never end, so it has to be told from a file.
    """
    try:
        if entry.is_dir():
            return _FOLDER
        if entry.is_file() or not os.path.exists(entry):
            return _FILE
    except OSError:
        return _FILE
    return _SPECIAL


def _sorted(names: Iterator[str]) -> Iterator[str]:
    """Sort names; while they wait they are packed, by runs, a byte a letter."""
    runs = []
    while run := sorted(islice(names, _NAMES_A_RUN)):
        runs.append("\0".join(run))
    return heapq.merge(*map(_unpacked, runs))


def _unpacked(run: str) -> Iterator[str]:
    return (name[0] for name in re.finditer(r"[^\0]+", run))

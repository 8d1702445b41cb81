"""Which pictures a folder holds: listed as they are needed, in an order that does not change.

A folder of a million pictures is a list of 100 MB as paths. Here the names of one folder at a
time are kept, sorted and packed (20 MB for a million), and only for the folders that a path
leads through.
"""

from __future__ import annotations

import heapq
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from pawsure.data.formats import PICTURE_SUFFIXES
from pawsure.data.litter import is_hidden, is_litter
from pawsure.data.passed_over import PassedOver
from pawsure.errors import SourceError

_NAMES_A_RUN = 50_000  # sorted at a time, 4 MB


def list_pictures(paths: Iterable[str | Path], passed: PassedOver | None = None) -> list[Path]:
    """What `iter_pictures` gives, all at once.

    Raises:
        SourceError: there are no pictures in any of them.
    """
    return list(iter_pictures(paths, passed))


def iter_pictures(paths: Iterable[str | Path], passed: PassedOver | None = None) -> Iterator[Path]:
    """The pictures that paths stand for, in their order, each looked up when it is asked for.

    Args:
        paths: files, taken as they are (that a file is missing or no picture shows when it is
            read); and folders, searched with all inside them for files named as pictures,
            sorted by path, hidden ones and litter left out. A folder that can't be searched is
            given itself, behind the pictures of the path it is in: reading it says why.
        passed: told of what is passed over.

    Raises:
        SourceError: there are no pictures in any of them.
    """
    for path, name in _found(paths, PassedOver() if passed is None else passed):
        yield path / name


def count_pictures(paths: Iterable[str | Path], passed: PassedOver | None = None) -> int:
    """How many `iter_pictures` will give: two to three seconds for a million.

    Raises:
        SourceError: there are no pictures in any of them.
    """
    return sum(1 for _ in _found(paths, PassedOver() if passed is None else passed))


def _found(paths: Iterable[str | Path], passed: PassedOver) -> Iterator[tuple[Path, str]]:
    """What was given, and the name of a picture in it, empty for a file."""
    named = [Path(path) for path in paths]
    litter = _litter_of_a_pattern(named)
    found_any = False
    for path in named:
        if path in litter:
            passed.add_litter(litter[path])
            continue
        if not os.path.isdir(path):
            found_any = True
            yield path, ""
            continue
        here, name = PassedOver(), ""
        for name in pictures_under(path, here):
            yield path, name
        for locked in here.locked:
            yield path, locked
        found_any |= bool(name or here.locked)
        if not name and not here.locked:
            here.empty[:] = [""]
        passed.add(here, path)
    if named and not found_any:
        if archives := sorted(named[0].glob("*.zip")):
            raise SourceError(
                f"{named[0]} holds no pictures, but archives. Unpack them first: {archives[0]}."
            )
        raise SourceError(
            f"{named[0]} holds no pictures, nor do the folders in it. Name another folder, or "
            "the files themselves."
        )


def _litter_of_a_pattern(paths: Sequence[Path]) -> dict[Path, str]:
    """Litter that a shell has put in the place of `photos/*`: it stands among what is beside it.

    Alone, such a folder was named on purpose. Gives the name of the litter by path.
    """
    parents = {parent: _litter_on_the_way(parent) for parent in {path.parent for path in paths}}
    found: dict[Path, tuple[Path, str]] = {}
    beside: set[Path] = set()
    for path in paths:
        litter = parents[path.parent]
        if litter is None and is_litter(path.name) and not is_hidden(path.name):
            litter = path.parent, path.name
        if litter is None:
            beside.add(path.parent)
        else:
            found[path] = litter
    return {path: name for path, (parent, name) in found.items() if parent in beside}


def _litter_on_the_way(folder: Path) -> tuple[Path, str] | None:
    """Where the first litter on a path lies, and its name; hidden folders are not meant."""
    for place, name in enumerate(folder.parts):
        if is_litter(name) and not is_hidden(name):
            return Path(*folder.parts[:place]), name
    return None


def pictures_under(root: Path, passed: PassedOver | None = None) -> Iterator[str]:
    """Paths of the pictures in a folder and in those below it, relative to it.

    With forward slashes, sorted; links are followed, loops are not.

    Args:
        root: the folder.
        passed: told of what is passed over: folders that can't be searched, litter, …
    """
    passed = PassedOver() if passed is None else passed
    seen: set[tuple[int, int]] = set()
    under_way = [_inside(root, "", seen, passed)]
    while under_way:
        path = next(under_way[-1], None)
        if path is None:
            under_way.pop()
        elif path.endswith("/"):
            under_way.append(_inside(root, path, seen, passed))
        else:
            yield path


def why_not_searched(folder: str | Path) -> str:
    """Why a folder can't be searched; empty if it can."""
    try:
        os.scandir(folder).close()
    except OSError as exc:
        return exc.strerror or str(exc)
    return ""


def _inside(
    root: Path, folder: str, seen: set[tuple[int, int]], passed: PassedOver
) -> Iterator[str]:
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
            names = _sorted(_wanted(entries, folder, passed))
    except OSError as exc:
        passed.locked[folder.rstrip("/")] = exc.strerror or str(exc)
        return
    holds_any = False
    for name in names:
        holds_any = True
        yield folder + name
    if not holds_any:
        passed.empty.append(folder.rstrip("/"))


def _wanted(entries: Iterable[os.DirEntry[str]], folder: str, passed: PassedOver) -> Iterator[str]:
    for entry in entries:
        name = entry.name
        is_named_so = os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES
        # No litter but hidden files has such a name, and nearly everything else has.
        if is_hidden(name) if is_named_so else is_litter(name):
            if not is_hidden(name) and _kind(entry) == _FOLDER:
                passed.add_litter(name)
            continue
        kind = _kind(entry)
        if kind == _FOLDER:
            yield name + "/"
        elif not is_named_so:
            passed.add_file(folder + name)
        elif kind == _SPECIAL:
            passed.special.append(folder + name)
        else:
            yield name


_FOLDER, _FILE, _SPECIAL = "folder", "file", "special"


def _kind(entry: os.DirEntry[str]) -> str:
    """What an entry is; a link that leads nowhere, or round in a circle, is a file that is gone.

    A pipe would be waited for without end, so it has to be told from a file.
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
    """Sort names; while they wait for their turn they are packed, by runs, a byte a letter."""
    runs = []
    while run := sorted(islice(names, _NAMES_A_RUN)):
        runs.append("\0".join(run))
    return heapq.merge(*map(_unpacked, runs))


def _unpacked(run: str) -> Iterator[str]:
    return (name[0] for name in re.finditer(r"[^\0]+", run))

"""The files that a manifest means, also when it was written on another system or moved."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from pawsure.data.file_names import from_text, readable

_NUM_TRIED = 100  # paths that show how a manifest's paths are meant: all of these must exist
_LEVELS_UP = 3

_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")
_DRIVE = re.compile(r"[a-zA-Z]:[\\/]")


def is_address(path: str) -> bool:
    """Whether a path is an address of another machine, as https://… and s3://… are."""
    return bool(_ADDRESS.match(path)) and not path.lower().startswith("file://")


def plain_path(path: str) -> str:
    """A path as this system writes it: from a `file://` address, or as our tables write bytes."""
    if path.lower().startswith("file://"):
        address = urlsplit(path)
        path = unquote(address.path if not address.netloc else f"//{address.netloc}{address.path}")
        path = path.replace("//localhost/", "/", 1)
        return path[1:] if _DRIVE.match(path[1:]) else path
    return from_text(path)


class PathResolver:
    """Finds the files that the paths of a manifest mean.

    Paths are relative to the manifest's folder. If none of a sample of them exists, the data were
    moved: then paths are relative to a folder above, or without their first folders, where all of
    the sample exist.

    Args:
        folder: of the manifest.
        paths: what it lists, by `plain_path`.

    Attributes:
        folder: what paths are relative to.
        note: what was changed, in words; empty if nothing was.
    """

    def __init__(self, folder: Path, paths: Sequence[str]) -> None:
        self.folder, self.note = folder, ""
        self._num_dropped = 0
        self._names = cache(_names_by_folded)
        sample = paths[:: max(1, len(paths) // _NUM_TRIED)][:_NUM_TRIED]
        if not sample or any(_exists(folder, path) for path in sample):
            return
        for base, num_dropped, note in _alternatives(folder, sample):
            if all(_exists(base, _without_first(path, num_dropped)) for path in sample):
                self.folder, self._num_dropped, self.note = base, num_dropped, note
                return

    def resolve(self, path: str) -> str:
        """A path relative to `folder`."""
        return _without_first(path, self._num_dropped)

    def variants(self, path: str) -> Iterator[Path]:
        """Files that a path may mean if none has its exact name."""
        yield from (self.folder / one for one in _spellings(path)[1:])
        if (found := self._in_any_case(path)) is not None:
            yield found

    def _in_any_case(self, path: str) -> Path | None:
        """The one file whose name differs in case alone."""
        here = self.folder
        for part in PurePosixPath(path.replace("\\", "/")).parts:
            if part not in ("/", "..") and not os.path.exists(here / part):
                names = self._names(here).get(_folded(part), [])
                if len(names) != 1:
                    return None
                part = names[0]
            here = here / part
        return here


def _names_by_folded(folder: Path) -> dict[str, list[str]]:
    names: dict[str, list[str]] = defaultdict(list)
    with suppress(OSError):
        for name in os.listdir(folder):
            names[_folded(name)].append(name)
    return names


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold().strip()


def _exists(folder: Path, path: str) -> bool:
    return any(os.path.exists(folder / one) for one in _spellings(path))


def _spellings(path: str) -> list[str]:
    """One path as several systems write it, the given one first."""
    slashed = path.replace("\\", "/")
    text = readable(slashed)
    forms = [unicodedata.normalize(form, text) for form in ("NFC", "NFD")]
    return list(dict.fromkeys([path, slashed, text, *forms, slashed.strip()]))


def _alternatives(folder: Path, paths: Sequence[str]) -> Iterator[tuple[Path, int, str]]:
    """How else the paths may be meant, the likeliest first: base, parts to drop, note."""
    above = [folder.absolute(), *folder.absolute().parents][1 : _LEVELS_UP + 1]
    for base in dict.fromkeys([*above, Path.cwd()]):
        yield base, 0, f"Its paths are taken relative to {base}, where the files are."
    if not all(path.startswith("/") or _DRIVE.match(path) for path in paths):
        return
    shared = os.path.commonprefix([_parts(path)[:-1] for path in paths])
    for num_dropped in range(1, len(shared) + 1):
        dropped = "/".join(_parts(paths[0])[:num_dropped])
        note = f"'{dropped}', which is not here; the files are beside it."
        yield folder, num_dropped, f"Its paths are taken without {note}"


def _parts(path: str) -> list[str]:
    return path.replace("\\", "/").lstrip("/").split("/")


def _without_first(path: str, num_dropped: int) -> str:
    return "/".join(_parts(path)[num_dropped:]) if num_dropped else path

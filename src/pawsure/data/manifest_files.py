"""The files that a manifest means, also when it was written on another system or moved."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from pawsure.data.file_names import from_text, readable

_TRIED = 100
"""Paths that show how a manifest's paths are meant: all of these must be there."""

_LEVELS_UP = 3

_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")
_DRIVE = re.compile(r"[a-zA-Z]:[\\/]")

Change = Callable[[str], str]


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


class Places:
    """Where the paths of a manifest lead.

    Paths are relative to the manifest's folder. Where not one of some that are looked up is
    there, backslashes may be meant as slashes, or the data were moved: then paths are taken
    relative to a folder above, or without their first folders, if so all of them are there.

    Args:
        folder: of the manifest.
        paths: what it lists, by `plain_path`.

    Attributes:
        folder: what paths are relative to.
        note: what was changed, in words; empty if nothing was.
    """

    def __init__(self, folder: Path, paths: Sequence[str]) -> None:
        self.folder = folder
        self.note = ""
        self._change: Change = str
        self._listings: dict[str, dict[str, list[str]]] = {}
        step = max(1, len(paths) // _TRIED)
        tried = paths[::step][:_TRIED]
        if not tried or any(self._is_there(folder, path) for path in tried):
            return
        for self.folder, self._change, self.note in _ways(folder, tried):
            if all(self._is_there(self.folder, self._change(path)) for path in tried):
                return
        self.folder, self._change, self.note = folder, str, ""

    def named(self, path: str) -> str:
        """A path as it is relative to `folder`."""
        return self._change(path)

    def variants(self, path: str) -> Iterator[Path]:
        """Files that a path may mean if none has its exact name."""
        yield from (self.folder / one for one in _spellings(path)[1:])
        if (found := self._in_any_case(path)) is not None:
            yield found

    def _is_there(self, folder: Path, path: str) -> bool:
        return any(os.path.exists(folder / one) for one in _spellings(path))

    def _in_any_case(self, path: str) -> Path | None:
        """The one file whose name differs in case alone."""
        here = Path(self.folder)
        for part in PurePosixPath(path.replace("\\", "/")).parts:
            if part in ("/", "..") or os.path.exists(here / part):
                here = here / part
                continue
            names = self._names(here).get(_folded(part), [])
            if len(names) != 1:
                return None
            here = here / names[0]
        return here

    def _names(self, folder: Path) -> dict[str, list[str]]:
        key = str(folder)
        if key not in self._listings:
            names: dict[str, list[str]] = {}
            try:
                for name in os.listdir(folder):
                    names.setdefault(_folded(name), []).append(name)
            except OSError:
                pass
            self._listings[key] = names
        return self._listings[key]


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold().strip()


def _spellings(path: str) -> list[str]:
    """One path as several systems write it, the given one first."""
    slashed = path.replace("\\", "/")
    bytes_read = readable(slashed)
    forms = [unicodedata.normalize(form, bytes_read) for form in ("NFC", "NFD")]
    return list(dict.fromkeys([path, slashed, bytes_read, *forms, slashed.strip()]))


def _ways(folder: Path, paths: Sequence[str]) -> Iterator[tuple[Path, Change, str]]:
    """How else the paths of a manifest may be meant, the likeliest first."""
    above = [folder.absolute(), *folder.absolute().parents][1 : _LEVELS_UP + 1]
    for base in dict.fromkeys([*above, Path.cwd()]):
        yield base, str, f"Its paths are taken relative to {base}, where the files are."
    for count in range(1, _shared_depth(paths)):
        without = _Without(count)
        yield (
            folder,
            without,
            f"Its paths are taken without '{without.of(paths[0])}', which is not here; the files "
            "are beside it.",
        )


def _shared_depth(paths: Iterable[str]) -> int:
    """How many first parts all paths have in common; 0 unless all are absolute."""
    split = [_parts(path) for path in paths]
    if not all(path.startswith("/") or _DRIVE.match(path) for path in paths):
        return 0
    return len(os.path.commonprefix([parts[:-1] for parts in split])) + 1


def _parts(path: str) -> list[str]:
    return path.replace("\\", "/").lstrip("/").split("/")


class _Without:
    """Takes the first parts off a path."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __call__(self, path: str) -> str:
        return "/".join(_parts(path)[self._count :])

    def of(self, path: str) -> str:
        return "/".join(_parts(path)[: self._count])

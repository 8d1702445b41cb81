"""The cache: what can be computed again, such as features, and drawn and downloaded data.

If it can't be written, a temporary folder takes its place for the process, with a note.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pawsure.errors import StorageError
from pawsure.progress import Progress

VARIABLE = "PAWSURE_CACHE"

LEAST_BYTES = 100_000_000
"""Room for the frozen layers of a large backbone and the features of some thousand pictures."""

Result = TypeVar("Result")


class _Temporary:
    """The temporary folder of this process, created when it is first needed."""

    def __init__(self) -> None:
        self.folder: tempfile.TemporaryDirectory[str] | None = None
        self.is_cache = False
        self.notes: list[str] = []

    def open(self, instead_of: Path, reason: OSError) -> Path:
        if self.folder is None:
            self.folder = tempfile.TemporaryDirectory(prefix="pawsure-cache-")
            why = StorageError.reason(reason)
            self.notes.append(
                f"The cache {instead_of} can't be written ({why}). Using the temporary folder "
                f"{self.folder.name} instead; later runs will compute this again. To keep it, set "
                f"{VARIABLE} to a folder with room."
            )
        return Path(self.folder.name)

    def become_cache(self, instead_of: Path, reason: OSError) -> Path:
        folder = self.open(instead_of, reason)
        self.is_cache = True
        os.environ[VARIABLE] = str(folder)  # also for the processes that this one starts
        return folder


_temporary = _Temporary()


def cache_dir() -> Path:
    """The folder for pawsure's cache; it need not exist yet.

    Returns:
        `PAWSURE_CACHE` if that is set, else `pawsure` under `XDG_CACHE_HOME` (the XDG Base
        Directory Specification), else `~/.cache/pawsure`; if that could not be written, a
        temporary folder.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The specification has relative paths ignored.
    default = Path(base, "pawsure") if os.path.isabs(base) else Path("~/.cache/pawsure")
    folder = Path(os.environ.get(VARIABLE) or default)
    try:
        return folder.expanduser().absolute()
    except RuntimeError:  # a user without a home folder, as in some containers
        reason = OSError(errno.ENOENT, "there is no home folder")
        return _temporary.become_cache(folder, reason)


def in_cache(write: Callable[[], Result]) -> Result:
    """Do something that writes into `cache_dir`; again in a temporary folder if that fails.

    From then on `cache_dir` is that folder, for this process and those that it starts.

    Raises:
        OSError: the temporary folder can't be written either.
    """
    try:
        return write()
    except OSError as exc:
        if _temporary.is_cache:
            raise
        _temporary.become_cache(cache_dir(), exc)
        return write()


def check_cache(least_bytes: int = LEAST_BYTES) -> None:
    """Make sure that `cache_dir` is a folder that can be written, a temporary one if need be.

    Args:
        least_bytes: that must be free; unless the temporary folder has no more room.
    """

    def touch() -> None:
        folder = cache_dir()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        free = shutil.disk_usage(folder).free
        if free < least_bytes and free < shutil.disk_usage(tempfile.gettempdir()).free:
            raise OSError(errno.ENOSPC, f"only {free / 1e6:,.0f} MB are free", str(folder))

    with suppress(OSError):  # even the temporary one: whoever writes there will report it
        in_cache(touch)


def overflow_of(folder: Path, reason: OSError | None = None) -> Path | None:
    """Where files go that a folder of the cache has no room for, in this process.

    Args:
        folder: of the cache.
        reason: why it can't be written; None to ask whether there is such a place already.
    """
    if reason is not None:
        _temporary.open(folder, reason)
    if _temporary.folder is None:
        return None
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(_temporary.folder.name) / "overflow" / name


def tell_notes(progress: Progress) -> None:
    """Report what became of the cache, each thing once."""
    while _temporary.notes:
        progress.say(_temporary.notes.pop(0))

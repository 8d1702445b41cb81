"""Where pawsure keeps what can be made again: stored features, drawn and fetched data.

A cache that can't be written is no reason to stop: what belongs there goes to a temporary folder,
which is removed when the process ends, and `notes` says so once.
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
    """The temporary folder of this process, made when it is first needed."""

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

    def be_cache(self, instead_of: Path, reason: OSError) -> Path:
        folder = self.open(instead_of, reason)
        self.is_cache = True
        os.environ[VARIABLE] = str(folder)  # for the processes that this one starts
        return folder


_temporary = _Temporary()


def cache_dir() -> Path:
    """The folder for pawsure's cache; it need not exist yet.

    Returns:
        `PAWSURE_CACHE` if that is set, else `pawsure` under `XDG_CACHE_HOME` (the XDG Base
        Directory Specification), else `~/.cache/pawsure`; where that turned out not to be
        writable, a temporary folder.
    """
    if _temporary.is_cache and _temporary.folder is not None:
        return Path(_temporary.folder.name)
    return _chosen()


def _chosen() -> Path:
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return _expanded(Path(chosen)).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    # The specification has relative paths ignored.
    if base and Path(base).is_absolute():
        return Path(base) / "pawsure"
    return _expanded(Path("~/.cache/pawsure"))


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # a user without a home folder, as in some containers
        return _temporary.be_cache(path, OSError(errno.ENOENT, "there is no home folder"))


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
        _temporary.be_cache(_chosen(), exc)
        return write()


def check_cache(least_bytes: int = LEAST_BYTES) -> None:
    """Make sure that `cache_dir` is a folder that can be written, a temporary one if need be.

    Args:
        least_bytes: that must be free; where the temporary folder has no more room than the
            cache, the cache stays.
    """

    def touch() -> None:
        folder = cache_dir()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        free = shutil.disk_usage(folder).free
        if free < least_bytes and free < shutil.disk_usage(tempfile.gettempdir()).free:
            raise OSError(errno.ENOSPC, f"only {free / 1e6:,.0f} MB are free", str(folder))

    with suppress(OSError):  # even the temporary one: whoever writes there will say so
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
    """Say what has become of the cache, each thing once."""
    while _temporary.notes:
        progress.say(_temporary.notes.pop(0))

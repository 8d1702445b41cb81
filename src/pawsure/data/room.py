"""Room on the disk: asked for before much is written, and named when writing fails."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pawsure.errors import DownloadError

_TO_SPARE = 100_000_000  # bytes left for everybody else
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def check_room(folder: Path, num_bytes: int) -> None:
    """Make sure that a folder's disk has room for so many bytes more, and some to spare.

    Raises:
        DownloadError: it has not; the message says how much is needed and how much is free.
    """
    with writing(folder):
        free = shutil.disk_usage(folder).free
    if free < num_bytes + _TO_SPARE:
        raise DownloadError(
            f"The disk of {folder} has {free / 1e6:,.0f} MB free, and "
            f"{(num_bytes + _TO_SPARE) / 1e6:,.0f} MB are needed. {_ELSEWHERE}"
        )


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Say of an error in writing what it was about and what to do.

    Raises:
        DownloadError: the block raised an OSError.
    """
    try:
        yield
    except OSError as exc:
        reason = "the disk is full" if exc.errno in _FULL else (exc.strerror or str(exc)).lower()
        raise DownloadError(
            f"{exc.filename or folder} can't be written or read: {reason}. {_ELSEWHERE}"
        ) from exc


def flush_all() -> None:
    """Have everything written so far reach the disk; where that can't be asked for, nothing.

    For thousands of small files this is one call in place of one for each.
    """
    if hasattr(os, "sync"):
        os.sync()


_ELSEWHERE = "Make room there, or set PAWSURE_CACHE to a folder on another disk."

"""Free space on the disk, and errors of reading and writing as `DownloadError`."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pawsure.errors import DownloadError

_RESERVE = 100_000_000  # bytes that stay free
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_ELSEWHERE = "Make room there, or set PAWSURE_CACHE to a folder on another disk."


def check_space(folder: Path, num_bytes: int) -> None:
    """Make sure that a folder's disk can take so many more bytes, and 100 MB besides.

    Raises:
        DownloadError: it can't.
    """
    free = shutil.disk_usage(folder).free
    if free < num_bytes + _RESERVE:
        raise DownloadError(
            f"The disk of {folder} has {free / 1e6:,.0f} MB free, and "
            f"{(num_bytes + _RESERVE) / 1e6:,.0f} MB are needed. {_ELSEWHERE}"
        )


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` inside into an error that names the file and the remedy.

    Args:
        path: what to name where the system names no file.

    Raises:
        DownloadError: the block raised an OSError.
    """
    try:
        yield
    except OSError as exc:
        reason = "the disk is full" if exc.errno in _FULL else (exc.strerror or str(exc)).lower()
        raise DownloadError(
            f"{exc.filename or path} can't be written or read: {reason}. {_ELSEWHERE}"
        ) from exc

"""One process at a time."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_PAUSE_S = 0.1
_HELD = {errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK, errno.EDEADLK}

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _acquired(descriptor: int) -> bool:
    """Take the lock; False if somebody else holds it."""
    try:
        _lock(descriptor)
    except OSError as exc:
        return exc.errno not in _HELD  # else the file system has no locks
    return True


@contextmanager
def exclusive(path: Path, *, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a lock between processes and threads, waiting for it if need be.

    The system releases the lock when its holder ends, however it ends. Where a file system has no
    locks (some network ones), nothing is locked: what is guarded must be able to notice that.

    Args:
        path: a file to lock; created if it does not exist, and left there, since removing it
            would let a third process lock another file of the same name.
        waiting: called once if somebody else holds it.

    Raises:
        OSError: the file can't be created.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if not _acquired(descriptor):
            waiting()
            while not _acquired(descriptor):
                time.sleep(_PAUSE_S)
        yield
    finally:
        os.close(descriptor)

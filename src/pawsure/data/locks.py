"""One process at a time."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pawsure.data.room import writing

_PAUSE_S = 0.1

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


_TAKEN = {errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK, errno.EDEADLK}


@contextmanager
def exclusive(path: Path, *, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a lock that no other process or thread can hold, waiting for it if need be.

    The system lets go of the lock when its holder ends, however it ends, so there are no
    locks to be cleaned up. Where a file system knows no locks (some network ones), there is
    none: what is guarded must be able to stand that, if only by noticing.

    Args:
        path: a file to lock; made if it does not exist, and left there, since removing it
            would let a third process lock another file of the same name.
        waiting: called once if somebody else has it.

    Raises:
        DownloadError: the file can't be made.
    """
    with writing(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _wait_for(descriptor, waiting)
        yield
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int, waiting: Callable[[], None]) -> None:
    told = False
    while True:
        try:
            return _lock(descriptor)
        except OSError as exc:
            if exc.errno not in _TAKEN:
                return None
        if not told:
            waiting()
            told = True
        time.sleep(_PAUSE_S)

"""Keeps TensorFlow's start-up chatter off the screen, and nothing else.

TensorFlow logs two notes each time it is loaded, before any of its log levels take effect
(2.21; TF_CPP_MIN_LOG_LEVEL=3 does not stop them, and turning off what they tell of would
change results). They come from C++ straight to file descriptor 2, so that is where they
are left out. Everything else on it passes, a crash's last words too: a process of its own
does the sorting, and outlives the one that crashes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CHATTER = (
    b"All log messages before absl::InitializeLog()",
    b"oneDNN custom operations are on",
    b"Created TensorFlow Lite XNNPACK delegate",  # LiteRT's one note, told each time
)

# Ctrl+C reaches the whole group; the sorter ends by itself, when nobody writes any more.
_SORT = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
for line in sys.stdin.buffer:
    if not any(chatter in line for chatter in {_CHATTER!r}):
        sys.stderr.buffer.write(line)
        sys.stderr.flush()
"""


@contextmanager
def without_chatter() -> Iterator[None]:
    """Sort what native code writes to standard error; Python's own goes there directly."""
    screen = os.dup(2)
    python_stderr = sys.stderr
    sorter = subprocess.Popen([sys.executable, "-I", "-S", "-c", _SORT], stdin=subprocess.PIPE)
    assert sorter.stdin is not None  # for the type checker: a pipe was asked for
    try:
        if _writes_to_descriptor_2(python_stderr):
            sys.stderr = open(  # noqa: SIM115  (flushed below; the descriptor outlives it)
                screen, "w", buffering=1, errors="backslashreplace", closefd=False
            )
        os.dup2(sorter.stdin.fileno(), 2)
        yield
    finally:
        sys.stderr.flush()
        sys.stderr = python_stderr
        os.dup2(screen, 2)
        sorter.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            sorter.wait(timeout=5)  # a process that was forked meanwhile may hold it open
        os.close(screen)


def _writes_to_descriptor_2(stream: object) -> bool:
    """Whether a stream is the real standard error; tests put others in its place."""
    try:
        return stream.fileno() == 2  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return False

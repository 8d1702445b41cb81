"""Keeps TensorFlow's start-up messages off the screen, and nothing else.

TensorFlow logs two messages each time it is loaded, before its log levels take effect (2.21;
TF_CPP_MIN_LOG_LEVEL=3 does not stop them, and turning off the features they name would change
results). C++ writes them to file descriptor 2, so they are filtered there. Everything else
passes, also the last words of a crash: a separate process filters, and outlives the crash.
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
    b"Created TensorFlow Lite XNNPACK delegate",  # LiteRT
)

# Ctrl+C reaches the whole process group; the filter ends when its input ends.
_FILTER = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
for line in sys.stdin.buffer:
    if not any(chatter in line for chatter in {_CHATTER!r}):
        sys.stderr.buffer.write(line)
        sys.stderr.flush()
"""


@contextmanager
def without_chatter() -> Iterator[None]:
    """Filter what native code writes to standard error; Python's own output is not filtered."""
    screen = os.dup(2)
    python_stderr = sys.stderr
    filtering = subprocess.Popen([sys.executable, "-I", "-S", "-c", _FILTER], stdin=subprocess.PIPE)
    assert filtering.stdin is not None  # for the type checker
    try:
        if _writes_to_descriptor_2(python_stderr):
            sys.stderr = open(  # noqa: SIM115  (flushed below; the descriptor outlives it)
                screen, "w", buffering=1, errors="backslashreplace", closefd=False
            )
        os.dup2(filtering.stdin.fileno(), 2)
        yield
    finally:
        sys.stderr.flush()
        sys.stderr = python_stderr
        os.dup2(screen, 2)
        filtering.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            filtering.wait(timeout=5)  # a forked process may hold it open
        os.close(screen)


def _writes_to_descriptor_2(stream: object) -> bool:
    """Whether a stream is the real standard error; tests replace it."""
    try:
        return stream.fileno() == 2  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return False

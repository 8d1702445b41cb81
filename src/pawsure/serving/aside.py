"""Work that may take long, done by processes that can be killed.

A thread can't be stopped: while it decodes a picture of twenty million tiny runs, or parses JSON
of millions of numbers, it keeps a core, and often Python's lock, whatever deadline there is. So
what is not known to be quick goes to a process, of the lowest priority, one piece at a time; when
its time is up it is killed, and another one is started. A picture on which a decoder crashes takes
only that process with it.

Run as a module, this is the process.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from pawsure.data import images
from pawsure.errors import PictureError

_SIZES = struct.Struct("<IQ")
_NICE = 19


class TookTooLong(Exception):
    """The time was up."""


class Crashed(Exception):
    """The process ended by itself."""


class Aside:
    """One process; its methods may be called from any thread, one at a time."""

    def __init__(self) -> None:
        """Nothing runs yet: it starts with the first work, which most servers never get."""
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        """End the process, whatever it does."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)

    def read_picture(
        self, data: bytes, *, size_px: int, limits: images.Limits, seconds: float
    ) -> np.ndarray:
        """`pawsure.data.images.read`, for so many seconds at most.

        Raises:
            PictureError: it can't be read.
            TookTooLong: it was not done in time.
            Crashed: the process ended.
        """
        head = {
            "work": "picture",
            "size_px": size_px,
            "max_bytes": limits.max_bytes,
            "max_pixels": limits.max_pixels,
        }
        answer, payload = self._ask(head, data, seconds)
        if "reason" in answer:
            raise PictureError(answer["reason"])
        return np.frombuffer(payload, np.uint8).reshape(size_px, size_px, 3)

    def read_json(self, text: bytes, *, seconds: float) -> tuple[Any, bytes | None]:
        """Parse JSON with a list of levels at inputs[0].data, apart from that list.

        Returns:
            What was parsed, and the levels if they are such, which are then left out of it.

        Raises:
            ValueError: it is not JSON, or what should be levels is not.
            TookTooLong: it was not done in time.
            Crashed: the process ended.
        """
        answer, payload = self._ask({"work": "json"}, text, seconds)
        if "reason" in answer:
            raise ValueError(answer["reason"])
        return answer["content"], payload if answer["has_levels"] else None

    def _ask(self, head: dict[str, Any], payload: bytes, seconds: float) -> tuple[Any, bytes]:
        with self._lock:
            process = self._running()
            assert process.stdin is not None and process.stdout is not None
            late = threading.Event()

            def stop() -> None:
                late.set()
                process.kill()

            timer = threading.Timer(max(0.0, seconds), stop)
            timer.daemon = True
            timer.start()
            try:
                _send(process.stdin, head, payload)
                return _receive(process.stdout)
            except (OSError, EOFError) as exc:
                self._process = None
                _end(process)
                self._running()
                raise (TookTooLong if late.is_set() else Crashed) from exc
            finally:
                timer.cancel()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            package = str(Path(__file__).parents[2])
            paths = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
            self._process = subprocess.Popen(
                # -P: a file of the user's in this folder, such as json.py, is no module of ours.
                [sys.executable, "-P", "-m", "pawsure.serving.aside"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": paths},
                # Ctrl+C is for the server, which lets what it took on end.
                start_new_session=True,
            )
        return self._process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _send(pipe: IO[bytes], head: dict[str, Any], payload: bytes) -> None:
    text = json.dumps(head).encode()
    pipe.write(_SIZES.pack(len(text), len(payload)) + text)
    pipe.write(payload)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> tuple[Any, bytes]:
    head, payload = _SIZES.unpack(_exactly(pipe, _SIZES.size))
    return json.loads(_exactly(pipe, head)), _exactly(pipe, payload)


def _exactly(pipe: IO[bytes], count: int) -> bytes:
    data = pipe.read(count)
    if len(data) < count:
        raise EOFError
    return data


# In the process


def _picture(head: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    limits = images.Limits(max_bytes=head["max_bytes"], max_pixels=head["max_pixels"])
    try:
        return {}, images.read(data, size_px=head["size_px"], limits=limits).tobytes()
    except PictureError as exc:
        return {"reason": exc.reason}, b""


def _json(_: dict[str, Any], text: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        content, levels = split_json(text)
    except ValueError as exc:
        return {"reason": str(exc)}, b""
    return {"content": content, "has_levels": levels is not None}, levels or b""


def split_json(text: bytes) -> tuple[Any, bytes | None]:
    """Parse JSON with a list of levels at inputs[0].data; see `Aside.read_json`."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ValueError("The body is not JSON.") from exc
    try:
        tensor = content["inputs"][0]
        data = tensor["data"]
    except (TypeError, LookupError):  # of another shape, of which the server tells
        return content, None
    levels = _levels_of(data)
    del tensor["data"]
    return content, levels.tobytes()


def _levels_of(data: Any) -> np.ndarray:
    """Nested lists of whole numbers from 0 to 255, as flat uint8.

    Raises:
        ValueError: they are something else; the text says what.
    """
    try:
        values = np.array(data)
    except ValueError as exc:  # rows of different lengths
        raise ValueError("'data' is ragged.") from exc
    if values.dtype.kind != "i" or values.ndim > _DEEPEST_SHAPE:
        raise ValueError("'data' has to be whole numbers, as many as the shape says.")
    if values.size and (values.min() < 0 or values.max() > 255):
        raise ValueError("Pixels go from 0 to 255.")
    return values.astype(np.uint8).ravel()


_DEEPEST_SHAPE = 4
_WORK: dict[str, Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]]] = {
    "picture": _picture,
    "json": _json,
}


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError, AttributeError):  # not on Windows
        os.nice(_NICE)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what libraries print is no answer
    while True:
        try:
            head, payload = _receive(sys.stdin.buffer)
        except EOFError:
            return
        _send(answers, *_WORK[head["work"]](head, payload))


if __name__ == "__main__":
    _main()

"""Slow work, in a process that can be killed.

A thread can't be stopped: while it decodes a picture of twenty million tiny runs, or parses JSON
of millions of numbers, it occupies a core, and often Python's lock, past any deadline. So work
that may be slow goes to a process of the lowest priority, one job at a time; when its time is up
the process is killed and another one is started. A decoder that crashes takes down only that
process.

Run as a module, this is the process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

import numpy as np

from pawsure.data import images
from pawsure.errors import PictureError

_SIZES = struct.Struct("<IQ")
_NICE = 19
_MAX_DIMENSIONS = 4


class TookTooLong(Exception):
    """The time was up; the process was killed."""


class Crashed(Exception):
    """The process ended by itself."""


class DecoderProcess:
    """One process; its methods may be called from any thread, one at a time."""

    def __init__(self) -> None:
        """The process starts with the first job, which most servers never get."""
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        """Kill the process."""
        process, self._process = self._process, None
        if process is not None:
            _kill(process)

    def read_picture(
        self, data: bytes, *, size_px: int, limits: images.Limits, seconds: float
    ) -> np.ndarray:
        """`pawsure.data.images.read`, for so many seconds at most.

        Raises:
            PictureError: it can't be read.
            TookTooLong: the time was up.
            Crashed: the process ended.
        """
        head = {"job": "picture", "size_px": size_px, "limits": dataclasses.asdict(limits)}
        answer, payload = self._ask(head, data, seconds)
        if "reason" in answer:
            raise PictureError(answer["reason"])
        return np.frombuffer(payload, np.uint8).reshape(size_px, size_px, 3)

    def read_json(self, text: bytes, *, seconds: float) -> tuple[Any, bytes | None]:
        """`split_json`, for so many seconds at most.

        Raises:
            ValueError: see `split_json`.
            TookTooLong: the time was up.
            Crashed: the process ended.
        """
        answer, payload = self._ask({"job": "json"}, text, seconds)
        if "reason" in answer:
            raise ValueError(answer["reason"])
        return answer["content"], payload if answer["has_pixels"] else None

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
                _kill(process)
                self._running()
                raise (TookTooLong if late.is_set() else Crashed) from exc
            finally:
                timer.cancel()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            package = str(Path(__file__).parents[2])
            paths = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
            self._process = subprocess.Popen(
                # -P: a file such as json.py in the working folder must not be imported.
                [sys.executable, "-P", "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": paths},
                # Ctrl+C is for the server, which first answers everything it accepted.
                start_new_session=True,
            )
        return self._process


def _kill(process: subprocess.Popen[bytes]) -> None:
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
    head, payload = _SIZES.unpack(_read_exactly(pipe, _SIZES.size))
    return json.loads(_read_exactly(pipe, head)), _read_exactly(pipe, payload)


def _read_exactly(pipe: IO[bytes], count: int) -> bytes:
    data = pipe.read(count)
    if len(data) < count:
        raise EOFError
    return data


def split_json(text: bytes) -> tuple[Any, bytes | None]:
    """Parse JSON that may have pixels at inputs[0].data.

    Returns:
        The JSON without these pixels; the pixels, flat, or None if there are none.

    Raises:
        ValueError: it is not JSON, or the data are not pixels.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ValueError("The body is not JSON.") from exc
    try:
        tensor = content["inputs"][0]
        data = tensor["data"]
    except (TypeError, LookupError):  # the caller reports what is missing
        return content, None
    try:
        values = np.array(data)
    except ValueError as exc:  # lists of different lengths
        raise ValueError("'data' is ragged.") from exc
    if values.dtype.kind != "i" or values.ndim > _MAX_DIMENSIONS:
        raise ValueError("'data' has to be whole numbers, as many as the shape says.")
    if values.size and (values.min() < 0 or values.max() > 255):
        raise ValueError("Pixel values range from 0 to 255.")
    del tensor["data"]
    return content, values.astype(np.uint8).tobytes()


# In the process


def _do(head: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        if head["job"] == "picture":
            limits = images.Limits(**head["limits"])
            return {}, images.read(payload, size_px=head["size_px"], limits=limits).tobytes()
        content, pixels = split_json(payload)
    except PictureError as exc:
        return {"reason": exc.reason}, b""
    except ValueError as exc:
        return {"reason": str(exc)}, b""
    return {"content": content, "has_pixels": pixels is not None}, pixels or b""


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError, AttributeError):  # not on Windows
        os.nice(_NICE)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # libraries may print
    while True:
        try:
            head, payload = _receive(sys.stdin.buffer)
        except EOFError:
            return
        _send(answers, *_do(head, payload))


if __name__ == "__main__":
    _main()

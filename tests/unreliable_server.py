"""A real HTTP server on this machine that behaves as badly as a test asks it to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[["_Handler"], None]
"""Sends one answer, or part of it."""

LONGEST_S = 10.0  # that anything here waits, so that no test can hang for long


class UnreliableServer:
    """Gives each request for a path the next of the answers it was told, the last ever after."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.over = threading.Event()
        self._answers: dict[str, list[Answer]] = {}
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.daemon_threads = True
        self._http.owner = self  # type: ignore[attr-defined]

    def serve(self, path: str, *answers: Answer) -> str:
        """Set what a path answers; returns its address."""
        self._answers[path] = list(answers)
        return f"http://127.0.0.1:{self._http.server_port}{path}"

    def ranges(self) -> list[str | None]:
        """The Range of every request so far."""
        return [headers.get("Range") for _, headers in self.requests]

    def next_answer(self, path: str, headers: dict[str, str]) -> Answer:
        with self._lock:
            self.requests.append((path, headers))
            answers = self._answers.get(path) or [status(404)]
            return answers.pop(0) if len(answers) > 1 else answers[0]

    @contextmanager
    def running(self) -> Iterator[UnreliableServer]:
        thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        thread.start()
        try:
            yield self
        finally:
            self.over.set()
            self._http.shutdown()
            self._http.server_close()
            thread.join(LONGEST_S)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        owner: UnreliableServer = self.server.owner  # type: ignore[attr-defined]
        self.over = owner.over
        self.close_connection = True
        # The other side may give up, as some tests want it to.
        with suppress(BrokenPipeError, ConnectionResetError):
            owner.next_answer(self.path, dict(self.headers))(self)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def whole(
    content: bytes,
    *,
    etag: str | None = '"one"',
    cut_after: int | None = None,
    hang_after: int | None = None,
    length: bool = True,
    ranges: bool = True,
) -> Answer:
    """As a good server: all, or what Range asks for, if If-Range still holds.

    Args:
        content: of the file.
        etag: its version; None tells none.
        cut_after: bytes of what was asked for, after which the connection ends.
        hang_after: the same, after which nothing more comes.
        length: whether to tell how long the answer is.
        ranges: whether to know of ranges.
    """

    def answer(handler: _Handler) -> None:
        asked, condition = handler.headers["Range"], handler.headers["If-Range"]
        start = 0
        if ranges and asked and condition in (None, etag):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                handler.send_response(416)
                handler.end_headers()
                return
            handler.send_response(206)
            last = len(content) - 1
            handler.send_header("Content-Range", f"bytes {start}-{last}/{len(content)}")
        else:
            handler.send_response(200)
        body = content[start:]
        if length:
            handler.send_header("Content-Length", str(len(body)))
        if etag:
            handler.send_header("ETag", etag)
        handler.end_headers()
        stop = min(x for x in (cut_after, hang_after, len(body)) if x is not None)
        handler.wfile.write(body[:stop])
        handler.wfile.flush()
        if hang_after is not None:
            handler.over.wait(LONGEST_S)

    return answer


def status(code: int, **headers: str) -> Answer:
    """A bare status, such as 404."""

    def answer(handler: _Handler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def raw(*pieces: bytes, every_s: float = 0.0, then_hang: bool = False) -> Answer:
    """Bytes as they are, one piece after the other."""

    def answer(handler: _Handler) -> None:
        for piece in pieces:
            handler.wfile.write(piece)
            handler.wfile.flush()
            if every_s and handler.over.wait(every_s):
                return
        if then_hang:
            handler.over.wait(LONGEST_S)

    return answer


class Told:
    """A `Progress` that remembers."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.bars: list[tuple[str, int | None, str]] = []
        self.steps: list[int] = []
        self.open = False

    def start(self, description: str, total: int | None, unit: str = "pictures") -> None:
        self.bars.append((description, total, unit))
        self.steps.append(0)
        self.open = True

    def advance(self, steps: int = 1) -> None:
        self.steps[-1] += steps

    def finish(self) -> None:
        self.open = False

    def say(self, message: str) -> None:
        self.said.append(message)

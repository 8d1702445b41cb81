"""Connections that say nothing, say it slowly, or are too many, and refusals that cost little.

uvicorn waits for ever for the head of a first request, and keeps as much of one as is sent.
And past saturation there is a refusal for every answer: given here, at the last line of its
head, one takes a few hundredths of a millisecond; as a task, through the application, it took
ten times that, and its client a new connection.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pawsure.serving.guard import SECURITY_HEADERS
from pawsure.serving.refusals import Busy
from pawsure.serving.settings import ServingSettings

_MAX_HEAD_BYTES = 32 * 1024
# A body of this size is mostly on its way when its request is refused; it is read and thrown
# away, and the connection kept. Larger ones are the guard's, which closes.
_MAX_IGNORED_BYTES = 1024 * 1024


def _plain_response(status: str, sentence: str, *headers: str) -> bytes:
    body = json.dumps({"error": sentence})
    lines = [f"HTTP/1.1 {status}", "content-type: application/json", *headers]
    lines += [f"{name.decode()}: {value.decode()}" for name, value in SECURITY_HEADERS]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", body]).encode()


_CLOSE = "connection: close"
_MALFORMED = _plain_response("400 Bad Request", "The request is not valid HTTP/1.1.", _CLOSE)
_TOO_SLOW = _plain_response(
    "408 Request Timeout", "The request came too slowly; send it again.", _CLOSE
)
_TOO_LONG = _plain_response(
    "431 Request Header Fields Too Large",
    "The request's head is too long; send fewer headers.",
    _CLOSE,
)
_TOO_MANY = _plain_response(
    "503 Service Unavailable",
    "The server has as many connections as it can take; ask again shortly.",
    "retry-after: 1",
    _CLOSE,
)


@lru_cache
def _busy_response(sentence: str, retry_after_s: int) -> bytes:
    return _plain_response("503 Service Unavailable", sentence, f"retry-after: {retry_after_s}")


class _Gathering:
    """A transport that sends what is written in one turn of the event loop at once.

    uvicorn writes head and body of a response apart. Each is a system call, after which the
    thread of the event loop has to get Python's lock back from those that decode: 0.2 ms.
    """

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._written: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._written:
            self._loop.call_soon(self._flush)
        self._written.append(data)

    def write_now(self, data: bytes) -> None:
        self._written.append(data)
        self._flush()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        written, self._written = self._written, []
        if written:
            self._transport.write(b"".join(written))


def bounded_protocol(
    settings: ServingSettings, refuse: Callable[[], Busy | None]
) -> type[asyncio.Protocol]:
    """The HTTP protocol of uvicorn, with bounds on connections and on the heads of requests.

    Args:
        settings: the bounds.
        refuse: asked at the head of a POST; gives and counts a refusal when there is no room.
    """

    class Bounded(HttpToolsProtocol):
        """One connection."""

        _received = b""
        _heads = 0
        _head_bytes = 0
        _head_timer: asyncio.TimerHandle | None = None
        # Whether the body that comes belongs to a request that was refused at its head.
        _ignoring = False

        def connection_made(self, transport: Any) -> None:
            self._gathering = _Gathering(transport, self.loop)
            super().connection_made(cast(asyncio.Transport, self._gathering))
            # asyncio takes Nagle's algorithm off only where a socket names its protocol, which
            # accepted ones do not: answers could take 40 ms longer, the client's delayed
            # acknowledgement.
            transport.get_extra_info("socket").setsockopt(
                socket.IPPROTO_TCP, socket.TCP_NODELAY, True
            )
            if len(self.connections) > settings.max_connections:
                self._end(_TOO_MANY)
            else:
                self._await_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_timer()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self.transport.is_closing():
                return
            self._received = data
            in_head, heads = self._in_head(), self._heads
            super().data_received(data)
            if self._ignoring and self._head_timer is None:
                # The rest may take as long as a head.
                self._head_timer = self.loop.call_later(settings.head_s, self.transport.close)
            if in_head and self._in_head() and heads == self._heads:
                self._head_bytes += len(data)
                if self._head_bytes > _MAX_HEAD_BYTES:
                    self._end(_TOO_LONG)
                elif self._head_timer is None:
                    self._await_head()

        def _unsupported_upgrade_warning(self) -> None:
            """Read a request anew without its offer to upgrade, which may be passed over.

            Java's HttpClient offers HTTP/2 with each first request. The parser takes what comes
            after such a head for the other protocol's, so that the body would be lost.
            """
            upgrade = sys.exc_info()[1]
            assert isinstance(upgrade, httptools.HttpParserUpgrade)
            if self.parser.get_method() == b"CONNECT":
                self._end(_MALFORMED)  # for proxies
                return
            lines = [self.parser.get_method() + b" " + self.url + b" HTTP/1.1"]
            lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
            rest = self._received[upgrade.args[0] :]
            self.parser = httptools.HttpRequestParser(self)
            super().data_received(b"\r\n".join([*lines, b"", rest]))

        def send_400_response(self, msg: str) -> None:
            self._end(_MALFORMED)

        def on_headers_complete(self) -> None:
            if self.parser.should_upgrade():
                return  # read anew, without the offer
            self._stop_timer()
            self._heads += 1
            self._head_bytes = 0
            if self._can_ignore_body() and (busy := refuse()) is not None:
                self._ignoring = True
                self._gathering.write_now(_busy_response(str(busy), busy.retry_after_s or 1))
            else:
                super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            if not self._ignoring:
                super().on_body(body)

        def on_message_complete(self) -> None:
            if self.parser.should_upgrade():
                return
            if not self._ignoring:
                super().on_message_complete()
                return
            self._ignoring = False
            self._stop_timer()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

        def _can_ignore_body(self) -> bool:
            """Whether this is a POST whose body is small, whole, and asks for nothing first."""
            if self.parser.get_method() != b"POST" or not self.parser.should_keep_alive():
                return False
            if self.expect_100_continue or not self._is_first_in_line():
                return False
            if settings.cors_origins and any(name == b"origin" for name, _ in self.headers):
                return False  # the guard's refusal is one that another site's page may read
            lengths = [value for name, value in self.headers if name == b"content-length"]
            return len(lengths) == 1 and int(lengths[0]) <= _MAX_IGNORED_BYTES

        def _is_first_in_line(self) -> bool:
            return self.cycle is None or self.cycle.response_complete

        def _in_head(self) -> bool:
            """Whether what comes next belongs to the head of a request."""
            return self._is_first_in_line() and not self._ignoring

        def _await_head(self) -> None:
            self._head_timer = self.loop.call_later(settings.head_s, self._end, _TOO_SLOW)

        def _stop_timer(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

        def _end(self, response: bytes) -> None:
            self._stop_timer()
            if not self.transport.is_closing():
                self.transport.write(response)
                self.transport.close()

    return Bounded

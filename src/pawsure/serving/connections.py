"""uvicorn's HTTP protocol, with limits on connections and request heads, and cheap refusals.

Why uvicorn alone is not enough (measured with a tiny model, CPU time of the server):

- It waits for ever for the head of a first request, and stores a head of any size.
- Its `limit_concurrency` counts connections, not waiting pictures, and answers in plain text.
- A refusal in the application takes 0.24 to 0.33 ms, and 0.04 to 0.07 ms at the head. At twice
  the peak load, half of the requests are refused.
- It loses the body of a request that offers an upgrade.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pawsure.serving.guard import SECURITY_HEADERS
from pawsure.serving.refusals import Busy
from pawsure.serving.settings import ServingSettings

_MAX_HEAD_BYTES = 32 * 1024
# A body of this size is mostly on its way when its request is refused: it is read and discarded,
# and the connection stays open. Requests with a larger one are refused by the guard, which closes.
_MAX_DISCARDED_BYTES = 1024 * 1024


@lru_cache
def _response(status: str, message: str, *headers: str) -> bytes:
    body = json.dumps({"error": message})
    lines = [f"HTTP/1.1 {status}", "content-type: application/json", *headers]
    lines += [f"{name.decode()}: {value.decode()}" for name, value in SECURITY_HEADERS]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", body]).encode()


_CLOSE = "connection: close"
_MALFORMED = _response("400 Bad Request", "The request is not valid HTTP/1.1.", _CLOSE)
_TOO_SLOW = _response("408 Request Timeout", "The request came too slowly; try again.", _CLOSE)
_TOO_LONG = _response(
    "431 Request Header Fields Too Large",
    "The request's head is too long; send fewer headers.",
    _CLOSE,
)
_TOO_MANY = _response(
    "503 Service Unavailable",
    "The server has too many open connections; try again shortly.",
    "retry-after: 1",
    _CLOSE,
)


def bounded_protocol(
    settings: ServingSettings, refuse: Callable[[], Busy | None]
) -> type[asyncio.Protocol]:
    """The protocol class for uvicorn's `http` setting.

    Args:
        settings: the limits.
        refuse: called at the head of a POST; returns and records a refusal if there is no room.
    """

    class Bounded(HttpToolsProtocol):
        """One connection."""

        _received = b""
        _num_heads = 0
        _head_bytes = 0
        _head_timer: asyncio.TimerHandle | None = None
        # Whether the current body belongs to a request that was refused at its head.
        _discarding = False

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > settings.max_connections:
                self._end(_TOO_MANY)
            else:
                self._start_timer(self._end, _TOO_SLOW)

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_timer()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self.transport.is_closing():
                return
            self._received = data
            was_in_head, num_heads = self._in_head(), self._num_heads
            super().data_received(data)
            if self._discarding:
                # The rest may take as long as a head.
                self._start_timer(self.transport.close)
            if was_in_head and self._in_head() and num_heads == self._num_heads:
                self._head_bytes += len(data)
                if self._head_bytes > _MAX_HEAD_BYTES:
                    self._end(_TOO_LONG)
                else:
                    self._start_timer(self._end, _TOO_SLOW)

        def _unsupported_upgrade_warning(self) -> None:
            """Parse a request again without its offer to upgrade, which may be ignored.

            Java's HttpClient offers HTTP/2 with each first request. The parser takes what follows
            such a head for the other protocol's, and the body would be lost.
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
                return  # parsed again
            self._stop_timer()
            self._num_heads += 1
            self._head_bytes = 0
            if self._can_discard_body() and (busy := refuse()) is not None:
                self._discarding = True
                retry = f"retry-after: {busy.retry_after_s}"
                self.transport.write(_response("503 Service Unavailable", str(busy), retry))
            else:
                super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            if not self._discarding:
                super().on_body(body)

        def on_message_complete(self) -> None:
            if self.parser.should_upgrade():
                return
            if not self._discarding:
                super().on_message_complete()
                return
            self._discarding = False
            self._stop_timer()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

        def _can_discard_body(self) -> bool:
            """Whether this is a POST with a small body that the client sends without waiting."""
            if self.parser.get_method() != b"POST" or not self.parser.should_keep_alive():
                return False
            if self.expect_100_continue or not self._is_idle():
                return False
            if settings.cors_origins and any(name == b"origin" for name, _ in self.headers):
                return False  # the guard adds the headers with which other sites can read it
            lengths = [value for name, value in self.headers if name == b"content-length"]
            return len(lengths) == 1 and int(lengths[0]) <= _MAX_DISCARDED_BYTES

        def _is_idle(self) -> bool:
            return self.cycle is None or self.cycle.response_complete

        def _in_head(self) -> bool:
            """Whether the next bytes belong to the head of a request."""
            return self._is_idle() and not self._discarding

        def _start_timer(self, at_end: Callable[..., None], *args: bytes) -> None:
            if self._head_timer is None:
                self._head_timer = self.loop.call_later(settings.head_s, at_end, *args)

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

"""Connections that say nothing, say it slowly, or are too many; below what uvicorn bounds.

uvicorn waits for ever for the head of a first request, and keeps as much of one as is sent.
"""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pawsure.serving.settings import ServingSettings

_MAX_HEAD_BYTES = 32 * 1024


def _plain_response(status: str, sentence: str, *headers: str) -> bytes:
    body = json.dumps({"error": sentence})
    lines = [f"HTTP/1.1 {status}", "content-type: application/json", "connection: close"]
    return "\r\n".join([*lines, *headers, f"content-length: {len(body)}", "", body]).encode()


_TOO_SLOW = _plain_response("408 Request Timeout", "The request came too slowly; send it again.")
_TOO_LONG = _plain_response(
    "431 Request Header Fields Too Large", "The request's head is too long; send fewer headers."
)
_TOO_MANY = _plain_response(
    "503 Service Unavailable",
    "The server has as many connections as it can take; ask again shortly.",
    "retry-after: 1",
)


def bounded_protocol(settings: ServingSettings) -> type[asyncio.Protocol]:
    """The HTTP protocol of uvicorn, with bounds on connections and on the heads of requests."""

    class Bounded(HttpToolsProtocol):
        """One connection."""

        _head_bytes = 0
        _head_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            # uvicorn writes head and body of a response apart, and asyncio takes Nagle's
            # algorithm off only where a socket names its protocol, which accepted ones do not:
            # each answer took 40 ms longer, the client's delayed acknowledgement.
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
            in_head = self._in_head()
            super().data_received(data)
            if in_head and self._in_head():
                self._head_bytes += len(data)
                if self._head_bytes > _MAX_HEAD_BYTES:
                    self._end(_TOO_LONG)
                elif self._head_timer is None:
                    self._await_head()

        def on_headers_complete(self) -> None:
            self._stop_timer()
            self._head_bytes = 0
            super().on_headers_complete()

        def _in_head(self) -> bool:
            """Whether what comes next belongs to the head of a request."""
            return self.cycle is None or self.cycle.response_complete

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

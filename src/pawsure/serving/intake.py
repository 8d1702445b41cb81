"""Read request bodies, within limits on bytes, speed and memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from starlette.requests import Request

from pawsure.serving.refusals import Busy, ClientLeft, TooLarge, TooSlow
from pawsure.serving.settings import ServingSettings


class MemoryBudget:
    """Bytes of all bodies in memory; for use in the event loop only."""

    def __init__(self, max_bytes: int) -> None:
        """Allow so many bytes at once."""
        self._max_bytes = max_bytes
        self.in_flight = 0

    @contextmanager
    def share(self) -> Iterator[MemoryShare]:
        """One request's share, which is freed at the end."""
        share = MemoryShare(self)
        try:
            yield share
        finally:
            self.in_flight -= share.num_bytes

    def take(self, num_bytes: int) -> None:
        """Take bytes, or raise `Busy`."""
        if self.in_flight + num_bytes > self._max_bytes:
            raise Busy("The server is busy with other uploads; try again.", retry_after_s=1)
        self.in_flight += num_bytes


class MemoryShare:
    """The bytes that one request has taken of the budget."""

    def __init__(self, budget: MemoryBudget) -> None:
        """Start with nothing."""
        self._budget = budget
        self.num_bytes = 0

    def grow(self, num_bytes: int) -> None:
        """Take more bytes, or raise `Busy`."""
        self._budget.take(num_bytes)
        self.num_bytes += num_bytes


async def chunks(
    request: Request, share: MemoryShare, settings: ServingSettings, *, max_bytes: int
) -> AsyncIterator[bytes]:
    """The body, piece by piece.

    Args:
        request: its body was not read yet.
        share: takes the bytes from the budget, all at once if the head announces them.
        settings: for the least speed.
        max_bytes: of the body.

    Raises:
        TooLarge: the head announces more than `max_bytes`, or more arrive.
        TooSlow: the upload stalls, or is slower than the least speed.
        Busy: the budget is exhausted.
        ClientLeft: the client closed the connection.
    """
    announced = _announced_bytes(request)
    _check_size(announced, max_bytes)
    share.grow(announced)
    received = 0
    started = time.monotonic()
    while True:
        message = await _next_message(request, _timeout_s(started, received, settings))
        body = message.get("body", b"")
        received += len(body)
        _check_size(received, max_bytes)
        if received > share.num_bytes:
            share.grow(received - share.num_bytes)
        if body:
            yield body
        if not message.get("more_body", False):
            return


async def read_whole(
    request: Request, share: MemoryShare, settings: ServingSettings, *, max_bytes: int
) -> bytes:
    """The body in one piece; see `chunks`."""
    parts = [part async for part in chunks(request, share, settings, max_bytes=max_bytes)]
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def _next_message(request: Request, timeout_s: float) -> dict:
    try:
        async with asyncio.timeout(timeout_s):
            message = await request.receive()
    except TimeoutError as exc:
        raise TooSlow("The upload was too slow; try again on a faster connection.") from exc
    if message["type"] == "http.disconnect":
        raise ClientLeft
    return dict(message)


def _timeout_s(started: float, received: int, settings: ServingSettings) -> float:
    """How long the next piece may take: no stall, and the least speed on average."""
    behind = started + settings.stall_s + received / settings.least_bytes_per_s - time.monotonic()
    return max(0.0, min(settings.stall_s, behind))


def _announced_bytes(request: Request) -> int:
    announced = request.headers.get("content-length", "")
    return int(announced) if announced.isdecimal() and announced.isascii() else 0


def _check_size(num_bytes: int, max_bytes: int) -> None:
    if num_bytes > max_bytes:
        raise TooLarge(
            f"The request is larger than {max_bytes:,} bytes; send fewer or smaller pictures."
        )

"""Request bodies: read as they come, within limits on bytes, pace and memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from starlette.requests import Request

from pawsure.serving.refusals import Busy, Gone, TooLarge, TooSlow
from pawsure.serving.settings import ServingSettings


class MemoryBudget:
    """Bytes of all bodies that are in memory; for the event loop alone."""

    def __init__(self, max_bytes: int) -> None:
        """Take the most bytes there may be at once."""
        self._max_bytes = max_bytes
        self.in_flight = 0

    @contextmanager
    def share(self) -> Iterator[MemoryShare]:
        """One request's share; given back at the end, whatever happens."""
        share = MemoryShare(self)
        try:
            yield share
        finally:
            self.in_flight -= share.num_bytes

    def take(self, num_bytes: int) -> None:
        """Take bytes, or raise `Busy`."""
        if self.in_flight + num_bytes > self._max_bytes:
            raise Busy("The server is reading as much as it can hold; ask again.", retry_after_s=1)
        self.in_flight += num_bytes


class MemoryShare:
    """What one request has taken of the budget."""

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
        request: whose body was not read yet.
        share: what its bytes are taken from; taken at once when the head tells the length.
        settings: its pace limits are kept.
        max_bytes: of the body.

    Raises:
        TooLarge: the head announces more than `max_bytes`, or more come.
        TooSlow: the upload stalls, or falls behind the least pace.
        Busy: the server holds too much already.
        Gone: the client left.
    """
    announced = _announced_bytes(request)
    _check_size(announced, max_bytes)
    share.grow(announced)
    received = 0
    started = time.monotonic()
    while True:
        message = await _next_message(request, _patience_s(started, received, settings))
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


async def _next_message(request: Request, patience_s: float) -> dict:
    try:
        async with asyncio.timeout(patience_s):
            message = await request.receive()
    except TimeoutError as exc:
        raise TooSlow("The upload came too slowly; send it again on a better line.") from exc
    if message["type"] == "http.disconnect":
        raise Gone
    return dict(message)


def _patience_s(started: float, received: int, settings: ServingSettings) -> float:
    """How long the next piece may take: no stall, and the least pace on the whole."""
    behind = started + settings.stall_s + received / settings.least_bytes_per_s - time.monotonic()
    return max(0.0, min(settings.stall_s, behind))


def _announced_bytes(request: Request) -> int:
    announced = request.headers.get("content-length", "")
    return int(announced) if announced.isdecimal() and announced.isascii() else 0


def _check_size(num_bytes: int, max_bytes: int) -> None:
    if num_bytes > max_bytes:
        raise TooLarge(
            f"The request has more than the {max_bytes:,} bytes that are taken here; "
            "send fewer or smaller pictures."
        )

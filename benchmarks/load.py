"""A lean HTTP load generator: what it costs itself must not be what is measured.

Requests are made once, as bytes; a connection is an asyncio protocol that looks for the end of
a response and nothing else. `closed` keeps a number of clients busy; `opened` sends at a rate,
whatever the server does, as a crowd would.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_NO_ANSWER = 0


@dataclass
class Tally:
    """What came back.

    Attributes:
        statuses: how many of each status; 0 for no response at all.
        latencies_s: of the responses with status 200.
        seconds: from the first request to the last response.
        per_second: responses with status 200 that came in each second.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    seconds: float = 0.0
    per_second: Counter[int] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.statuses[200] / self.seconds if self.seconds else 0.0

    def percentile_ms(self, percent: float) -> float:
        """Of the latencies, in milliseconds."""
        ordered = sorted(self.latencies_s)
        if not ordered:
            return float("nan")
        return 1000 * ordered[min(len(ordered) - 1, int(percent / 100 * len(ordered)))]


def multipart(address: str, field_name: str, picture: bytes) -> bytes:
    """A POST with one picture as a form, as browsers and HTTP libraries send it."""
    body = (
        b"--bound\r\nContent-Disposition: form-data; "
        + f'name="{field_name}"; filename="a.jpg"\r\n'.encode()
        + b"Content-Type: image/jpeg\r\n\r\n"
        + picture
        + b"\r\n--bound--\r\n"
    )
    return post(address, body, "multipart/form-data; boundary=bound")


def post(address: str, body: bytes, content_type: str) -> bytes:
    """A POST, ready to be written to a connection."""
    head = (
        f"POST {address} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Connection(asyncio.Protocol):
    """One keep-alive connection; one request at a time."""

    def __init__(self) -> None:
        self._buffer = b""
        self._waiting: asyncio.Future[tuple[int, bytes]] | None = None
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """See whether the response is whole."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or self._waiting is None:
            return
        head = self._buffer[:end]
        found = _LENGTH.search(head)
        total = end + 4 + (int(found[1]) if found else 0)
        if len(self._buffer) >= total:
            self.closed = self.closed or b"connection: close" in head.lower()
            response = int(head[9:12]), self._buffer[end + 4 : total]
            self._buffer = b""
            if not self._waiting.done():
                self._waiting.set_result(response)

    def connection_lost(self, _: Exception | None) -> None:
        """Whoever waits gets no answer."""
        self.closed = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result((_NO_ANSWER, b""))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body; (0, b"") when the connection ends without a response."""
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)  # type: ignore[attr-defined]
        return await self._waiting

    def close(self) -> None:
        """End it."""
        self._transport.close()


async def connect(port: int) -> Connection:
    """A new connection to this machine."""
    loop = asyncio.get_running_loop()
    return (await loop.create_connection(Connection, "127.0.0.1", port))[1]


async def _timed(connection: Connection, request: bytes, tally: Tally, started: float) -> bytes:
    before = time.perf_counter()
    try:
        async with asyncio.timeout(30):
            status, body = await connection.ask(request)
    except TimeoutError:
        status, body = _NO_ANSWER, b""
        connection.closed = True
    now = time.perf_counter()
    tally.statuses[status] += 1
    if status == 200:
        tally.latencies_s.append(now - before)
        tally.per_second[int(now - started)] += 1
    return body


async def closed(port: int, requests: Sequence[bytes], *, clients: int, seconds: float) -> Tally:
    """Clients that each send their next request when they have the last answer."""
    tally = Tally()
    started = time.perf_counter()

    async def client(number: int) -> None:
        connection = await connect(port)
        turn = number
        while time.perf_counter() - started < seconds:
            await _timed(connection, requests[turn % len(requests)], tally, started)
            turn += clients
            if connection.closed:
                connection = await connect(port)
        connection.close()

    await asyncio.gather(*(client(number) for number in range(clients)))
    tally.seconds = time.perf_counter() - started
    return tally


async def opened(
    port: int,
    requests: Sequence[bytes],
    *,
    rate: float,
    seconds: float,
    every_second: Callable[[], None] | None = None,
) -> Tally:
    """Requests at random moments (Poisson), at this rate, whether answered or not."""
    tally = Tally()
    rng = random.Random(0)
    idle: list[Connection] = []
    asked: set[asyncio.Task] = set()
    started = time.perf_counter()

    async def ask(request: bytes) -> None:
        try:
            connection = idle.pop() if idle else await connect(port)
        except OSError:
            tally.statuses[_NO_ANSWER] += 1
            return
        await _timed(connection, request, tally, started)
        if connection.closed:
            connection.close()
        else:
            idle.append(connection)

    due, ticks = 0.0, 0
    turn = 0
    while due < seconds:
        wait = started + due - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        task = asyncio.ensure_future(ask(requests[turn % len(requests)]))
        asked.add(task)
        task.add_done_callback(asked.discard)
        turn += 1
        due += rng.expovariate(rate)
        if every_second is not None and time.perf_counter() - started > ticks:
            ticks += 1
            every_second()
    sent_for = time.perf_counter() - started
    await asyncio.gather(*asked)
    tally.seconds = max(sent_for, seconds)
    for connection in idle:
        connection.close()
    return tally

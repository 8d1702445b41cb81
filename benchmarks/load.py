"""A lean HTTP load generator: what it costs itself must not be what is measured.

Requests are made once, as bytes; a connection is an asyncio protocol that looks for the end of
a response and nothing else. `closed` keeps a number of clients busy; `opened` sends at a rate,
whatever the server does, as a crowd would. Both tell the CPU time that they took themselves.
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
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_NO_ANSWER = 0
_PATIENCE_S = 30.0


@dataclass
class Tally:
    """What came back.

    Attributes:
        statuses: how many of each status; 0 for no response at all.
        latencies_s: of the responses with status 200.
        refused_s: of those with status 503.
        seconds: that requests were sent for.
        in_time: responses with status 200 that came within `seconds`.
        cpu_s: CPU time of the generator itself.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)
    seconds: float = 0.0
    in_time: int = 0
    cpu_s: float = 0.0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.in_time / self.seconds if self.seconds else 0.0

    def note(self, status: int, latency_s: float, *, in_time: bool) -> None:
        """Count one response, or that there was none."""
        self.statuses[status] += 1
        if status == 200:
            self.latencies_s.append(latency_s)
            self.in_time += in_time
        elif status == 503:
            self.refused_s.append(latency_s)


def percentile_ms(latencies_s: Sequence[float], percent: float) -> float | None:
    """Of latencies in seconds, in milliseconds; None when there are none."""
    ordered = sorted(latencies_s)
    if not ordered:
        return None
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
        self._told: Callable[[int, bytes], None] | None = None
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """See whether the response is whole."""
        buffer = self._buffer + data if self._buffer else data
        end = buffer.find(b"\r\n\r\n")
        found = _LENGTH.search(buffer, 0, end) if end >= 0 else None
        total = end + 4 + (int(found[1]) if found else 0)
        if end < 0 or len(buffer) < total:
            self._buffer = buffer
            return
        self._buffer = b""
        self.closed = self.closed or _CLOSE.search(buffer, 0, end) is not None
        self._tell(int(buffer[9:12]), buffer[end + 4 : total])

    def connection_lost(self, _: Exception | None) -> None:
        """Whoever waits gets no answer."""
        self.closed = True
        self._tell(_NO_ANSWER, b"")

    def _tell(self, status: int, body: bytes) -> None:
        told, self._told = self._told, None
        if told is not None:
            told(status, body)

    def send(self, request: bytes, told: Callable[[int, bytes], None]) -> None:
        """Send a request; `told` hears status and body, or 0 when there is no response."""
        self._told = told
        self._transport.write(request)  # type: ignore[attr-defined]

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body; (0, b"") when the connection ends without a response."""
        answered: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()

        def told(status: int, body: bytes) -> None:
            if not answered.done():
                answered.set_result((status, body))

        self.send(request, told)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await answered
        except TimeoutError:
            self.close()
            return _NO_ANSWER, b""

    def close(self) -> None:
        """End it."""
        self.closed = True
        self._transport.close()


async def connect(port: int) -> Connection:
    """A new connection to this machine."""
    loop = asyncio.get_running_loop()
    return (await loop.create_connection(Connection, "127.0.0.1", port))[1]


async def closed(port: int, requests: Sequence[bytes], *, clients: int, seconds: float) -> Tally:
    """Clients that each send their next request when they have the last answer."""
    tally = Tally(seconds=seconds)
    cpu_s = time.process_time()
    started = time.perf_counter()

    async def client(number: int) -> None:
        connection = await connect(port)
        turn = number
        while (before := time.perf_counter()) - started < seconds:
            status, _ = await connection.ask(requests[turn % len(requests)])
            now = time.perf_counter()
            tally.note(status, now - before, in_time=now - started < seconds)
            turn += clients
            if connection.closed:
                connection = await connect(port)
        connection.close()

    await asyncio.gather(*(client(number) for number in range(clients)))
    tally.cpu_s = time.process_time() - cpu_s
    return tally


async def opened(
    port: int,
    requests: Sequence[bytes],
    *,
    rate: float,
    seconds: float,
    every_second: Callable[[], None] | None = None,
) -> Tally:
    """Requests at random moments (Poisson), at this rate, whether answered or not.

    A latency counts from the moment at which the request was due, so that a generator, or a
    machine, that falls behind shows in it.
    """
    crowd = _Crowd(port, requests, Tally(seconds=seconds))
    cpu_s = time.process_time()
    crowd.started = time.perf_counter()
    rng = random.Random(0)
    due, ticks = rng.expovariate(rate), 0
    while due < seconds:
        wait = crowd.started + due - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        crowd.send(crowd.started + due)
        due += rng.expovariate(rate)
        if every_second is not None and due > ticks:
            ticks += 1
            every_second()
    await crowd.end()
    crowd.tally.cpu_s = time.process_time() - cpu_s
    return crowd.tally


class _Crowd:
    """Requests on their way, each on a connection that is idle, or else on a new one."""

    def __init__(self, port: int, requests: Sequence[bytes], tally: Tally) -> None:
        self._port = port
        self._requests = requests
        self._turn = 0
        self._waiting = 0
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._opening: set[asyncio.Task] = set()
        self.started = 0.0
        self.tally = tally

    def send(self, due: float) -> None:
        """Send the next request."""
        request = self._requests[self._turn % len(self._requests)]
        self._turn += 1
        self._waiting += 1
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed:
                self._send_on(connection, request, due)
                return
            self._all.discard(connection)
        task = asyncio.ensure_future(self._send_on_new(request, due))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _send_on_new(self, request: bytes, due: float) -> None:
        try:
            connection = await connect(self._port)
        except OSError:
            self._note(_NO_ANSWER, due)
            return
        self._all.add(connection)
        self._send_on(connection, request, due)

    def _send_on(self, connection: Connection, request: bytes, due: float) -> None:
        def told(status: int, _: bytes) -> None:
            self._note(status, due)
            if connection.closed:
                self._all.discard(connection)
                connection.close()
            else:
                self._idle.append(connection)

        connection.send(request, told)

    def _note(self, status: int, due: float) -> None:
        now = time.perf_counter()
        self._waiting -= 1
        in_time = now - self.started < self.tally.seconds
        self.tally.note(status, now - due, in_time=in_time)

    async def end(self) -> None:
        """Wait for what is still to come, but not for ever, then close everything."""
        gone_on_until = time.perf_counter() + _PATIENCE_S
        while self._waiting and time.perf_counter() < gone_on_until:
            await asyncio.sleep(0.01)
        for connection in list(self._all):  # whoever still waits is told 0
            connection.close()
        await asyncio.sleep(0.05)

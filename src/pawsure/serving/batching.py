"""Dynamic batching: pictures of many requests share forward passes.

A request is accepted or refused at once (`Batcher.submit`). Every worker does what is most
useful next: decode a waiting picture, or, when a batch is full or nothing is left to decode, run
the model on what is decoded. So no thread waits for another while it could work, a lone picture
passes without delay, and batches grow with the load; nothing sleeps in the hope of company.
Pictures that decode slowly go to separate processes (`decoder_process.py`) and block no worker.

The queue is bounded by the number of pictures and by the time they will take at the rate of the
latest answers. A picture whose client left or whose deadline passed is dropped at its next step.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np

from pawsure.model.predictor import Outputs
from pawsure.serving.decoder_process import DecoderProcess
from pawsure.serving.metrics import Metrics
from pawsure.serving.refusals import Busy

Result: TypeAlias = tuple[Outputs, int]
"""The outputs of a batch, and the index of the picture in it."""

SlowDecode: TypeAlias = Callable[[DecoderProcess, float], np.ndarray]
"""Decodes in a process, within so many seconds; gives uint8 (S, S, 3)."""

Decode: TypeAlias = Callable[[], "np.ndarray | SlowDecode"]
"""Gives uint8 (S, S, 3), or a `SlowDecode` if that may take long."""

# Weight of the past in the measured rate, per picture; after 200, half a second, a tenth is left.
_DECAY = 0.99


class Ticket:
    """One picture in the queue; created and read in the event loop.

    Attributes:
        future: a `Result`, or raises what decoding raised, or `Busy` after the deadline.
    """

    __slots__ = ("deadline", "decode", "future", "is_slow", "pixels", "since")

    def __init__(self, decode: Decode, deadline_s: float) -> None:
        """Queue a picture; `decode` is called in a worker thread."""
        self.decode: Decode | None = decode
        self.is_slow = False
        self.pixels: np.ndarray | None = None
        self.since = time.monotonic()
        self.deadline = self.since + deadline_s
        self.future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

    def drop(self) -> None:
        """Nobody waits for it any more: free its memory and do no more work."""
        self.decode = self.pixels = None
        self.future.cancel()


class Batcher:
    """Decodes pictures of many requests and runs the model; `submit` belongs to the event loop."""

    def __init__(
        self,
        run: Callable[[np.ndarray], Outputs],
        *,
        batch_size: int,
        max_waiting: int,
        wait_s: float,
        metrics: Metrics,
        workers: int = 1,
        passes: int = 1,
        decoder_processes: int = 1,
        slow_decode_s: float = 5.0,
    ) -> None:
        """Set up; `start` starts the threads.

        Args:
            run: the model: uint8 (N, S, S, 3) to outputs; called in worker threads.
            batch_size: most pictures in one call of `run`.
            max_waiting: most pictures accepted and not answered.
            wait_s: a picture is refused if it is expected to wait for longer, in seconds.
            metrics: updated here.
            workers: threads that decode and call `run`.
            passes: calls of `run` at once.
            decoder_processes: processes for slow pictures.
            slow_decode_s: seconds that one of these may take.
        """
        self._run = run
        self._batch_size = batch_size
        self._max_waiting = max_waiting
        self._wait_s = wait_s
        self._metrics = metrics
        self._workers = [
            threading.Thread(target=self._work, name=f"worker-{n}", daemon=True)
            for n in range(workers)
        ]
        self._slow_decode_s = slow_decode_s
        self._slow_workers = [
            threading.Thread(target=self._decode_slowly, name=f"decoder-{n}", daemon=True)
            for n in range(decoder_processes)
        ]
        self._slow: deque[tuple[Ticket, SlowDecode]] = deque()
        self._slow_changed = threading.Condition()
        self._encoded: deque[Ticket] = deque()
        self._ready: deque[Ticket] = deque()
        self._free_passes = passes
        self._changed = threading.Condition()
        self._closing = self._closing_slow = False
        self._rate_s = 0.0
        self._rate_pictures = 0.0
        self._last_done = 0.0
        self.waiting = 0
        self._slow_waiting = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Start the threads; call it within the event loop."""
        self._loop = asyncio.get_running_loop()
        for thread in [*self._workers, *self._slow_workers]:
            thread.start()

    async def close(self) -> None:
        """Answer everything accepted, then end the threads and processes."""
        with self._slow_changed:
            self._closing_slow = True
            self._slow_changed.notify_all()
        for thread in self._slow_workers:
            await asyncio.to_thread(thread.join)
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._workers:
            await asyncio.to_thread(thread.join)

    def expected_wait_s(self) -> float:
        """Time to answer everything accepted, at the rate of the latest answers."""
        if not self._rate_pictures:
            return 0.0
        return (self.waiting - self._slow_waiting) * self._rate_s / self._rate_pictures

    def lack_of_room(self, num_pictures: int = 1) -> Busy | None:
        """The refusal, if so many more pictures would be too many or wait too long."""
        full = self.waiting + num_pictures > self._max_waiting
        if full or (self.waiting and self.expected_wait_s() > self._wait_s):
            return self._busy("The server is busy; try again shortly.")
        return None

    def check_room(self, num_pictures: int = 1) -> None:
        """Raise `Busy` if so many more pictures would be too many or wait too long."""
        busy = self.lack_of_room(num_pictures)
        if busy is not None:
            raise busy

    def submit(self, decodes: Sequence[Decode], *, deadline_s: float) -> list[Ticket]:
        """Accept the pictures of one request, all or none.

        Args:
            decodes: one for each picture; called in a worker thread, may raise.
            deadline_s: seconds after which they are dropped.

        Raises:
            Busy: there is no room.
        """
        self.check_room(len(decodes))
        tickets = [Ticket(decode, deadline_s) for decode in decodes]
        self.waiting += len(tickets)
        with self._changed:
            self._encoded.extend(tickets)
            self._changed.notify(len(tickets))
        return tickets

    def _busy(self, message: str) -> Busy:
        return Busy(message, retry_after_s=max(1, math.ceil(self.expected_wait_s())))

    # In worker threads

    def _work(self) -> None:
        while (job := self._next_job()) is not None:
            job()

    def _next_job(self) -> Callable[[], None] | None:
        """Wait for the most useful job; None when the server closes."""
        with self._changed:
            while True:
                full = len(self._ready) >= self._batch_size
                if self._ready and self._free_passes and (full or not self._encoded):
                    return partial(self._run_batch, self._take_batch())
                if self._encoded:
                    return partial(self._decode, self._encoded.popleft())
                if self._closing and not self._ready:
                    return None
                self._changed.wait()

    def _decode(self, ticket: Ticket) -> None:
        decode, ticket.decode = ticket.decode, None
        if self._is_dropped(ticket) or decode is None:
            return
        started = time.monotonic()
        try:
            pixels = decode()
        except Exception as exc:  # whatever it is, it is the answer to this one picture
            self._send([(ticket, exc)])
            return
        if not callable(pixels):
            self._decoded(ticket, pixels, started)
            return
        ticket.is_slow = True
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._count_slow)
        with self._slow_changed:
            self._slow.append((ticket, pixels))
            self._slow_changed.notify()

    def _decoded(self, ticket: Ticket, pixels: np.ndarray, started: float) -> None:
        self._metrics.decode_s.observe(time.monotonic() - started)
        ticket.pixels = pixels
        with self._changed:
            self._ready.append(ticket)
            if ticket.is_slow:  # this thread is not a worker that could go on with it
                self._changed.notify()

    def _take_batch(self) -> list[Ticket]:
        self._free_passes -= 1
        count = min(len(self._ready), self._batch_size)
        return [self._ready.popleft() for _ in range(count)]

    def _run_batch(self, batch: list[Ticket]) -> None:
        tickets, pictures = [], []
        for ticket in batch:
            # `drop` may clear them at any moment.
            if not self._is_dropped(ticket) and (pixels := ticket.pixels) is not None:
                tickets.append(ticket)
                pictures.append(pixels)
        if tickets:
            self._run_model(tickets, np.stack(pictures))
        with self._changed:
            self._free_passes += 1
            if self._ready or self._closing:
                self._changed.notify()

    def _run_model(self, tickets: list[Ticket], pictures: np.ndarray) -> None:
        started = time.monotonic()
        try:
            outputs = self._run(pictures)
        except Exception as exc:  # the threads must live on; each request reports it
            self._send([(ticket, exc) for ticket in tickets])
            return
        done = time.monotonic()
        self._metrics.model_s.observe(done - started)
        self._metrics.batch_size.observe(len(tickets))
        with self._changed:
            self._measure_rate(tickets, done)
        self._send([(ticket, (outputs, index)) for index, ticket in enumerate(tickets)])

    def _measure_rate(self, tickets: list[Ticket], done: float) -> None:
        """Update the seconds that a picture takes while there is always something to do.

        A batch that nobody waited for shows how long an answer takes, not how many could be
        given; it counts only while nothing better is known.
        """
        tickets = [ticket for ticket in tickets if not ticket.is_slow]
        if not tickets:
            return
        busy = tickets[0].since < self._last_done
        if busy or not self._rate_pictures:
            seconds = max(0.0, done - max(self._last_done, tickets[0].since))
            decay = _DECAY ** len(tickets)
            self._rate_s = decay * self._rate_s + seconds
            self._rate_pictures = decay * self._rate_pictures + len(tickets)
        self._last_done = max(self._last_done, done)

    # In the threads that wait for decoder processes

    def _decode_slowly(self) -> None:
        process = DecoderProcess()
        try:
            while (job := self._next_slow()) is not None:
                ticket, decode = job
                if self._is_dropped(ticket):
                    continue
                started = time.monotonic()
                seconds = min(self._slow_decode_s, ticket.deadline - started)
                try:
                    pixels = decode(process, seconds)
                except Exception as exc:  # as in `_decode`
                    self._send([(ticket, exc)])
                else:
                    self._decoded(ticket, pixels, started)
        finally:
            process.close()

    def _next_slow(self) -> tuple[Ticket, SlowDecode] | None:
        with self._slow_changed:
            while not self._slow:
                if self._closing_slow:
                    return None
                self._slow_changed.wait()
            return self._slow.popleft()

    # In either

    def _is_dropped(self, ticket: Ticket) -> bool:
        """Whether nobody waits for it or it is late; its result is sent then."""
        if ticket.future.cancelled():
            self._send([(ticket, Busy("dropped", retry_after_s=1))])
            return True
        if time.monotonic() > ticket.deadline:
            late = self._busy("The answer took too long; try again shortly.")
            self._send([(ticket, late)])
            return True
        return False

    def _send(self, results: list[tuple[Ticket, Result | Exception]]) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._receive, results)

    # In the event loop

    def _count_slow(self) -> None:
        self._slow_waiting += 1

    def _receive(self, results: list[tuple[Ticket, Result | Exception]]) -> None:
        for ticket, result in results:
            self.waiting -= 1
            self._slow_waiting -= ticket.is_slow
            ticket.pixels = None
            if ticket.future.done():
                self._metrics.dropped.inc()
            elif isinstance(result, Exception):
                ticket.future.set_exception(result)
            else:
                ticket.future.set_result(result)

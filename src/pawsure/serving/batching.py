"""Pictures of many requests share forward passes.

A picture is taken on or refused at once (`Batcher.submit`), decoded by one of a few threads,
and then waits for the one thread that runs the model, which takes whatever waits, up to the
batch size, as soon as it is free: alone a picture goes through by itself, under load batches
grow by themselves, and nothing sleeps in the hope of company.

Room is bounded twice: by a number of pictures, and by the time that the pictures in hand will
take at the pace of the last answers. What is given up (its client left, its deadline passed)
is dropped at the next step it comes to.
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import numpy as np

from pawsure.model.predictor import Outputs
from pawsure.serving.metrics import Metrics
from pawsure.serving.refusals import Busy

Row: TypeAlias = tuple[Outputs, int]
"""The outputs of a whole batch, and which row is meant."""

# What each batch leaves of those before it in the pace; after 20, about a second, a tenth.
_KEPT = 0.9


class Ticket:
    """One picture on its way; made and read in the event loop.

    Attributes:
        future: gives the `Row`, or raises what decoding raised, or `Busy` when too late.
    """

    __slots__ = ("deadline", "future", "load", "pixels", "since")

    def __init__(self, load: Callable[[], np.ndarray], deadline_s: float) -> None:
        """Take what gives the pixels, uint8 (S, S, 3); it is called in a decoding thread."""
        self.load: Callable[[], np.ndarray] | None = load
        self.pixels: np.ndarray | None = None
        self.since = time.monotonic()
        self.deadline = self.since + deadline_s
        self.future: asyncio.Future[Row] = asyncio.get_running_loop().create_future()

    def drop(self) -> None:
        """Nobody waits any more: free what it holds, do no more work for it."""
        self.load = self.pixels = None
        self.future.cancel()


class Batcher:
    """Decodes and runs pictures of many requests; `submit` belongs to the event loop."""

    def __init__(
        self,
        run: Callable[[np.ndarray], Outputs],
        *,
        batch_size: int,
        max_waiting: int,
        wait_s: float,
        metrics: Metrics,
        decode_threads: int | None = None,
    ) -> None:
        """Set up; `start` starts the threads.

        Args:
            run: the model: uint8 (N, S, S, 3) to outputs; called in one thread.
            batch_size: most pictures in one call of `run`.
            max_waiting: pictures taken on and not answered yet.
            wait_s: seconds that a new picture may be expected to wait.
            metrics: to tell what happens.
            decode_threads: None takes one per core.
        """
        self._run = run
        self._batch_size = batch_size
        self._max_waiting = max_waiting
        self._wait_s = wait_s
        self._metrics = metrics
        threads = decode_threads or os.cpu_count() or 1
        self._decoders = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self._runner = threading.Thread(target=self._run_batches, name="model", daemon=True)
        self._ready: deque[Ticket] = deque()
        self._change = threading.Condition()
        self._closing = False
        self._paced_s = 0.0
        self._paced_pictures = 0.0
        self._last_done = 0.0
        self.waiting = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Start the thread that runs the model; call it within the event loop."""
        self._loop = asyncio.get_running_loop()
        self._runner.start()

    async def close(self) -> None:
        """Finish what was taken on, then end the threads."""
        await asyncio.to_thread(self._decoders.shutdown)
        with self._change:
            self._closing = True
            self._change.notify()
        await asyncio.to_thread(self._runner.join)

    def expected_wait_s(self) -> float:
        """How long the pictures in hand will take, by the pace of the last answers."""
        if not self._paced_pictures:
            return 0.0
        return self.waiting * self._paced_s / self._paced_pictures

    def check_room(self, num_pictures: int = 1) -> None:
        """Raise `Busy` when so many more pictures would have to wait too long."""
        full = self.waiting + num_pictures > self._max_waiting
        if full or (self.waiting and self.expected_wait_s() > self._wait_s):
            raise self._busy("The server has as much to do as it can take on; ask again shortly.")

    def submit(
        self, loads: Sequence[Callable[[], np.ndarray]], *, deadline_s: float
    ) -> list[Ticket]:
        """Take on the pictures of one request, all or none.

        Args:
            loads: each gives uint8 (S, S, 3), or raises; called in a decoding thread.
            deadline_s: seconds until they are given up.

        Raises:
            Busy: there is no room.
        """
        self.check_room(len(loads))
        tickets = [Ticket(load, deadline_s) for load in loads]
        self.waiting += len(tickets)
        for ticket in tickets:
            self._decoders.submit(self._decode, ticket)
        return tickets

    def _busy(self, sentence: str) -> Busy:
        return Busy(sentence, retry_after_s=max(1, math.ceil(self.expected_wait_s())))

    # In the decoding threads

    def _decode(self, ticket: Ticket) -> None:
        load, ticket.load = ticket.load, None
        if self._given_up(ticket) or load is None:
            return
        started = time.monotonic()
        try:
            pixels = load()
        except Exception as exc:  # whatever it is, it is the answer to this one picture
            self._hand_back([(ticket, exc)])
            return
        self._metrics.decode_s.observe(time.monotonic() - started)
        ticket.pixels = pixels
        with self._change:
            self._ready.append(ticket)
            self._change.notify()

    # In the thread of the model

    def _run_batches(self) -> None:
        while tickets := self._take():
            batch = [
                (ticket, pixels)
                for ticket in tickets
                if not self._given_up(ticket) and (pixels := ticket.pixels) is not None
            ]
            if batch:
                self._run_batch([ticket for ticket, _ in batch], [pixels for _, pixels in batch])

    def _take(self) -> list[Ticket]:
        """What waits, up to the batch size; empty when it is time to end."""
        with self._change:
            while not self._ready and not self._closing:
                self._change.wait()
            count = min(len(self._ready), self._batch_size)
            return [self._ready.popleft() for _ in range(count)]

    def _run_batch(self, tickets: list[Ticket], pictures: list[np.ndarray]) -> None:
        started = time.monotonic()
        try:
            outputs = self._run(np.stack(pictures))
        except Exception as exc:  # the threads must live on; each request reports it
            self._hand_back([(ticket, exc) for ticket in tickets])
            return
        done = time.monotonic()
        self._metrics.model_s.observe(done - started)
        self._metrics.batch_size.observe(len(tickets))
        self._measure_pace(tickets, done)
        self._hand_back([(ticket, (outputs, row)) for row, ticket in enumerate(tickets)])

    def _measure_pace(self, tickets: list[Ticket], done: float) -> None:
        """Seconds a picture while there is always something to do, latest batches first.

        A batch that nobody waited for says how long an answer takes, not how many could be
        given; it counts only while nothing better is known.
        """
        busy = tickets[0].since < self._last_done
        if busy or not self._paced_pictures:
            seconds = done - max(self._last_done, tickets[0].since)
            self._paced_s = _KEPT * self._paced_s + seconds
            self._paced_pictures = _KEPT * self._paced_pictures + len(tickets)
        self._last_done = done

    # In either

    def _given_up(self, ticket: Ticket) -> bool:
        if ticket.future.cancelled():
            self._hand_back([(ticket, Busy("dropped", retry_after_s=1))])
            return True
        if time.monotonic() > ticket.deadline:
            late = self._busy("It took longer than a request may wait; ask again shortly.")
            self._hand_back([(ticket, late)])
            return True
        return False

    def _hand_back(self, results: list[tuple[Ticket, Row | Exception]]) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._deliver, results)

    # In the event loop

    def _deliver(self, results: list[tuple[Ticket, Row | Exception]]) -> None:
        for ticket, result in results:
            self.waiting -= 1
            ticket.pixels = None
            if ticket.future.done():
                self._metrics.dropped.add()
            elif isinstance(result, Exception):
                ticket.future.set_exception(result)
            else:
                ticket.future.set_result(result)

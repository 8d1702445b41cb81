"""Pictures of many requests, decoded and run by a few workers that share forward passes.

A picture is taken on or refused at once (`Batcher.submit`). There are as many workers as cores,
and each does what is most useful next: decode a picture that waits, or, when a batch is full or
nothing is left to decode, run the model over what is decoded. So no more threads want the cores
than there are cores, nobody hands a picture on while a worker is free to finish it, alone a
picture goes through by itself, and under load batches grow by themselves; nothing sleeps in the
hope of company. A picture that takes long to decode is put aside, for processes that wait for
such (`pawsure.serving.aside`); it holds up no worker, and no picture but those of its kind.

Room is bounded twice: by a number of pictures, and by the time that the pictures in hand will
take at the pace of the last answers. What is given up (its client left, its deadline passed)
is dropped at the next step it comes to.
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
from pawsure.serving.aside import Aside
from pawsure.serving.metrics import Metrics
from pawsure.serving.refusals import Busy

Row: TypeAlias = tuple[Outputs, int]
"""The outputs of a whole batch, and which row is meant."""

Later: TypeAlias = Callable[[Aside, float], np.ndarray]
"""Gives the pixels with the help of a process, in so many seconds or not at all."""

Load: TypeAlias = Callable[[], "np.ndarray | Later"]
"""Gives uint8 (S, S, 3), or what does if that takes long."""

# What each picture leaves of those before it in the pace; after 200, half a second, a tenth.
_KEPT = 0.99


class Ticket:
    """One picture on its way; made and read in the event loop.

    Attributes:
        future: gives the `Row`, or raises what decoding raised, or `Busy` when too late.
    """

    __slots__ = ("aside", "deadline", "future", "load", "pixels", "since")

    def __init__(self, load: Load, deadline_s: float) -> None:
        """Take what gives the pixels; it is called in a decoding thread."""
        self.load: Load | None = load
        self.aside = False
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
        workers: int = 1,
        passes: int = 1,
        asides: int = 1,
        aside_s: float = 5.0,
    ) -> None:
        """Set up; `start` starts the threads.

        Args:
            run: the model: uint8 (N, S, S, 3) to outputs; called in the workers' threads.
            batch_size: most pictures in one call of `run`.
            max_waiting: pictures taken on and not answered yet.
            wait_s: seconds that a new picture may be expected to wait.
            metrics: to tell what happens.
            workers: threads that decode and call `run`.
            passes: calls of `run` at once.
            asides: processes for pictures that take long.
            aside_s: seconds that one may take there.
        """
        self._run = run
        self._batch_size = batch_size
        self._max_waiting = max_waiting
        self._wait_s = wait_s
        self._metrics = metrics
        self._workers = [
            threading.Thread(target=self._work, name=f"worker-{number}", daemon=True)
            for number in range(workers)
        ]
        self._aside_s = aside_s
        self._asides = [Aside() for _ in range(asides)]
        self._waiters = [
            threading.Thread(target=self._wait_for, args=[aside], name=f"aside-{n}", daemon=True)
            for n, aside in enumerate(self._asides)
        ]
        self._later: deque[tuple[Ticket, Later]] = deque()
        self._late_change = threading.Condition()
        self._encoded: deque[Ticket] = deque()
        self._ready: deque[Ticket] = deque()
        self._passes_left = passes
        self._change = threading.Condition()
        self._closing = self._closing_aside = False
        self._paced_s = 0.0
        self._paced_pictures = 0.0
        self._last_done = 0.0
        self.waiting = 0
        self._aside_waiting = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Start the workers; call it within the event loop."""
        self._loop = asyncio.get_running_loop()
        for thread in [*self._workers, *self._waiters]:
            thread.start()

    async def close(self) -> None:
        """Finish what was taken on, then end the threads and processes."""
        with self._late_change:
            self._closing_aside = True
            self._late_change.notify_all()
        for waiter in self._waiters:
            await asyncio.to_thread(waiter.join)
        with self._change:
            self._closing = True
            self._change.notify_all()
        for worker in self._workers:
            await asyncio.to_thread(worker.join)

    def expected_wait_s(self) -> float:
        """How long the pictures in hand will take, by the pace of the last answers."""
        if not self._paced_pictures:
            return 0.0
        ahead = self.waiting - self._aside_waiting
        return ahead * self._paced_s / self._paced_pictures

    def lack_of_room(self, num_pictures: int = 1) -> Busy | None:
        """The refusal, when so many more pictures would have to wait too long."""
        full = self.waiting + num_pictures > self._max_waiting
        if full or (self.waiting and self.expected_wait_s() > self._wait_s):
            return self._busy("The server has as much to do as it can take on; ask again shortly.")
        return None

    def check_room(self, num_pictures: int = 1) -> None:
        """Raise `Busy` when so many more pictures would have to wait too long."""
        busy = self.lack_of_room(num_pictures)
        if busy is not None:
            raise busy

    def submit(self, loads: Sequence[Load], *, deadline_s: float) -> list[Ticket]:
        """Take on the pictures of one request, all or none.

        Args:
            loads: each gives the pixels, or raises; called in a decoding thread.
            deadline_s: seconds until they are given up.

        Raises:
            Busy: there is no room.
        """
        self.check_room(len(loads))
        tickets = [Ticket(load, deadline_s) for load in loads]
        self.waiting += len(tickets)
        with self._change:
            self._encoded.extend(tickets)
            self._change.notify(len(tickets))
        return tickets

    def _busy(self, sentence: str) -> Busy:
        return Busy(sentence, retry_after_s=max(1, math.ceil(self.expected_wait_s())))

    # In the workers' threads

    def _work(self) -> None:
        while (job := self._next_job()) is not None:
            job()

    def _next_job(self) -> Callable[[], None] | None:
        """What is most useful now; waits for it, and is None when it is time to end."""
        with self._change:
            while True:
                full = len(self._ready) >= self._batch_size
                if self._ready and self._passes_left and (full or not self._encoded):
                    return partial(self._run_batch, self._take_batch())
                if self._encoded:
                    return partial(self._decode, self._encoded.popleft())
                if self._closing and not self._ready:
                    return None
                self._change.wait()

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
        if callable(pixels):
            self._put_aside(ticket, pixels)
            return
        self._metrics.decode_s.observe(time.monotonic() - started)
        ticket.pixels = pixels
        with self._change:
            self._ready.append(ticket)

    def _put_aside(self, ticket: Ticket, later: Later) -> None:
        ticket.aside = True
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._count_aside, 1)
        with self._late_change:
            self._later.append((ticket, later))
            self._late_change.notify()

    def _take_batch(self) -> list[Ticket]:
        self._passes_left -= 1
        count = min(len(self._ready), self._batch_size)
        return [self._ready.popleft() for _ in range(count)]

    def _run_batch(self, taken: list[Ticket]) -> None:
        wanted = [
            (ticket, pixels)
            for ticket in taken
            if not self._given_up(ticket) and (pixels := ticket.pixels) is not None
        ]
        if wanted:
            self._run_wanted([ticket for ticket, _ in wanted], [pixels for _, pixels in wanted])
        with self._change:
            self._passes_left += 1
            if self._ready or self._closing:
                self._change.notify()

    def _run_wanted(self, tickets: list[Ticket], pictures: list[np.ndarray]) -> None:
        started = time.monotonic()
        try:
            outputs = self._run(np.stack(pictures))
        except Exception as exc:  # the threads must live on; each request reports it
            self._hand_back([(ticket, exc) for ticket in tickets])
            return
        done = time.monotonic()
        self._metrics.model_s.observe(done - started)
        self._metrics.batch_size.observe(len(tickets))
        with self._change:
            self._measure_pace(tickets, done)
        self._hand_back([(ticket, (outputs, row)) for row, ticket in enumerate(tickets)])

    def _measure_pace(self, tickets: list[Ticket], done: float) -> None:
        """Seconds a picture while there is always something to do, latest batches first.

        A batch that nobody waited for says how long an answer takes, not how many could be
        given; it counts only while nothing better is known.
        """
        tickets = [ticket for ticket in tickets if not ticket.aside]
        if not tickets:
            return
        busy = tickets[0].since < self._last_done
        if busy or not self._paced_pictures:
            seconds = max(0.0, done - max(self._last_done, tickets[0].since))
            kept = _KEPT ** len(tickets)
            self._paced_s = kept * self._paced_s + seconds
            self._paced_pictures = kept * self._paced_pictures + len(tickets)
        self._last_done = max(self._last_done, done)

    # In the threads that wait for processes

    def _wait_for(self, aside: Aside) -> None:
        try:
            while (job := self._next_aside()) is not None:
                self._decode_aside(aside, *job)
        finally:
            aside.close()

    def _next_aside(self) -> tuple[Ticket, Later] | None:
        with self._late_change:
            while not self._later:
                if self._closing_aside:
                    return None
                self._late_change.wait()
            return self._later.popleft()

    def _decode_aside(self, aside: Aside, ticket: Ticket, later: Later) -> None:
        if self._given_up(ticket):
            return
        started = time.monotonic()
        try:
            pixels = later(aside, min(self._aside_s, ticket.deadline - started))
        except Exception as exc:  # as in `_decode`
            self._hand_back([(ticket, exc)])
            return
        self._metrics.decode_s.observe(time.monotonic() - started)
        ticket.pixels = pixels
        with self._change:
            self._ready.append(ticket)
            self._change.notify()

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

    def _count_aside(self, more: int) -> None:
        self._aside_waiting += more

    def _deliver(self, results: list[tuple[Ticket, Row | Exception]]) -> None:
        for ticket, result in results:
            self.waiting -= 1
            self._aside_waiting -= ticket.aside
            ticket.pixels = None
            if ticket.future.done():
                self._metrics.dropped.add()
            elif isinstance(result, Exception):
                ticket.future.set_exception(result)
            else:
                ticket.future.set_result(result)

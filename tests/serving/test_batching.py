from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest

from pawsure.model.predictor import Outputs
from pawsure.serving.batching import Batcher, Ticket
from pawsure.serving.metrics import Metrics
from pawsure.serving.refusals import Busy


def outputs_of(pictures: np.ndarray) -> Outputs:
    """Outputs that tell their picture again: the value of its first pixel."""
    values = pictures[:, 0, 0, :1].astype(np.float32)
    return Outputs(probability=values, logit=values, embedding=values, evidence=values)


class Model:
    """Counts its batches; waits at a gate when it has one."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.entered = 0
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, pictures: np.ndarray) -> Outputs:
        self.entered += 1
        self.gate.wait(5)
        self.batches.append(len(pictures))
        return outputs_of(pictures)


@asynccontextmanager
async def batcher(
    model: Callable[[np.ndarray], Outputs], **changes: float
) -> AsyncIterator[Batcher]:
    bounds = {"batch_size": 4, "max_waiting": 100, "wait_s": 10.0, "workers": 2} | changes
    queue = Batcher(model, metrics=Metrics(), **bounds)
    queue.start()
    yield queue
    await queue.close()


def giving(value: int) -> Callable[[], np.ndarray]:
    return lambda: np.full((2, 2, 3), value, np.uint8)


async def value_of(ticket: Ticket) -> int:
    outputs, row = await ticket.future
    return int(outputs.probability[row, 0])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


def test_every_picture_gets_its_own_answer():
    async def story() -> None:
        async with batcher(Model()) as queue:
            tickets = queue.submit([giving(value) for value in range(50)], deadline_s=5)
            assert [await value_of(ticket) for ticket in tickets] == list(range(50))
            assert queue.waiting == 0

    asyncio.run(story())


def test_batches_grow_with_what_waits_and_one_alone_does_not_wait():
    async def story() -> None:
        model = Model()
        async with batcher(model) as queue:
            await value_of(queue.submit([giving(1)], deadline_s=5)[0])
            assert model.batches == [1]
            model.gate.clear()
            (first,) = queue.submit([giving(2)], deadline_s=5)
            await until(lambda: model.entered == 2)
            tickets = queue.submit([giving(value) for value in range(7)], deadline_s=5)
            await until(lambda: len(queue._ready) == 7)
            model.gate.set()
            await asyncio.gather(first.future, *(ticket.future for ticket in tickets))
            assert model.batches == [1, 1, 4, 3]

    asyncio.run(story())


def test_a_picture_that_takes_long_to_decode_holds_up_no_other():
    async def story() -> None:
        held = threading.Event()

        def slow() -> np.ndarray:
            held.wait(5)
            return np.full((2, 2, 3), 9, np.uint8)

        async with batcher(Model(), workers=2, passes=2) as queue:
            (late, *others) = queue.submit([slow, *map(giving, range(6))], deadline_s=5)
            assert [await value_of(ticket) for ticket in others] == list(range(6))
            assert not late.future.done()
            held.set()
            assert await value_of(late) == 9

    asyncio.run(story())


def test_no_more_passes_run_at_once_than_allowed():
    at_once: list[int] = []
    running = threading.Semaphore(0)

    def counting(pictures: np.ndarray) -> Outputs:
        running.release()
        at_once.append(running._value)
        time.sleep(0.002)
        running.acquire()
        return outputs_of(pictures)

    async def story() -> None:
        async with batcher(counting, workers=4, passes=2, batch_size=1) as queue:
            tickets = queue.submit([giving(value) for value in range(40)], deadline_s=5)
            assert [await value_of(ticket) for ticket in tickets] == list(range(40))
        assert max(at_once) == 2

    asyncio.run(story())


def test_a_full_queue_refuses_at_once_and_says_when_to_come_again():
    async def story() -> None:
        model = Model()
        async with batcher(model, max_waiting=3) as queue:
            model.gate.clear()
            taken = queue.submit([giving(1)] * 3, deadline_s=5)
            started = time.monotonic()
            with pytest.raises(Busy) as refused:
                queue.submit([giving(2)], deadline_s=5)
            assert time.monotonic() - started < 0.1
            assert refused.value.retry_after_s >= 1
            model.gate.set()
            assert [await value_of(ticket) for ticket in taken] == [1, 1, 1]
            assert await value_of(queue.submit([giving(2)], deadline_s=5)[0]) == 2

    asyncio.run(story())


def test_a_wait_that_would_be_too_long_is_refused_by_the_measured_pace():
    def slow(pictures: np.ndarray) -> Outputs:
        time.sleep(0.02 * len(pictures))
        return outputs_of(pictures)

    async def story() -> None:
        async with batcher(slow, wait_s=0.1) as queue:
            await asyncio.gather(*(t.future for t in queue.submit([giving(0)] * 4, deadline_s=5)))
            taken = queue.submit([giving(1)] * 10, deadline_s=5)  # 0.2 s of work
            assert queue.expected_wait_s() > 0.1
            with pytest.raises(Busy):
                queue.check_room()
            await asyncio.gather(*(ticket.future for ticket in taken))
            queue.check_room()

    asyncio.run(story())


def test_what_is_late_is_given_up_without_running_it():
    async def story() -> None:
        model = Model()
        async with batcher(model) as queue:
            model.gate.clear()
            (first,) = queue.submit([giving(1)], deadline_s=5)
            await until(lambda: model.entered == 1)
            (late,) = queue.submit([giving(2)], deadline_s=0.01)
            await asyncio.sleep(0.05)
            model.gate.set()
            assert await value_of(first) == 1
            with pytest.raises(Busy, match="too long"):
                await late.future
            assert model.batches == [1]

    asyncio.run(story())


def test_what_is_dropped_costs_nothing_more():
    async def story() -> None:
        model = Model()
        async with batcher(model) as queue:
            model.gate.clear()
            (first,) = queue.submit([giving(1)], deadline_s=5)
            await until(lambda: model.entered == 1)
            dropped = queue.submit([giving(2)] * 5, deadline_s=5)
            for ticket in dropped:
                ticket.drop()
            model.gate.set()
            assert await value_of(first) == 1
            await until(lambda: queue.waiting == 0)
            assert model.batches == [1]
            assert queue._metrics.dropped._value.get() == 5

    asyncio.run(story())


def test_a_picture_that_breaks_harms_no_other():
    def broken() -> np.ndarray:
        raise ValueError("bad picture")

    async def story() -> None:
        async with batcher(Model()) as queue:
            good, bad = queue.submit([giving(1), broken], deadline_s=5)
            assert await value_of(good) == 1
            with pytest.raises(ValueError, match="bad picture"):
                await bad.future

    asyncio.run(story())


def test_a_model_that_breaks_once_lives_on():
    calls = []

    def sometimes(pictures: np.ndarray) -> Outputs:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("out of memory")
        return outputs_of(pictures)

    async def story() -> None:
        async with batcher(sometimes) as queue:
            with pytest.raises(RuntimeError, match="out of memory"):
                await queue.submit([giving(1)], deadline_s=5)[0].future
            assert await value_of(queue.submit([giving(2)], deadline_s=5)[0]) == 2

    asyncio.run(story())


def test_closing_answers_what_was_taken_on():
    async def story() -> None:
        async with batcher(Model()) as queue:
            tickets = queue.submit([giving(value) for value in range(20)], deadline_s=5)
        assert [await value_of(ticket) for ticket in tickets] == list(range(20))

    asyncio.run(story())


def test_answers_to_single_pictures_do_not_make_a_crowd_look_slow():
    def costly_to_start(pictures: np.ndarray) -> Outputs:
        time.sleep(0.03)
        return outputs_of(pictures)

    async def story() -> None:
        async with batcher(costly_to_start, wait_s=0.5, batch_size=32) as queue:
            for _ in range(5):
                await queue.submit([giving(0)], deadline_s=5)[0].future
            await asyncio.gather(*(t.future for t in queue.submit([giving(1)] * 64, deadline_s=5)))
            queue.submit([giving(1)] * 60, deadline_s=5)
            queue.check_room()

    asyncio.run(story())

"""Work by threads, with results in order and a bound on how much is in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from pawsure.data.cores import available_cores as available_cores

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int, ahead: int
) -> Generator[Result, None, None]:
    """Apply a function to items by threads; give the results in the order of the items.

    When the consumer stops early, or an item raises, what has not begun is dropped.

    Args:
        function: must be safe to call from many threads.
        items: taken one at a time, as they are needed.
        workers: threads, at least 1.
        ahead: items that may be started or done beyond the one that is waited for.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="pawsure")
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)

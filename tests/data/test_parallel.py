from __future__ import annotations

import threading
import time

import pytest

from pawsure.data.parallel import available_cores, in_order


def test_results_come_in_order_though_work_does_not():
    def slow_first(item: int) -> int:
        time.sleep(0.02 if item % 4 == 0 else 0)
        return item * item

    squares = list(in_order(slow_first, range(20), workers=4, ahead=6))
    assert squares == [item * item for item in range(20)]


def test_no_more_is_under_way_than_allowed():
    taken = []
    results = in_order(
        lambda item: item, (taken.append(i) or i for i in range(100)), workers=2, ahead=3
    )
    for _ in range(10):
        next(results)
    assert len(taken) <= 10 + 3 + 1


def test_an_error_comes_where_its_result_would():
    results = in_order(lambda item: 1 // item, [2, 1, 0, 1], workers=2, ahead=4)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_threads_end_when_the_consumer_does():
    before = threading.active_count()
    results = in_order(lambda item: item, range(1000), workers=4, ahead=4)
    next(results)
    results.close()
    assert threading.active_count() == before


def test_there_is_at_least_one_core():
    assert available_cores() >= 1

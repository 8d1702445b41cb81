from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
from drawn_pictures import jpeg
from hypothesis import given, settings
from hypothesis import strategies as st

from pawsure.data import images
from pawsure.data.images import Limits
from pawsure.data.loader import iter_batches
from pawsure.errors import PictureError, UsageError

FILES = [jpeg(seed, width=20, height=16) for seed in range(7)]


def read_bytes(index: int) -> bytes:
    """Every eleventh is missing, every thirteenth is cut short."""
    if index % 11 == 10:
        raise PictureError("there is no such file", name=f"{index}.jpg")
    data = FILES[index % len(FILES)]
    return data[:100] if index % 13 == 12 else data


def unreadable(index: int) -> bool:
    return index % 11 == 10 or index % 13 == 12


def counting(read: Callable[[int], bytes]) -> tuple[Callable[[int], bytes], list[int]]:
    asked: list[int] = []

    def reading(index: int) -> bytes:
        asked.append(index)
        return read(index)

    return reading, asked


def test_pictures_are_those_of_read_in_order():
    batches = list(iter_batches(FILES.__getitem__, range(7), size_px=8, batch_size=3))
    assert [batch.indices.tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5], [6]]
    for batch in batches:
        assert batch.pictures.dtype == np.uint8
        assert batch.indices.dtype == np.int64
        for index, picture in zip(batch.indices, batch.pictures, strict=True):
            assert (picture == images.read(FILES[index], size_px=8)).all()


@given(
    st.lists(st.integers(0, 200), max_size=60),
    st.integers(1, 30),
    st.integers(1, 5),
)
@settings(max_examples=40, deadline=None)
def test_every_index_is_told_once_and_in_order(indices, batch_size, workers):
    batches = list(
        iter_batches(read_bytes, indices, size_px=4, batch_size=batch_size, workers=workers)
    )
    assert [i for b in batches for i in b.indices] == [i for i in indices if not unreadable(i)]
    assert [i for b in batches for i, _ in b.problems] == [i for i in indices if unreadable(i)]
    told = [sorted([*b.indices.tolist(), *(i for i, _ in b.problems)]) for b in batches]
    wanted = [indices[at : at + batch_size] for at in range(0, len(indices), batch_size)]
    assert told == [sorted(stretch) for stretch in wanted]
    assert all(b.pictures.shape == (len(b), 4, 4, 3) for b in batches)


def test_reasons_are_given_for_what_is_left_out():
    (batch,) = iter_batches(read_bytes, [9, 10, 12], size_px=4)
    assert batch.indices.tolist() == [9]
    assert batch.problems == [
        (10, "there is no such file"),
        (12, "truncated: the file ends before the picture does; copy it again or remove it"),
    ]


def test_a_batch_may_be_left_with_none():
    (batch,) = iter_batches(read_bytes, [10, 21], size_px=4)
    assert batch.pictures.shape == (0, 4, 4, 3)
    assert len(batch.problems) == 2


def test_nothing_gives_nothing():
    assert list(iter_batches(read_bytes, [], size_px=4)) == []


def test_it_reads_ahead_no_further_than_it_must():
    read, asked = counting(lambda index: FILES[0])
    batches = iter_batches(read, range(10_000), size_px=4, batch_size=16, workers=2)
    for _ in range(5):
        next(batches)
    assert len(asked) <= 5 * 16 + 16 + 2 * 8 + 8
    batches.close()


def test_nothing_is_read_before_it_is_asked_for():
    read, asked = counting(lambda index: FILES[0])
    iter_batches(read, range(10), size_px=4)
    assert asked == []


def test_threads_end_with_the_consumer():
    before = threading.active_count()
    batches = iter_batches(lambda index: FILES[0], range(1000), size_px=4, workers=4)
    next(batches)
    assert threading.active_count() > before
    batches.close()
    assert threading.active_count() == before


def test_other_errors_are_not_swallowed():
    def broken(index: int) -> bytes:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(iter_batches(broken, range(3), size_px=4))


def test_limits_hold():
    (batch,) = iter_batches(lambda i: FILES[0], [0], size_px=4, limits=Limits(max_pixels=100))
    assert "20 x 16 pixels are more than the limit of 100" in batch.problems[0][1]


@pytest.mark.parametrize("bad", [{"batch_size": 0}, {"workers": 0}])
def test_sizes_of_nothing_are_refused_at_once(bad):
    with pytest.raises(UsageError, match="must be at least 1"):
        iter_batches(read_bytes, [1], size_px=4, **bad)

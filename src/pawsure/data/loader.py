"""Batches of decoded pictures: one at a time, or read ahead by threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from pawsure.data.images import DEFAULT_LIMITS, Limits, Picture, read
from pawsure.data.parallel import available_cores, in_order
from pawsure.errors import PictureError, UsageError

# Few enough that threads share a batch evenly, many enough that a task's overhead (0.05 ms) costs
# nothing beside decoding (1 ms a picture).
_PICTURES_A_TASK = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Some pictures of a longer series.

    Attributes:
        indices: int64 (B,), in the series.
        pictures: uint8 (B, S, S, 3), RGB.
        problems: (index, reason) of those that could not be read.
    """

    indices: np.ndarray
    pictures: np.ndarray
    problems: list[tuple[int, str]]

    def __len__(self) -> int:
        """How many pictures."""
        return len(self.indices)


def load_batch(
    read_bytes: Callable[[int], Picture],
    indices: Sequence[int] | np.ndarray,
    *,
    size_px: int,
    limits: Limits = DEFAULT_LIMITS,
) -> Batch:
    """Read, decode and resize some pictures, in this thread.

    Args:
        read_bytes: gives picture i, most often its bytes, or raises `PictureError`.
        indices: which pictures, in order.
        size_px: the side S.
        limits: for every picture.
    """
    pictures = np.empty((len(indices), size_px, size_px, 3), dtype=np.uint8)
    loaded: list[int] = []
    problems: list[tuple[int, str]] = []
    for index in map(int, indices):
        try:
            pictures[len(loaded)] = read(read_bytes(index), size_px=size_px, limits=limits)
            loaded.append(index)
        except PictureError as exc:
            problems.append((index, exc.reason))
    return Batch(
        indices=np.array(loaded, dtype=np.int64),
        pictures=pictures[: len(loaded)],
        problems=problems,
    )


def iter_batches(
    read_bytes: Callable[[int], bytes],
    indices: Sequence[int] | np.ndarray,
    *,
    size_px: int,
    batch_size: int = 64,
    workers: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[Batch]:
    """Read, decode and resize pictures by threads, in their order.

    While one batch is used, the next one is loaded; memory holds about two. The threads end when
    the iterator does, or is closed.

    Args:
        read_bytes: gives the bytes of picture i, or raises `PictureError`; called from several
            threads.
        indices: which pictures, in order.
        size_px: the side S.
        batch_size: pictures a batch; those that can't be read leave it smaller, down to none.
        workers: threads; one for each core by default.
        limits: for every picture.

    Returns:
        Batches that together name every index once, in order.

    Raises:
        UsageError: `batch_size` or `workers` is below 1.
    """
    workers = available_cores() if workers is None else workers
    if batch_size < 1 or workers < 1:
        raise UsageError(
            f"batch_size and workers must be at least 1; got {batch_size} and {workers}."
        )
    indices = np.asarray(indices, dtype=np.int64)

    def load(chunk: np.ndarray) -> Batch:
        return load_batch(read_bytes, chunk, size_px=size_px, limits=limits)

    return _batches(load, indices, batch_size, workers)


def _batches(
    load: Callable[[np.ndarray], Batch], indices: np.ndarray, batch_size: int, workers: int
) -> Iterator[Batch]:
    batches = [indices[at : at + batch_size] for at in range(0, len(indices), batch_size)]
    tasks = [  # none is of two batches
        [batch[at : at + _PICTURES_A_TASK] for at in range(0, len(batch), _PICTURES_A_TASK)]
        for batch in batches
    ]
    ahead = max(-(-batch_size // _PICTURES_A_TASK), workers)
    loaded = in_order(load, chain.from_iterable(tasks), workers=workers, ahead=ahead)
    try:
        for batch in tasks:
            parts = [next(loaded) for _ in batch]
            yield Batch(
                indices=np.concatenate([part.indices for part in parts]),
                pictures=np.concatenate([part.pictures for part in parts]),
                problems=[problem for part in parts for problem in part.problems],
            )
    finally:
        loaded.close()

"""How many threads a product of matrices takes."""

from __future__ import annotations

from contextlib import AbstractContextManager

from threadpoolctl import threadpool_limits


def one_thread_a_product() -> AbstractContextManager[object]:
    """While inside, every product of matrices runs in the thread that asks for it.

    Products here are small and many. Shared out to threads, they wait for each other where
    other work keeps the cores busy, such as TensorFlow's import while a run looks for copies:
    3,000 pictures then took 6.5 s in place of 0.4.
    """
    return threadpool_limits(1)

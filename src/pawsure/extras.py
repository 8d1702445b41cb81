"""Tells which extra brings a package that is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pawsure.errors import MissingExtraError

_MODULES = {"train": {"tensorflow", "keras", "onnx"}}


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Turn a failed import of one of an extra's packages into what to install.

    Raises:
        MissingExtraError: such a package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        # A module of an installed package that is missing is a bug, not a missing extra.
        if error.name in _MODULES[extra]:
            raise MissingExtraError(error.name, extra) from error
        raise

"""Tells which extra brings a package that is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pawsure.errors import MissingExtraError

_MODULES = {"train": {"tensorflow", "keras", "onnx"}}
_MODULES["lite"] = _MODULES["train"]

# Only the base install lacks it; what needs no more than this has an extra without TensorFlow.
_OF_LITE = "onnx"


@contextmanager
def needing(extra: str, *, light: str | None = None) -> Iterator[None]:
    """Turn a failed import of one of an extra's packages into what to install.

    Args:
        extra: "train", or "lite" where that is enough.
        light: arguments for which 'lite' would be enough, where 'train' is needed without them.

    Raises:
        MissingExtraError: such a package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        # A module of an installed package that is missing is a bug, not a missing extra.
        if error.name in _MODULES[extra]:
            if error.name != _OF_LITE:
                raise MissingExtraError(error.name, "train") from error
            raise MissingExtraError(error.name, extra, light=light) from error
        raise

"""Says which extra installs a missing package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pawsure.errors import MissingExtraError

_MODULES = {"tensorflow", "keras", "onnx"}

_OF_LITE = "onnx"
"""The one of these that the extra 'lite' has too."""


@contextmanager
def needing(extra: str, *, light: str | None = None) -> Iterator[None]:
    """Turn a failed import of an extra's package into an error that says what to install.

    Args:
        extra: "train", or "lite" if that is enough.
        light: arguments with which 'lite' would be enough.

    Raises:
        MissingExtraError: such a package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        # A missing module of an installed package is a bug, not a missing extra.
        if error.name not in _MODULES:
            raise
        if error.name != _OF_LITE:
            raise MissingExtraError(error.name, "train") from error
        raise MissingExtraError(error.name, extra, light=light) from error

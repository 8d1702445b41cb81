"""Tells which extra brings a package that is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pawsure.errors import MissingExtraError
from pawsure.installation import install_command

_MODULES = {"train": {"tensorflow", "keras", "onnx"}}

# Only the base install lacks it; what needs no more than this has an extra without TensorFlow.
_LIGHT = {"onnx": ("lite", "--recipe fast --backbone efficientnet_lite0")}


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
            otherwise = ""
            if error.name in _LIGHT:
                light, arguments = _LIGHT[error.name]
                otherwise = f"{install_command(light)}, for {arguments}"
            raise MissingExtraError(error.name, extra, otherwise=otherwise) from error
        raise

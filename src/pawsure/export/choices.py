"""The options of an export; checked without the libraries that write it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pawsure.data.files import check_place
from pawsure.errors import UsageError

FORMATS = ("int8", "tta", "litert", "saved-model", "browser")
"""Of `--to`."""

FITTED = ("int8", "tta")
"""Formats whose trust is fitted again, on the training data."""

_FORMER_NAMES = {"two-looks": "tta"}

PRECISIONS = ("float32", "float16", "int8")
"""Of LiteRT."""


def current_name(to: str, say: Callable[[str], None]) -> str:
    """The name of a format, of which former names are accepted with a warning."""
    if to not in _FORMER_NAMES:
        return to
    say(f"The format '{to}' is now called '{_FORMER_NAMES[to]}'; please use the new name.")
    return _FORMER_NAMES[to]


def needs_tensorflow(to: str) -> bool:
    """Whether TensorFlow writes a format; the others need only onnx."""
    return to in ("litert", "saved-model")


def check_choice(to: str, precision: str | None) -> None:
    """Refuse an unknown format or precision.

    Raises:
        UsageError: it is unknown, or the format has only one precision.
    """
    if to not in FORMATS:
        raise UsageError(f"There is no format '{to}'. --to takes {', '.join(FORMATS)}.")
    if precision is None:
        return
    if to != "litert":
        raise UsageError(f"Only litert has a choice of --precision; '{to}' has a single one.")
    if precision not in PRECISIONS:
        known = ", ".join(PRECISIONS)
        raise UsageError(f"There is no precision '{precision}'. --precision takes {known}.")


def check_free(out: str | Path) -> None:
    """Refuse a path that exists or can't be created.

    Raises:
        UsageError: it exists, or can't be created.
    """
    if Path(out).exists():
        raise UsageError(f"{out} exists already. Choose another --out, or remove it.")
    check_place(out)

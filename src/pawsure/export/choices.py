"""What can be asked of an export; checked without the libraries that make it."""

from __future__ import annotations

from pathlib import Path

from pawsure.data.files import check_place
from pawsure.errors import UsageError

FITTED = ("int8", "two-looks")
"""Formats that something is fitted for anew, on the pictures that the model was trained on."""

PRECISIONS = ("float32", "float16", "int8")
"""Of LiteRT."""


def format_names() -> tuple[str, ...]:
    """What `--to` takes."""
    return ("int8", "two-looks", "litert", "saved-model", "browser")


def needs_tensorflow(to: str) -> bool:
    """Whether a format is written by TensorFlow; the others need onnx alone."""
    return to in ("litert", "saved-model")


def check_choice(to: str, precision: str | None) -> None:
    """Refuse a format or a precision that there is not.

    Raises:
        UsageError: there is none of that name, or the format has no choice of precision.
    """
    if to not in format_names():
        raise UsageError(f"There is no format '{to}'. --to takes {', '.join(format_names())}.")
    if precision is None:
        return
    if to != "litert":
        raise UsageError(f"Only litert has a choice of --precision; '{to}' has one of its own.")
    if precision not in PRECISIONS:
        known = ", ".join(PRECISIONS)
        raise UsageError(f"There is no precision '{precision}'. --precision takes {known}.")


def check_free(out: str | Path) -> None:
    """Refuse a path that exists or can't be made.

    Raises:
        UsageError: it is one of them.
    """
    if Path(out).exists():
        raise UsageError(f"{out} exists already. Choose another --out, or remove it.")
    check_place(out)

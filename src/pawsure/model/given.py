"""The kinds of pictures that callers in Python may pass."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from PIL import Image

from pawsure.data.images import Picture
from pawsure.errors import UsageError

_BYTES = (bytes, bytearray, memoryview)


def is_many(given: Any) -> TypeGuard[Iterable[Any]]:
    """Whether something is many pictures: an iterable, an array of four axes or of paths."""
    if isinstance(given, (str, os.PathLike, Image.Image, *_BYTES)) or hasattr(given, "read"):
        return False
    if _is_array(given):
        array = np.asarray(given)
        return array.ndim == 4 or array.dtype.kind in "OUS"
    return isinstance(given, Iterable) and not isinstance(given, Mapping)


def as_picture(given: Any) -> Picture:
    """One picture as `pawsure.data.images.read` takes it.

    Args:
        given: such a picture, an open file, an `os.PathLike`, or an object with `__array__`, such
            as a tensor.

    Raises:
        UsageError: it is none of these.
    """
    if isinstance(given, (str, Path, Image.Image, np.ndarray, *_BYTES)):
        return given
    if isinstance(given, os.PathLike):
        return os.fsdecode(given)
    if hasattr(given, "read"):
        return _as_bytes(given.read())
    if _is_array(given):
        return np.asarray(given)
    raise UsageError(
        "A picture is a path, the bytes of a file, an open file, an array (H, W, 3) or a PIL "
        f"image; got {type(given).__name__}."
    )


def path_of(picture: Picture) -> str | None:
    """The path, if the picture was given as one."""
    # str() because NumPy's strings are a subclass
    return str(picture) if isinstance(picture, (str, Path)) else None


def _is_array(given: Any) -> bool:
    return hasattr(given, "__array__") and not isinstance(given, Image.Image)


def _as_bytes(content: Any) -> bytes:
    if not isinstance(content, _BYTES):
        raise UsageError("The file is open in text mode; open pictures with open(path, 'rb').")
    return bytes(content)

"""Preprocessing: a picture of any kind becomes RGB pixels of the size a network takes.

Training, prediction and everything else read pictures by `read`, so that what was measured is
what is used. Scaling to a network's range is part of its graph.

- **Formats**: a file's first bytes say which (`pawsure.data.formats`). Of an animation, the first
  frame; of a TIFF, the first page (`pawsure.data.tiff`). EXIF orientation is applied;
  `pawsure.data.colour` turns every kind of pixel into RGB.
- **Refused**: pictures that lack a part, whether the file says so or not (`pawsure.data.jpeg`);
  headers in too many pieces (`pawsure.data.headers`); what takes over half a minute to decode.
- **Resizing**: to a square, each side on its own, as Keras's loaders do; bilinear and
  antialiased, as torchvision does. JPEGs are decoded at 1/2, 1/4 or 1/8 where that leaves each
  side at least `DECODE_MARGIN` times as long as needed. Measured in docs/data.md.
"""

from __future__ import annotations

import math
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, TypeAlias

import numpy as np
from PIL import Image

from pawsure.data.colour import BACKGROUND as BACKGROUND
from pawsure.data.listing import why_unsearchable
from pawsure.data.pillow import (
    Opened,
    PillowPicture,
    check_size,
    check_work,
    open_bytes,
    opens_quickly,
    translated,
)
from pawsure.errors import PictureError, ShapeError, UsageError

RESAMPLE = Image.Resampling.BILINEAR
"""The filter of every resize."""

PREPROCESSING_VERSION = 2
"""Raised when the same bytes give other pixels, so that stored features are not reused."""

DECODE_MARGIN = 1.25
"""A JPEG is decoded smaller only if its sides stay this many times longer than needed.

A decoded side is rounded up to a whole pixel, so the exact box goes to the resize: without it, a
side of 187.5 pixels is taken for 188, and the difference to a full decode more than doubles.
"""

Picture: TypeAlias = bytes | bytearray | memoryview | str | Path | np.ndarray | Image.Image
"""What `read` takes."""

Box: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How large a picture may be; checked before memory is allocated for it.

    Attributes:
        max_bytes: of the file.
        max_pixels: width times height. Pillow itself refuses more than 178,956,970.
    """

    # The largest files that cameras write are uncompressed TIFFs of about 200 MB.
    max_bytes: int = 256 * 1024 * 1024
    # The sensors of phones go to 108 million; as RGB this is 360 MB for each thread.
    max_pixels: int = 120_000_000

    def __post_init__(self) -> None:
        if self.max_bytes < 1 or self.max_pixels < 1:
            raise UsageError(
                "max_bytes and max_pixels must be at least 1; got "
                f"{self.max_bytes} and {self.max_pixels}."
            )


DEFAULT_LIMITS = Limits()


class PictureInfo(NamedTuple):
    """What a picture's header says: sides in pixels, once upright, and Pillow's format name."""

    width: int
    height: int
    format: str


def probe(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> PictureInfo:
    """Read the header of a picture, given the whole file; nothing is decoded.

    Raises:
        PictureError: it is no picture, or too large.
    """
    with translated():
        image = _opened(data, limits)
        return PictureInfo(*image.upright_size, image.format)


def examine(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> PictureInfo:
    """Read the header of a picture, and make sure that the file is complete.

    A PNG whose checksums are right, and a JPEG whose pixels go on to its end, are believed; any
    other file is decoded.

    Raises:
        PictureError: it is no picture, too large, or truncated.
    """
    with translated():
        image = _opened(data, limits)
        info = PictureInfo(*image.upright_size, image.format)
        image.check_complete()
        return info


def decode(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> np.ndarray:
    """Decode a picture, given the whole file, at its full size.

    Returns:
        uint8 (H, W, 3), RGB, upright.

    Raises:
        PictureError: it is no picture, too large, or damaged.
    """
    with translated():
        image = _opened(data, limits)
        rgb, turn = image.rgb(), image.turn()
        return np.array(rgb if turn is None else rgb.transpose(turn))


def resize(picture: np.ndarray, size_px: int) -> np.ndarray:
    """Bring a picture to a square, whatever its shape was.

    Args:
        picture: uint8 (H, W, 3).
        size_px: the side S, at least 1.

    Returns:
        uint8 (S, S, 3), a new array.

    Raises:
        ShapeError: `picture` is something else.
    """
    if picture.ndim != 3 or picture.shape[2] != 3:
        raise ShapeError(f"A picture here is (H, W, 3); this one is {picture.shape}.")
    return np.array(_squashed(_from_array(picture), _checked_size(size_px)))


def read(
    source: Picture,
    *,
    size_px: int,
    limits: Limits = DEFAULT_LIMITS,
    name: str | None = None,
) -> np.ndarray:
    """Read any picture as a network takes it.

    Args:
        source: the bytes of a file; a path; uint8 (H, W), (H, W, 3) or (H, W, 4), grey, RGB or
            RGBA; or a PIL image, which is left as it is.
        size_px: the side S, at least 1.
        limits: for the picture.
        name: of the picture, for messages; a path is its own name.

    Returns:
        uint8 (S, S, 3), RGB, upright, squashed to a square.

    Raises:
        PictureError: it can't be read; the message names it and says why.
        ShapeError: an array of another shape or type.

    Example:
        >>> read(np.zeros((375, 500, 3), np.uint8), size_px=128).shape
        (128, 128, 3)
    """
    size_px = _checked_size(size_px)
    if isinstance(source, (str, Path)):
        name = name or os.fspath(source)
        source = read_file(source, limits=limits)
    with translated(name=name):
        if isinstance(source, np.ndarray):
            source = _from_array(source)
        if isinstance(source, Image.Image):
            check_size(*source.size, limits.max_pixels)
            return _read_image(PillowPicture(source), size_px)
        image = _opened(bytes(source), limits)
        return _read_image(image, size_px, box=_decode_smaller(image, size_px))


def read_if_quick(
    data: bytes, *, size_px: int, seconds: float, limits: Limits = DEFAULT_LIMITS
) -> np.ndarray | None:
    """Read a picture as `read` does, unless that may take long.

    Args:
        data: the whole file.
        size_px: the side S, at least 1.
        seconds: that decoding may take, estimated from its header.
        limits: for the picture.

    Returns:
        uint8 (S, S, 3), or None if it takes longer.

    Raises:
        PictureError: it can't be read.
    """
    with translated():
        if not opens_quickly(data):
            return None
        image = _opened(data, limits)
        if image.seconds > seconds:
            return None
        return _read_image(image, size_px, box=_decode_smaller(image, size_px))


def read_file(
    path: str | Path, *, limits: Limits = DEFAULT_LIMITS, name: str | None = None
) -> bytes:
    """The bytes of a picture file, refused before reading when there are too many.

    Args:
        path: of the file.
        limits: for the picture.
        name: of the picture in errors; the path by default.

    Raises:
        PictureError: there is no such file, it may not be read, or it is too large.
    """
    name = name or os.fspath(path)
    try:
        # Opening a pipe without a writer waits forever; those that a shell made (`<(…)`) are read.
        if stat.S_ISFIFO(os.stat(path).st_mode) and not os.fspath(path).startswith(
            ("/dev/", "/proc/")
        ):
            raise PictureError("a pipe, not a file")
        with open(path, "rb") as file:
            return read_stream(file, limits=limits, num_bytes=os.fstat(file.fileno()).st_size)
    except PictureError as exc:
        raise PictureError(exc.reason, name=name) from exc
    except (OSError, ValueError) as exc:  # ValueError: a path with a zero byte
        raise PictureError(_why_not_opened(exc, path), name=name) from exc


def read_stream(file: IO[bytes], *, limits: Limits, num_bytes: int) -> bytes:
    """The rest of a stream, but never more than the limit.

    Args:
        file: to read from; left open.
        limits: for the picture.
        num_bytes: how many bytes it claims to have; it may lie.

    Raises:
        PictureError: it claims, or has, more than the limit.
    """
    if num_bytes <= limits.max_bytes:
        data = file.read(num_bytes + 1)
        if len(data) > num_bytes:  # it lied, or is a pipe
            data += file.read(limits.max_bytes + 1 - len(data))
        num_bytes = len(data)
    _check_bytes(num_bytes, limits)
    return data


def _check_bytes(num_bytes: int, limits: Limits) -> None:
    if num_bytes > limits.max_bytes:
        raise PictureError(
            f"the file has {num_bytes:,} bytes, more than the limit of {limits.max_bytes:,}; "
            "save it smaller"
        )


def _opened(data: bytes, limits: Limits) -> Opened:
    _check_bytes(len(data), limits)
    image = open_bytes(data, max_pixels=limits.max_pixels)
    check_work(image)
    return image


def _decode_smaller(image: Opened, size_px: int) -> Box | None:
    return image.decode_smaller(math.ceil(size_px * DECODE_MARGIN))


def _read_image(image: Opened, size_px: int, *, box: Box | None = None) -> np.ndarray:
    rgb, turn = image.rgb(), image.turn()
    # Turned once it is small, which differs by a level at most: each side is resized on its own,
    # and turning twelve million pixels takes time.
    squashed = _squashed(rgb, size_px, box)
    return np.array(squashed if turn is None else squashed.transpose(turn))


def _squashed(image: Image.Image, size_px: int, box: Box | None = None) -> Image.Image:
    # No `reducing_gap`: it gains 1% on photographs (675 to 679 a second at 128 pixels), and the
    # pictures where it would gain more are those that it changes.
    return image.resize((size_px, size_px), RESAMPLE, box=box)


def _from_array(picture: np.ndarray) -> Image.Image:
    kinds = picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] in (3, 4))
    if not kinds or picture.dtype != np.uint8 or not picture.size:
        raise ShapeError(
            "A picture as an array is uint8 (H, W), (H, W, 3) or (H, W, 4) with values from 0 "
            f"to 255; this one is {picture.dtype} {picture.shape}."
        )
    return Image.fromarray(np.ascontiguousarray(picture))


def _checked_size(size_px: int) -> int:
    if size_px < 1:
        raise ShapeError(f"The side of a picture must be at least 1 pixel; got {size_px}.")
    return int(size_px)


def _why_not_opened(exc: OSError | ValueError, path: str | Path) -> str:
    if isinstance(exc, FileNotFoundError):
        return "there is no such file"
    if isinstance(exc, OSError) and os.path.isdir(path):
        why = why_unsearchable(path)
        return f"a folder that can't be searched: {why}" if why else "a folder, not a picture"
    if isinstance(exc, PermissionError):
        return "may not be read: permission denied"
    return f"can't be opened: {getattr(exc, 'strerror', None) or exc}"

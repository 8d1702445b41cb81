"""The one way in: a picture of any kind becomes RGB pixels of the size a network takes.

Training, prediction and everything else read pictures by `read`, so that what was measured
is what is used. There is no other preprocessing in pawsure; scaling to a network's range is
part of its graph.

**What is read.** JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF, JPEG 2000 and a dozen rarer formats; a
file's first bytes say which (`pawsure.data.formats`). Of an animation, the first frame; of a
TIFF, the first page, and only kinds of it that are known to come out right (`pawsure.data.tiff`).
EXIF orientation is applied; `pawsure.data.colour` turns every kind of pixel into RGB.

**What is refused.** A picture that lacks a part, whether the file says so or not
(`pawsure.data.jpeg`); headers in too many pieces (`pawsure.data.headers`); and what would take
more than half a minute to decode.

**How it is resized.** To a square, both sides on their own, as Keras's loaders do; bilinear
with a support that grows with the shrinking (antialiased), as torchvision does. Of Pillow's
filters it is the quickest but BOX, and a probe on MobileNetV2's features at 128 pixels gives
95.0% to 95.2% on 2,000 held-out photographs whichever it is.

**JPEGs are decoded at 1/2, 1/4 or 1/8** by libjpeg, which costs less, where that leaves each
side at least `DECODE_MARGIN` times as long as needed. A decoded side is rounded up to a whole
pixel, so the exact box goes to the resize: without it, a side of 187.5 pixels is taken for
188, and the difference to a full decode more than doubles. On 300 photographs of about
500x375, against a full decode (levels of 255, of the pictures that change at all; a linear
probe on MobileNetV2's features; pictures a second in one thread, of which plain Pillow does
647 at 128 pixels):

    at 128 pixels     pictures   mean    99.9th      largest   probe: largest   answers   a
                      changed    level   percentile  level     / mean change    changed   second
    margin 1.00       244        0.66     9          37        0.132 / 0.0044   1         1158
    margin 1.25       191        0.58     7          27        0.132 / 0.0031   0         1119
    margin 1.25,
      without the box 191        1.31    24          67        0.170 / 0.0036   0         1119
    margin 1.50        47        0.54     7          21        0.020 / 0.0002   0          795
    margin 2.00         0        0        0           0        0                0          647

The choice of filter, bilinear or bicubic, changes 2 answers and the probability by 0.0089 on
average, so a margin of 1.25 is well below what is arbitrary anyway. At 224 pixels nearly all of
these photographs are decoded in full. A JPEG of 4032x3024 takes 14 ms instead of 121 there.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias

import numpy as np
from PIL import Image

from pawsure.data.colour import BACKGROUND as BACKGROUND
from pawsure.data.listing import why_not_searched
from pawsure.data.pillow import (
    ByPillow,
    Opened,
    check_pixels,
    check_work,
    open_bytes,
    opens_quickly,
    translated,
)
from pawsure.errors import PictureError, ShapeError, UsageError

RESAMPLE = Image.Resampling.BILINEAR
"""The filter of every resize."""

WAY_IN_VERSION = 2
"""Raised when the same bytes come out as other pixels, so that stored features are not reused."""

DECODE_MARGIN = 1.25
"""A JPEG is decoded smaller only if its sides stay this many times longer than needed."""

Picture: TypeAlias = bytes | bytearray | memoryview | str | Path | np.ndarray | Image.Image
"""What `read` takes."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How large a picture may be; checked before memory is taken for it.

    Attributes:
        max_bytes: of the file.
        max_pixels: width times height, from the header. Pillow itself refuses more than
            178,956,970.
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


@dataclass(frozen=True, kw_only=True)
class PictureInfo:
    """What a picture's header says.

    Attributes:
        width: in pixels, once it is turned upright.
        height: the same.
        format: Pillow's name of it, as "JPEG".
    """

    width: int
    height: int
    format: str


def probe(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> PictureInfo:
    """Read a picture's header; nothing is decoded.

    Args:
        data: the whole file.
        limits: that it must keep.

    Raises:
        PictureError: it is no picture, or too large.
    """
    with translated(), _opened(data, limits) as image:
        return _info(image)


def examine(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> PictureInfo:
    """Read a picture's header, and make sure that the file is not cut short.

    A PNG whose checksums are right, and a JPEG whose pixels go on to its end, are believed; any
    other file is decoded.

    Args:
        data: the whole file.
        limits: that it must keep.

    Raises:
        PictureError: it is no picture, too large, or truncated.
    """
    with translated(), _opened(data, limits) as image:
        info = _info(image)
        image.check_marks()
        return info


def decode(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> np.ndarray:
    """Decode a picture at its full size.

    Args:
        data: the whole file.
        limits: that it must keep.

    Returns:
        uint8 (H, W, 3), RGB, upright.

    Raises:
        PictureError: it is no picture, too large, or damaged.
    """
    with translated(), _opened(data, limits) as image:
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
        limits: that it must keep.
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
            return _read_image(ByPillow(source), size_px, limits)
        with _opened(bytes(source), limits) as image:
            side = math.ceil(size_px * DECODE_MARGIN)
            return _read_image(image, size_px, limits, box=image.decode_smaller(side))


def read_if_quick(
    data: bytes, *, size_px: int, seconds: float, limits: Limits = DEFAULT_LIMITS
) -> np.ndarray | None:
    """Read a picture as `read` does, if that is sure not to take long.

    Args:
        data: the whole file.
        size_px: the side S, at least 1.
        seconds: that decoding may take, by a rough estimate from its header.
        limits: that it must keep.

    Returns:
        uint8 (S, S, 3), or None if it takes longer.

    Raises:
        PictureError: it can't be read.
    """
    with translated():
        if not opens_quickly(data):
            return None
        with _opened(data, limits) as image:
            if image.seconds > seconds:
                return None
            side = math.ceil(size_px * DECODE_MARGIN)
            return _read_image(image, size_px, limits, box=image.decode_smaller(side))


def read_file(
    path: str | Path, *, limits: Limits = DEFAULT_LIMITS, name: str | None = None
) -> bytes:
    """The bytes of a picture file, refused before reading when there are too many.

    Args:
        path: of the file.
        limits: that it must keep.
        name: of the picture in errors; the path by default.

    Raises:
        PictureError: there is no such file, it may not be read, or it is too large.
    """
    try:
        _refuse_endless(path)
        with open(path, "rb") as file:
            return read_stream(file, limits=limits, num_bytes=os.fstat(file.fileno()).st_size)
    except PictureError as exc:
        raise PictureError(exc.reason, name=name or os.fspath(path)) from exc
    except (OSError, ValueError) as exc:  # ValueError: a path with a zero byte
        raise PictureError(_why_not_opened(exc, path), name=name or os.fspath(path)) from exc


def _refuse_endless(path: str | Path) -> None:
    """Refuse a pipe that may have no writer: opening it waits without end.

    Those that a shell has made for us (`<(…)`, standard input) are read.
    """
    if stat.S_ISFIFO(os.stat(path).st_mode) and not os.fspath(path).startswith(("/dev/", "/proc/")):
        raise PictureError("a pipe, not a file")


def read_stream(file: IO[bytes], *, limits: Limits, num_bytes: int) -> bytes:
    """The rest of a stream, but never more than the limit.

    Args:
        file: to read from; left open.
        limits: that it must keep.
        num_bytes: how many bytes it claims to have; it may lie.

    Raises:
        PictureError: it claims, or has, more than the limit.
    """
    if num_bytes <= limits.max_bytes:
        data = file.read(num_bytes + 1)
        if len(data) > num_bytes:  # it lied, or is a pipe
            data += file.read(limits.max_bytes + 1 - len(data))
        if len(data) <= limits.max_bytes:
            return data
    raise PictureError(
        f"the file has {max(num_bytes, limits.max_bytes + 1):,} bytes, more than the limit of "
        f"{limits.max_bytes:,}; save it smaller"
    )


@contextmanager
def _opened(data: bytes, limits: Limits) -> Iterator[Opened]:
    """A picture whose header keeps the limits and whose pixels are not decoded yet."""
    if len(data) > limits.max_bytes:
        raise PictureError(
            f"the file has {len(data):,} bytes, more than the limit of {limits.max_bytes:,}; "
            "save it smaller"
        )
    image = open_bytes(data, max_pixels=limits.max_pixels)
    check_work(image)
    yield image


def _info(image: Opened) -> PictureInfo:
    width, height = image.upright_size
    return PictureInfo(width=width, height=height, format=image.format)


def _read_image(
    image: Opened,
    size_px: int,
    limits: Limits,
    *,
    box: tuple[float, float, float, float] | None = None,
) -> np.ndarray:
    check_pixels(*image.size, limits.max_pixels)
    rgb, turn = image.rgb(), image.turn()
    # Turned once it is small: the sides are resized on their own, so the order is all one
    # (but for rounding, by one level), and turning twelve million pixels is not free.
    squashed = _squashed(rgb, size_px, box)
    return np.array(squashed if turn is None else squashed.transpose(turn))


def _squashed(
    image: Image.Image, size_px: int, box: tuple[float, float, float, float] | None = None
) -> Image.Image:
    # No `reducing_gap`: it gains 1% on these photographs (675 to 679 a second at 128 pixels),
    # and the pictures where it would gain more are those that it changes.
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
        why = why_not_searched(path)
        return f"a folder that can't be searched: {why}" if why else "a folder, not a picture"
    if isinstance(exc, PermissionError):
        return "may not be read: permission denied"
    return f"can't be opened: {getattr(exc, 'strerror', None) or exc}"

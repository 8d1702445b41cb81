"""Pillow, made fit for threads: no races, no warnings, one kind of error."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

from PIL import Image, UnidentifiedImageError

from pawsure.data import libtiff
from pawsure.data.formats import sizes_in_icon, why_unknown
from pawsure.errors import PawsureError, PictureError

# Drawings, which Pillow hands to Ghostscript or to Windows: nothing that unknown bytes may do.
_REFUSED = {"EPS": "an EPS drawing", "WMF": "a WMF or EMF drawing"}

_EXIF_ORIENTATION = 0x0112

# What upright pictures are made by, for each value of the EXIF tag but 1 (CIPA DC-008, 4.6.5.1).
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_plugins_lock = threading.Lock()


class _Silence:
    """While any thread is inside, Pillow's warnings are dropped.

    `warnings.catch_warnings` restores the filters that it found, which may be another
    thread's; this adds one filter for Pillow's modules alone, and takes that same one away.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filter: tuple | None = None

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1 or self._filter not in warnings.filters:
                warnings.filterwarnings("ignore", module=r"PIL\.")
                self._filter = warnings.filters[0]

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._filter in warnings.filters:
                warnings.filters.remove(self._filter)  # type: ignore[attr-defined]


_silence = _Silence()


@contextmanager
def translated(*, name: str | None = None) -> Iterator[None]:
    """Turn whatever Pillow raises inside into `PictureError`, and drop its warnings.

    Args:
        name: of the picture, for the message.

    Raises:
        PictureError: something was raised.
    """
    try:
        with _silence:
            yield
    except PictureError as exc:
        if name is None or exc.name is not None:
            raise
        raise PictureError(exc.reason, name=name) from exc
    except PawsureError:
        raise
    # Broken files make Pillow's readers raise nearly anything: OSError, SyntaxError,
    # struct.error, ZeroDivisionError, …
    except Exception as exc:
        raise PictureError(_reason(exc), name=name) from exc


def open_bytes(data: bytes, *, max_pixels: int) -> Image.Image:
    """Read the header of a picture; to be used within `translated`.

    Args:
        data: the whole file.
        max_pixels: how many it may have.

    Returns:
        An image whose pixels are not decoded yet (but for icons).

    Raises:
        PictureError: it is no picture, one of a kind that is refused, or too large.
    """
    for width, height in sizes_in_icon(data):  # before Pillow decodes them on opening
        check_pixels(width, height, max_pixels)
    Image.preinit()
    try:
        image = _open(data)
    except UnidentifiedImageError as exc:
        raise PictureError(why_unknown(data)) from exc
    if image.format == "TIFF":
        libtiff.silence()
    if image.format in _REFUSED:
        raise PictureError(f"{_REFUSED[image.format]}, which has no pixels; save it as PNG")
    check_pixels(*image.size, max_pixels)
    return image


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture that is too large.

    Raises:
        PictureError: it has more than `max_pixels`.
    """
    if width * height > max_pixels:
        raise PictureError(
            f"{width} x {height} pixels are more than the limit of {max_pixels:,}; make it smaller"
        )


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(BytesIO(data))
    except UnidentifiedImageError:
        # A thread that opens while another one registers Pillow's rarer formats can miss
        # them (as of Pillow 13), so once more with all of them there.
        with _plugins_lock:
            Image.init()
        return Image.open(BytesIO(data))


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """How to turn a picture upright, by its EXIF orientation; None if it is.

    Ask after decoding: Pillow turns TIFF by itself then, and finds a PNG's EXIF only then.
    """
    try:
        return _TURNS.get(image.getexif().get(_EXIF_ORIENTATION, 1))
    # EXIF that can't be parsed says nothing of the pixels, which are what counts.
    except (SyntaxError, ValueError, TypeError, LookupError, OSError, EOFError, ArithmeticError):
        return None


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(width, height) after turning, from the header alone.

    A PNG whose EXIF comes after its pixels is taken to be upright.
    """
    # Pillow gives a TIFF's size as it will be; a PNG it would decode to look for EXIF.
    may_turn = image.format not in ("TIFF", "PNG") or "exif" in image.info
    width, height = image.size
    if may_turn and image.format != "TIFF" and swaps_sides(turn_of(image)):
        return height, width
    return width, height


def swaps_sides(turn: Image.Transpose | None) -> bool:
    """Whether a turn makes width of height."""
    return turn in (_TURNS[5], _TURNS[6], _TURNS[7], _TURNS[8])


def _reason(exc: Exception) -> str:
    """What an error of Pillow's means, in a few words, with the way out."""
    said = str(exc)
    if isinstance(exc, MemoryError):
        return "there is not enough memory to decode it; make it smaller"
    if isinstance(exc, Image.DecompressionBombError):
        pixels = re.search(r"\d+", said)
        count = f"{int(pixels[0]):,}" if pixels else "its"
        return f"{count} pixels are more than can be read; make it smaller"
    if isinstance(exc, EOFError) or "truncated" in said.lower() or "end of file" in said.lower():
        return "truncated: the file ends before the picture does; copy it anew or remove it"
    return f"damaged: {said or type(exc).__name__}; copy it anew or remove it"

"""Pillow, safe for threads and for hostile files: no races, no warnings, one kind of error.

Pillow is told the format, which the first bytes say, and only opens files whose header is bounded
(`pawsure.data.headers`).
"""

from __future__ import annotations

import math
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from pawsure.data import jpeg
from pawsure.data.colour import BACKGROUND, to_levels, to_rgb
from pawsure.data.formats import ends_whole, format_of, sizes_in_icon, why_unknown
from pawsure.data.headers import (
    MAX_PIECES,
    JpegHeader,
    count_compressed_chunks,
    count_pieces,
    jpeg_header,
)
from pawsure.data.tiff import Tiff, open_tiff
from pawsure.errors import PawsureError, PictureError

_EXIF_ORIENTATION = 0x0112

# What turns a picture upright, by the EXIF tag (CIPA DC-008, 4.6.5.1); 1 is upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPPING_TURNS = (_TURNS[5], _TURNS[6], _TURNS[7], _TURNS[8])  # width becomes height

# Where Pillow's name of a format is not that of its module.
_MODULES = {"JPEG2000": "Jpeg2K", "WEBP": "WebP", "DIB": "Bmp"}

# Nanoseconds for a pixel (of a JPEG: besides its bytes), measured on two cores of a server; rough.
_PIXEL_NS = {"JPEG": 2.0, "JPEG2000": 150.0, "WEBP": 25.0, "AVIF": 40.0}
_USUAL_PIXEL_NS = 15.0
_PYTHON_PIXEL_NS = 4000.0  # where Pillow unpacks pixels in Python
_PYTHON_CODECS = frozenset(["qoi", "dds_rgb", "bmp_rle", "ppm", "ppm_plain", "SGI16"])
_PIECE_NS = 5000.0
_COMPRESSED_BYTE_NS = 10.0
_PASS_NS = 6.0
_MAX_SECONDS = 30.0


class _Silence:
    """Drops Pillow's warnings while any thread is inside.

    `warnings.catch_warnings` restores the filters that it found, which may be another thread's.
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


# Of files that are opened quickly.
_FEW_PIECES = 2000
_SHORT_HEADER_BYTES = 1024 * 1024
_SMALL_BYTES = 64 * 1024
_FEW_TEXTS = 16


class Opened:
    """A picture whose header was read and whose pixels are not decoded yet.

    Attributes:
        format: Pillow's name of it, such as "JPEG".
        size: (width, height) as stored.
        seconds: that decoding will take, roughly, at full size.
    """

    format: str
    size: tuple[int, int]
    seconds: float

    @property
    def frames(self) -> int:
        """Of an animation; 1 for others."""
        return 1

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) after turning, from the header alone."""
        width, height = self.size
        return (height, width) if self.turn() in _SWAPPING_TURNS else (width, height)

    def decode_smaller(self, side: int) -> tuple[float, float, float, float] | None:
        """Have each side decoded to no more than this needs; the box of pixels to use then."""
        return None

    def check_complete(self) -> None:
        """Check the file to its end, without decoding where its bytes tell enough.

        Raises:
            PictureError: a part is missing.
        """
        self.rgb()

    def rgb(self) -> Image.Image:
        """Decode the pixels: mode RGB, as stored."""
        raise NotImplementedError

    def turn(self) -> Image.Transpose | None:
        """How to turn the pixels upright; ask after decoding."""
        raise NotImplementedError


class PillowPicture(Opened):
    """A picture that Pillow reads, from a file (`data`) or not."""

    def __init__(
        self,
        image: Image.Image,
        data: bytes = b"",
        *,
        pieces: int = 0,
        jpeg_header: JpegHeader | None = None,
    ) -> None:
        self._image = image
        self._data = data
        self._jpeg_header = jpeg_header
        self.format = "JPEG" if image.format == "MPO" else image.format or ""
        self.size = image.size
        self.seconds = _seconds(image, self.format, len(data), pieces, jpeg_header)

    @property
    def frames(self) -> int:
        """Of an animation; 1 for others."""
        moves = self.format in ("GIF", "PNG", "WEBP", "AVIF")
        return getattr(self._image, "n_frames", 1) if moves else 1

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) after turning; a PNG whose EXIF follows its pixels counts as upright."""
        # Pillow gives a TIFF's size as it will be; a PNG it would decode to look for EXIF.
        if self.format == "TIFF" or (self.format == "PNG" and "exif" not in self._image.info):
            return self.size
        return super().upright_size

    def decode_smaller(self, side: int) -> tuple[float, float, float, float] | None:
        """Ask libjpeg for a smaller picture; None for other formats."""
        chosen = self._image.draft(None, (side, side))
        return None if chosen is None else chosen[1]

    def check_complete(self) -> None:
        """Decode unless a PNG's checksums, or a JPEG's markers, show that all is there."""
        if not ends_whole(self._data, self.format):
            self._load()
        elif self._jpeg_header is not None:
            jpeg.check_markers(self._data, self._jpeg_header)

    def rgb(self) -> Image.Image:
        """Decode to RGB."""
        if self.format == "PNG" and self._data:
            return _png_to_rgb(self._image, self._data)
        self._load()
        return to_rgb(self._image)

    def _load(self) -> None:
        self._image.load()
        if self._jpeg_header is not None:
            jpeg.check_pixels(self._data, self._image, self._jpeg_header)

    def turn(self) -> Image.Transpose | None:
        """By its EXIF; Pillow turns TIFF on decoding, and finds a PNG's EXIF only then."""
        try:
            return _TURNS.get(self._image.getexif().get(_EXIF_ORIENTATION, 1))
        # EXIF that can't be parsed says nothing of the pixels, which are what counts.
        except (SyntaxError, ValueError, TypeError, LookupError, OSError, ArithmeticError):
            return None


class _TiffPicture(Opened):
    """The first page of a TIFF, of which Pillow only decompresses the bytes."""

    format = "TIFF"

    def __init__(self, page: Tiff) -> None:
        self._page = page
        self.size = page.size
        self.seconds = math.prod(page.size) * page.pixel_bytes * _USUAL_PIXEL_NS / 1e9

    def rgb(self) -> Image.Image:
        return self._page.rgb()

    def turn(self) -> Image.Transpose | None:
        return _TURNS.get(self._page.orientation)


def _seconds(
    image: Image.Image, format: str, num_bytes: int, pieces: int, header: JpegHeader | None
) -> float:
    pixels = math.prod(image.size)
    pixel_ns = _PIXEL_NS.get(format, _USUAL_PIXEL_NS)
    tiles = getattr(image, "tile", [])
    if tiles and tiles[0].codec_name in _PYTHON_CODECS:
        pixel_ns = _PYTHON_PIXEL_NS
    total = pixels * pixel_ns + pieces * _PIECE_NS
    if format == "JPEG":
        total += num_bytes * _COMPRESSED_BYTE_NS
    if header is not None and header.passes > 1:
        total += pixels * header.passes * _PASS_NS
    return total / 1e9


def opens_quickly(data: bytes) -> bool:
    """Whether `open_bytes` takes a few milliseconds at most with a file."""
    format = format_of(data)
    if format == "JPEG":
        header = jpeg_header(data, most=_FEW_PIECES)
        return header.pieces <= _FEW_PIECES and header.scan <= _SHORT_HEADER_BYTES
    if format in ("PNG", "GIF"):
        few = count_pieces(data, format, most=_FEW_PIECES) <= _FEW_PIECES
        return few and (format == "GIF" or count_compressed_chunks(data) <= _FEW_TEXTS)
    return format in (None, "TIFF", "WEBP", "AVIF", "BMP") or len(data) <= _SMALL_BYTES


def open_bytes(data: bytes, *, max_pixels: int) -> Opened:
    """Read the header of a picture; to be used within `translated`.

    Args:
        data: the whole file.
        max_pixels: width times height at most.

    Raises:
        PictureError: it is no picture, one of a kind that is refused, or too large.
    """
    format = format_of(data)
    if format is None:
        raise PictureError(why_unknown(data))
    if format == "TIFF":
        page = open_tiff(data)
        check_size(*page.size, max_pixels)
        return _TiffPicture(page)
    header = jpeg_header(data) if format == "JPEG" else None
    pieces = count_pieces(data, format) if header is None else header.pieces
    if pieces > MAX_PIECES:
        raise PictureError(f"its header is cut into more than {MAX_PIECES:,} pieces; save it again")
    for width, height in sizes_in_icon(data):  # before Pillow decodes them on opening
        check_size(width, height, max_pixels)
    # Not Image.init, which takes a tenth of a second and races with other threads.
    import_module(f"PIL.{_MODULES.get(format, format.title())}ImagePlugin")
    try:
        image = Image.open(BytesIO(data), formats=[format])
    except UnidentifiedImageError as exc:
        raise PictureError(why_unknown(data)) from exc
    check_size(*image.size, max_pixels)
    return PillowPicture(image, data, pieces=pieces, jpeg_header=header)


def _png_to_rgb(image: Image.Image, data: bytes) -> Image.Image:
    """Pixels of a PNG, whose colours of 16 bits Pillow cuts to their higher byte."""
    depth, kind = data[24], data[25]
    transparent = image.info.get("transparency")
    if kind == 0 and depth in (2, 4) and isinstance(transparent, int):
        # Pillow spreads levels over 0 to 255, but not the transparent one.
        image.info["transparency"] = transparent * 255 // ((1 << depth) - 1)
    tiles = list(getattr(image, "tile", []))
    image.load()
    if depth != 16 or kind not in (2, 6):
        return to_rgb(image)
    higher = np.asarray(image)
    is_dark = higher[:, :, :3].max() < 64
    if not is_dark and transparent is None:
        return to_rgb(image)
    lower = Image.open(BytesIO(data), formats=["PNG"])
    # Of each pair of bytes the second, which "16L" takes for the higher one.
    lower.tile = [tile._replace(args=f"{image.mode};16L") for tile in tiles]
    lower.load()
    values = higher.astype(np.uint16) << 8 | np.asarray(lower)
    levels = higher.copy()
    levels[:, :, :3] = to_levels(values[:, :, :3])
    if transparent is not None:
        levels[(values == np.array(transparent)).all(axis=2)] = BACKGROUND
    return to_rgb(Image.fromarray(levels))


def check_work(image: Opened) -> None:
    """Raise a `PictureError` for a picture that would take more than half a minute to decode."""
    if image.seconds > _MAX_SECONDS:
        raise PictureError(
            f"decoding it would take about {image.seconds:.0f} seconds; save it as PNG or JPEG, "
            "or smaller"
        )


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise a `PictureError` for a picture of more than `max_pixels`."""
    if width * height > max_pixels:
        raise PictureError(
            f"{width} x {height} pixels are more than the limit of {max_pixels:,}; make it smaller"
        )


def _reason(exc: Exception) -> str:
    """What an error of Pillow's means, and the remedy."""
    said = str(exc)
    if isinstance(exc, MemoryError):
        return "there is not enough memory to decode it; make it smaller"
    if isinstance(exc, Image.DecompressionBombError):
        pixels = re.search(r"\d+", said)
        count = f"{int(pixels[0]):,}" if pixels else "its"
        return f"{count} pixels are more than can be read; make it smaller"
    if isinstance(exc, EOFError) or "truncated" in said.lower() or "end of file" in said.lower():
        return "truncated: the file ends before the picture does; copy it again or remove it"
    return f"damaged: {said or type(exc).__name__}; copy it again or remove it"

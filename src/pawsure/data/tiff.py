"""TIFF: the samples as they are stored, and what they mean.

Pillow opens many kinds of TIFF as if they were others: white-is-zero in 16 bits as its negative,
planes of 16 bits as if they were interleaved. So the header is read here, kinds that are not known
to come out right are refused by name, and Pillow (libtiff) only decompresses: it gets the same
strips or tiles under a header that calls every row plain bytes. Source: TIFF 6.0; BigTIFF;
Adobe's technical notes 1 and 3 for floats and predictors.
"""

from __future__ import annotations

import ctypes
import math
import struct
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, _imaging

from pawsure.data.colour import BACKGROUND, to_levels
from pawsure.errors import PictureError

_MAX_TAGS = 1000  # entries of a page's directory; cameras write about 60
_MAX_PARTS = 65_536  # strips or tiles of a page
_MAX_BYTES = 2_000_000_000  # of all samples; 120 million pixels of RGBA in 16 bits have half
_SMALL_TILE = 1024 * 1024

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIP_OFFSETS, _ORIENTATION, _SAMPLES, _ROWS_PER_STRIP, _STRIP_BYTES = 273, 274, 277, 278, 279
_PLANAR, _PREDICTOR, _COLOURS, _TILE_WIDTH, _TILE_HEIGHT = 284, 317, 320, 322, 323
_TILE_OFFSETS, _TILE_BYTES, _INK_SET, _EXTRA, _SAMPLE_FORMAT = 324, 325, 332, 338, 339
_SUBSAMPLING, _DNG = 530, 50706
_READ_TAGS = frozenset([
    _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _STRIP_OFFSETS, _ORIENTATION,
    _SAMPLES, _ROWS_PER_STRIP, _STRIP_BYTES, _PLANAR, _PREDICTOR, _COLOURS, _TILE_WIDTH,
    _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES, _INK_SET, _EXTRA, _SAMPLE_FORMAT, _SUBSAMPLING, _DNG,
])  # fmt: skip
_TYPES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q"}

# Decompressed to the bytes as they were: none, LZW, two codes for Deflate, PackBits, LZMA, Zstd.
_PLAIN = frozenset([1, 5, 8, 32946, 32773, 34925, 50000])
_FAX = frozenset([2, 3, 4])
_JPEG = 7
_COMPRESSION_NAMES = {6: "old-style JPEG", 34887: "LERC", 50001: "WebP"}
_COMPRESSION_NAMES |= dict.fromkeys([33003, 33005, 34712], "JPEG 2000")
_COMPRESSION_NAMES |= dict.fromkeys([50002, 52546], "JPEG XL")

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _MASK, _CMYK, _YCBCR = range(7)
_LAB, _ICC_LAB = 8, 9
_RAW = frozenset([32803, 34892])  # of a camera's sensor
_KINDS = {  # name and number of colours
    _WHITE_IS_ZERO: ("grey", 1),
    _BLACK_IS_ZERO: ("grey", 1),
    _RGB: ("RGB", 3),
    _PALETTE: ("palette", 1),
    _CMYK: ("CMYK", 4),
    _YCBCR: ("YCbCr", 3),
    _LAB: ("Lab", 3),
    _ICC_LAB: ("Lab", 3),
}

_Fields = list[tuple[int, int, tuple[int, ...]]]


def _refused(what: str) -> PictureError:
    return PictureError(f"a TIFF of a kind that is not read: {what}; save it as 8-bit RGB or PNG")


def _damaged(what: str) -> PictureError:
    return PictureError(f"damaged: its TIFF header {what}; copy it again or remove it")


@cache
def _silence_libtiff() -> None:
    """Remove libtiff's handlers of errors and warnings, for the process.

    It writes "tempfile.tif: Using code not yet in table." and the like to standard error, without
    the name of the picture, beside the error that Pillow raises. Where Pillow's copy of the library
    hides these two functions, as in a static build, its messages stay.
    """
    try:
        library = ctypes.CDLL(_imaging.__file__)  # finds what it was linked with as well
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            set_handler = getattr(library, name)
            set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            set_handler(None)
    except (OSError, AttributeError):
        return


def _pillow_image(data: bytes) -> Image.Image:
    from PIL.TiffImagePlugin import TiffImageFile

    return TiffImageFile(BytesIO(data))


class Tiff:
    """The first page of a TIFF file, of a kind that comes out right.

    Args:
        data: the whole file.
        order: "<" or ">", of its numbers.
        tags: number to values, of `_READ_TAGS`.

    Attributes:
        size: (width, height) as stored.
        orientation: the tag, as in EXIF; 1 is upright.
        pixel_bytes: of all samples of one pixel, at least 1.

    Raises:
        PictureError: it is damaged, or of a kind that is refused.
    """

    def __init__(self, data: bytes, order: str, tags: dict[int, tuple[Any, ...]]) -> None:
        self._data, self._order, self._tags = data, order, tags
        self.size = width, height = self._one(_WIDTH, 0), self._one(_HEIGHT, 0)
        self.orientation = self._one(_ORIENTATION, 1)
        self._bits = self._one(_BITS, 1)
        self._samples = self._one(_SAMPLES, 1)
        self._photometric = self._one(_PHOTOMETRIC, -1)
        self._compression = self._one(_COMPRESSION, 1)
        self._predictor = self._one(_PREDICTOR, 1)
        # As in NumPy; empty for complex numbers.
        self._format = {1: "u", 2: "i", 3: "f", 4: "u"}.get(self._one(_SAMPLE_FORMAT, 1), "")
        self._planes = self._samples if self._one(_PLANAR, 1) == 2 else 1
        self.pixel_bytes = max(1, self._samples * self._bits // 8)
        if width < 1 or height < 1:
            raise _damaged("has no size")
        self._check_kind()
        # Strips are tiles as wide as the picture.
        self._is_tiled = _TILE_OFFSETS in tags
        self._tile_width = self._one(_TILE_WIDTH, 0) if self._is_tiled else width
        self._tile_height = (
            self._one(_TILE_HEIGHT, 0)
            if self._is_tiled
            else min(height, self._one(_ROWS_PER_STRIP, height))
        )
        self._check_tiles()

    def _one(self, tag: int, default: int) -> int:
        values = self._tags.get(tag)
        return int(values[0]) if values else default

    @property
    def _grid(self) -> tuple[int, int]:
        """How many tiles there are across and down, in each plane."""
        width, height = self.size
        return math.ceil(width / self._tile_width), math.ceil(height / self._tile_height)

    @property
    def _offsets(self) -> tuple[int, ...]:
        return self._tags.get(_TILE_OFFSETS if self._is_tiled else _STRIP_OFFSETS, ())

    @property
    def _num_colours(self) -> int:
        return _KINDS[self._photometric][1]

    def _check_tiles(self) -> None:
        width, height = self.size
        if self._tile_width < 1 or self._tile_height < 1:
            raise _damaged("has no size of strips or tiles")
        num_bytes = width * height * self.pixel_bytes
        if num_bytes > _MAX_BYTES:
            raise _refused(f"{num_bytes:,} bytes decompressed")
        if self._tile_width * self._tile_height > 4 * width * height + _SMALL_TILE:
            raise _refused("tiles much larger than the picture")
        expected = math.prod(self._grid) * self._planes
        if expected > _MAX_PARTS:
            raise _refused(f"cut into {expected:,} strips or tiles")
        if len(self._offsets) < expected:
            raise _damaged("does not say where all of its pixels are")

    def _check_kind(self) -> None:
        kind, bits, samples = self._photometric, self._bits, self._samples
        if _DNG in self._tags or kind in _RAW:
            raise _refused("a camera's raw data")
        if kind not in _KINDS:
            raise _refused("no photograph" if kind == _MASK else f"photometric {kind}")
        kind_name, num_colours = _KINDS[kind]
        name = f"{kind_name} of {bits} bits"
        if len(set(self._tags.get(_BITS, (1,)))) > 1 or self._one(_PLANAR, 1) not in (1, 2):
            raise _refused(f"{kind_name} of mixed depth")
        if samples < num_colours:
            raise _damaged(f"has {samples} samples for {kind_name}")
        if samples > 64:
            raise _refused(f"{samples} samples a pixel")
        if len(set(self._tags.get(_SAMPLE_FORMAT, (1,)))) > 1 or not self._format:
            raise _refused(f"{name}, of complex or mixed numbers")
        if self._compression == _JPEG:
            if bits != 8 or self._planes > 1 or kind in (_PALETTE, _LAB, _ICC_LAB, _WHITE_IS_ZERO):
                raise _refused(f"{name}, as JPEG")
            if samples != num_colours:
                raise _refused(f"{name} with more samples, as JPEG")
        elif self._compression in _FAX:
            if bits != 1 or samples != 1 or kind > 1:
                raise _refused(f"{name}, as fax")
        elif self._compression in _PLAIN:
            self._check_depth(name)
        else:
            known = _COMPRESSION_NAMES.get(self._compression, f"code {self._compression}")
            raise _refused(f"compressed by {known}")

    def _check_depth(self, name: str) -> None:
        kind, bits, predictor = self._photometric, self._bits, self._predictor
        depths = {"u": (1, 2, 4, 8, 12, 16, 32, 64), "i": (8, 16, 32, 64), "f": (16, 32, 64)}
        allowed = depths[self._format]
        if kind == _PALETTE:
            allowed = (1, 2, 4, 8, 16) if self._format == "u" else ()
        elif kind == _CMYK:
            allowed = (8, 16) if self._format == "u" else ()
        elif kind in (_YCBCR, _LAB, _ICC_LAB):
            allowed = (8,)
        if bits not in allowed:
            raise _refused(name + {"u": "", "i": " with a sign", "f": ", floats"}[self._format])
        if kind == _CMYK and self._one(_INK_SET, 1) != 1:
            raise _refused("other inks than CMYK")
        if kind == _YCBCR and tuple(self._tags.get(_SUBSAMPLING, (2, 2))) != (1, 1):
            raise _refused("YCbCr with fewer pixels of colour")
        if predictor != 1 and (
            predictor not in (2, 3)
            or bits not in ((8, 16, 32, 64) if predictor == 2 else (16, 32, 64))
            or (predictor == 3) != (self._format == "f")
        ):
            raise _refused(f"{name} with predictor {predictor}")

    def rgb(self) -> Image.Image:
        """Decode the page: mode RGB, as stored, not turned.

        Raises:
            PictureError: there are fewer bytes than pixels.
        """
        _silence_libtiff()
        if self._compression == _JPEG or self._compression in _FAX:
            image = _pillow_image(self._data)
            image.load()
            if image.size != self.size or self.orientation not in (0, 1):
                raise _refused("turned, and compressed as JPEG or fax")
            return image.convert("RGB")
        if self._planes == 1:
            return self._to_rgb(self._plane(0, self._samples))
        wanted = self._num_colours + (self._alpha is not None)
        planes = [self._plane(plane, 1) for plane in range(wanted)]
        return self._to_rgb(np.concatenate(planes, axis=2))

    @property
    def _alpha(self) -> str | None:
        """What the first sample after the colours is: "associated" or "straight" alpha, or None."""
        kind = self._photometric
        if kind > _RGB or self._samples <= self._num_colours:
            return None
        extra = self._tags.get(_EXTRA)
        if extra is None:  # as simple writers leave it out
            return "straight" if self._samples == self._num_colours + 1 else None
        return {1: "associated", 2: "straight"}.get(extra[0])

    def _plane(self, plane: int, samples: int) -> np.ndarray:
        """The numbers of one plane: (H, W, samples)."""
        across, down = self._grid
        row_bytes = math.ceil(self._tile_width * samples * self._bits / 8)
        tiles = slice(plane * across * down, (plane + 1) * across * down)
        rows = (self._joined if self._compression == 1 else self._decompressed)(tiles, row_bytes)
        parts = [
            self._numbers(rows[:, at * row_bytes : (at + 1) * row_bytes], samples)
            for at in range(across)
        ]
        return (parts[0] if across == 1 else np.concatenate(parts, axis=1))[:, : self.size[0]]

    def _decompressed(self, tiles: slice, row_bytes: int) -> np.ndarray:
        """The rows of some tiles by libtiff, as bytes: uint8 (H, across * row_bytes)."""
        offsets = self._offsets[tiles]
        sizes = self._tags.get(_TILE_BYTES if self._is_tiled else _STRIP_BYTES, ())[tiles]
        if len(sizes) < len(offsets):
            sizes = tuple(len(self._data) - offset for offset in offsets)
        fields: _Fields = [
            (_WIDTH, 4, (self._grid[0] * row_bytes,)),
            (_HEIGHT, 4, (self.size[1],)),
            (_BITS, 3, (8,)),
            (_COMPRESSION, 3, (self._compression,)),
            (_PHOTOMETRIC, 3, (_BLACK_IS_ZERO,)),
            (_FILL_ORDER, 3, (self._one(_FILL_ORDER, 1),)),
            (_SAMPLES, 3, (1,)),
        ]
        if self._is_tiled:
            fields += [(_TILE_WIDTH, 4, (row_bytes,)), (_TILE_HEIGHT, 4, (self._tile_height,))]
            fields += [(_TILE_OFFSETS, 4, offsets), (_TILE_BYTES, 4, sizes)]
        else:
            fields += [(_STRIP_OFFSETS, 4, offsets), (_ROWS_PER_STRIP, 4, (self._tile_height,))]
            fields += [(_STRIP_BYTES, 4, sizes)]
        return np.asarray(_pillow_image(_with_header(self._data, sorted(fields))))

    def _joined(self, tiles: slice, row_bytes: int) -> np.ndarray:
        """The same for tiles that are not compressed."""
        across, height = self._grid[0], self.size[1]
        rows = np.empty((height, across * row_bytes), np.uint8)
        for number, offset in enumerate(self._offsets[tiles]):
            top, left = number // across * self._tile_height, number % across * row_bytes
            count = min(self._tile_height, height - top)
            if offset + count * row_bytes > len(self._data):
                raise PictureError(
                    "truncated: the file ends before the picture does; copy it again or remove it"
                )
            part = np.frombuffer(self._data, np.uint8, count * row_bytes, offset)
            rows[top : top + count, left : left + row_bytes] = part.reshape(count, row_bytes)
        if self._one(_FILL_ORDER, 1) == 2:
            return np.packbits(np.unpackbits(rows, axis=1, bitorder="little"), axis=1)
        return rows

    def _numbers(self, rows: np.ndarray, samples: int) -> np.ndarray:
        """Bytes of the rows of a tile as (H, tile width, samples)."""
        bits, count = self._bits, self._tile_width * samples
        shape = (len(rows), self._tile_width, samples)
        predictor = 1 if self._compression in (1, 32773) else self._predictor
        if bits < 8:
            return _split_bits(rows, bits)[:, :count].reshape(shape)
        if bits == 12:
            return _split_twelve(rows)[:, :count].reshape(shape)
        if predictor == 3:  # bytes of a row in order of weight, as differences between samples
            summed = np.cumsum(rows.reshape(len(rows), -1, samples), axis=1, dtype=np.uint8)
            weights_last = summed.reshape(len(rows), bits // 8, count).transpose(0, 2, 1)
            return np.ascontiguousarray(weights_last).view(f">f{bits // 8}").reshape(shape)
        values = np.ascontiguousarray(rows).view(f"{self._order}{self._format}{bits // 8}")
        if predictor == 2:
            whole = values.reshape(shape).view(f"{self._order}u{bits // 8}")
            summed = np.cumsum(whole, axis=1, dtype=f"u{bits // 8}")
            return summed.view(f"{self._format}{bits // 8}")
        return values.reshape(shape)

    def _to_rgb(self, samples: np.ndarray) -> Image.Image:
        kind, bits = self._photometric, self._bits
        if kind == _PALETTE:
            return Image.fromarray(self._coloured(samples[:, :, 0]))
        colours = samples[:, :, : self._num_colours]
        if kind in (_CMYK, _YCBCR, _LAB, _ICC_LAB):
            mode = {_CMYK: "CMYK", _YCBCR: "YCbCr"}.get(kind, "LAB")
            levels = to_levels(colours, bits=16) if bits == 16 else colours
            if kind == _ICC_LAB:  # without a sign; Pillow takes them with one
                levels = levels ^ np.array([0, 128, 128], np.uint8)
            height, width = levels.shape[:2]
            return Image.frombytes(mode, (width, height), levels.tobytes()).convert("RGB")
        states_range = bits not in (16, 32, 64) or kind == _WHITE_IS_ZERO and bits == 16
        levels = to_levels(colours, bits=bits if states_range and self._format == "u" else None)
        if kind == _WHITE_IS_ZERO:
            levels = 255 - levels
        if self._alpha is not None and self._format == "u":
            alpha = to_levels(samples[:, :, [self._num_colours]], bits=bits).astype(np.uint32)
            inked = levels * (alpha if self._alpha == "straight" else np.uint32(255))
            below = np.array(BACKGROUND, np.uint32) * (255 - alpha)
            levels = np.minimum(255, (inked + below + 127) // 255).astype(np.uint8)
        return Image.fromarray(
            np.ascontiguousarray(np.broadcast_to(levels, (*levels.shape[:2], 3)))
        )

    def _coloured(self, index: np.ndarray) -> np.ndarray:
        colours = np.array(self._tags.get(_COLOURS, ()), np.uint16)
        count = 1 << self._bits
        if len(colours) != 3 * count:
            raise _damaged("has no colours for its palette")
        # Some writers put 8 bits where 16 belong.
        levels = to_levels(colours, bits=8 if colours.max() < 256 else 16)
        return levels.reshape(3, count).T[index]


def open_tiff(data: bytes) -> Tiff:
    """Read the header of a TIFF file; no pixels yet.

    Args:
        data: the whole file.

    Raises:
        PictureError: it is damaged, or of a kind that is refused.
    """
    order = "<" if data[:2] == b"II" else ">"
    try:
        return Tiff(data, order, _first_directory(data, order))
    except (struct.error, IndexError) as exc:
        raise PictureError("damaged or cut short: it begins as a TIFF but can't be opened") from exc


def _first_directory(data: bytes, order: str) -> dict[int, tuple[Any, ...]]:
    is_big = struct.unpack_from(order + "H", data, 2)[0] == 43
    count_code, entry_size, offset_code, room = ("Q", 20, "Q", 8) if is_big else ("H", 12, "I", 4)
    at = struct.unpack_from(order + offset_code, data, 8 if is_big else 4)[0]
    count = struct.unpack_from(order + count_code, data, at)[0]
    if count > _MAX_TAGS:
        raise _refused(f"{count:,} entries in its header")
    at += struct.calcsize(count_code)
    tags: dict[int, tuple[Any, ...]] = {}
    for start in range(at, at + count * entry_size, entry_size):
        tag, kind, length = struct.unpack_from(f"{order}HH{offset_code}", data, start)
        if tag not in _READ_TAGS or kind not in _TYPES or tag in tags:
            continue
        if length > 3 * _MAX_PARTS:
            raise _refused(f"{length:,} values for one entry of its header")
        where = start + entry_size - room
        if struct.calcsize(_TYPES[kind]) * length > room:
            where = struct.unpack_from(order + offset_code, data, where)[0]
        tags[tag] = struct.unpack_from(f"{order}{length}{_TYPES[kind]}", data, where)
    return tags


def _with_header(data: bytes, fields: _Fields) -> bytes:
    """The same file, but with a header that says something else of its strips."""
    start = len(data) + len(data) % 2
    heap_at = start + 2 + 12 * len(fields) + 4
    entries, heap = b"", b""
    for tag, kind, values in fields:
        packed = struct.pack(f"<{len(values)}{_TYPES[kind]}", *values)
        if len(packed) > 4:
            entries += struct.pack("<HHII", tag, kind, len(values), heap_at + len(heap))
            heap += packed
        else:
            entries += struct.pack("<HHI4s", tag, kind, len(values), packed)
    head = b"II*\0" + struct.pack("<I", start)
    directory = struct.pack("<H", len(fields)) + entries + b"\0\0\0\0" + heap
    return b"".join([head, memoryview(data)[8:], b"\0" * (start - len(data)), directory])


def _split_bits(rows: np.ndarray, bits: int) -> np.ndarray:
    """Samples of 1, 2 or 4 bits, the highest first: uint8."""
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
    split = (rows[:, :, np.newaxis] >> shifts) & np.uint8((1 << bits) - 1)
    return split.reshape(len(rows), -1)


def _split_twelve(rows: np.ndarray) -> np.ndarray:
    """Samples of 12 bits, two in three bytes: uint16."""
    padded = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 3))).astype(np.uint16)
    first, middle, last = padded[:, 0::3], padded[:, 1::3], padded[:, 2::3]
    pairs = np.stack([first << 4 | middle >> 4, (middle & 15) << 8 | last], axis=2)
    return pairs.reshape(len(rows), -1)

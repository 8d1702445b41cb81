"""TIFF: the samples as they are stored, and what they mean.

Pillow opens many kinds of TIFF as if they were others: white-is-zero in 16 bits as its negative,
planes of 16 bits as if they were interleaved. So the header is read here, kinds that are not known
to come out right are refused by name, and Pillow (libtiff) only unpacks: it is given the same
strips or tiles under a header that calls every row plain bytes. Source: TIFF 6.0; BigTIFF;
Adobe's technical notes 1 and 3 for floats and predictors.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from pawsure.data.colour import BACKGROUND, to_levels
from pawsure.errors import PictureError

MAX_TAGS = 1000
"""Entries of a page's directory; cameras write about 60."""

MAX_PARTS = 65_536
"""Strips or tiles of a page."""

MAX_BYTES = 2_000_000_000
"""Of all samples of a page; 120 million pixels of colour and alpha in 16 bits have half."""

_SMALL_TILE = 1024 * 1024
_TYPES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q"}

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIP_OFFSETS, _ORIENTATION, _SAMPLES, _ROWS_PER_STRIP, _STRIP_BYTES = 273, 274, 277, 278, 279
_PLANAR, _PREDICTOR, _COLOURS, _TILE_WIDTH, _TILE_HEIGHT = 284, 317, 320, 322, 323
_TILE_OFFSETS, _TILE_BYTES, _INK_SET, _EXTRA, _SAMPLE_FORMAT = 324, 325, 332, 338, 339
_SUBSAMPLING, _SUBFILE, _SUB_DIRECTORIES, _DNG = 530, 254, 330, 50706

_READ_TAGS = frozenset(
    # fmt: off
    [
        _WIDTH,
        _HEIGHT,
        _BITS,
        _COMPRESSION,
        _PHOTOMETRIC,
        _FILL_ORDER,
        _STRIP_OFFSETS,
        _ORIENTATION,
        _SAMPLES,
        _ROWS_PER_STRIP,
        _STRIP_BYTES,
        _PLANAR,
        _PREDICTOR,
        _COLOURS,
        _TILE_WIDTH,
        _TILE_HEIGHT,
        _TILE_OFFSETS,
        _TILE_BYTES,
        _INK_SET,
        _EXTRA,
        _SAMPLE_FORMAT,
        _SUBSAMPLING,
        _SUBFILE,
        _DNG,
    ]
    # fmt: on
)

# Unpacked to the bytes as they were: none, LZW, two codes for Deflate, PackBits, LZMA, Zstandard.
_PLAIN = frozenset([1, 5, 8, 32946, 32773, 34925, 50000])
_FAX = frozenset([2, 3, 4])
_JPEG = 7
_COMPRESSION_NAMES = {
    6: "old-style JPEG",
    34887: "LERC",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34712: "JPEG 2000",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _MASK, _CMYK, _YCBCR, _LAB, _ICC_LAB = (
    *range(7),
    8,
    9,
)
_NAMES = {
    _WHITE_IS_ZERO: "grey",
    _BLACK_IS_ZERO: "grey",
    _RGB: "RGB",
    _PALETTE: "palette",
    _CMYK: "CMYK",
    _YCBCR: "YCbCr",
    _LAB: "Lab",
    _ICC_LAB: "Lab",
}
_COLOURS_OF = {0: 1, 1: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _YCBCR: 3, _LAB: 3, _ICC_LAB: 3}
_RAW = frozenset([32803, 34892])  # of a camera's sensor


def _refused(what: str) -> PictureError:
    return PictureError(f"a TIFF of a kind that is not read: {what}; save it as 8-bit RGB or PNG")


def _damaged(what: str) -> PictureError:
    return PictureError(f"damaged: its TIFF header {what}; copy it again or remove it")


@dataclass(frozen=True, kw_only=True)
class Tiff:
    """The first page of a TIFF file, whose kind is known to be read rightly.

    Attributes:
        data: the whole file.
        order: "<" or ">", of its numbers.
        tags: number to values, of what matters here.
    """

    data: bytes
    order: str
    tags: dict[int, tuple[Any, ...]]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as stored."""
        return self._one(_WIDTH, 0), self._one(_HEIGHT, 0)

    @property
    def orientation(self) -> int:
        """The tag, as in EXIF; 1 is upright."""
        return self._one(_ORIENTATION, 1)

    @property
    def pixel_bytes(self) -> int:
        """Of all samples of one pixel, at least 1."""
        return max(1, self._samples * self._bits // 8)

    def _one(self, tag: int, default: int) -> int:
        values = self.tags.get(tag)
        return int(values[0]) if values else default

    @property
    def _bits(self) -> int:
        return self._one(_BITS, 1)

    @property
    def _samples(self) -> int:
        return self._one(_SAMPLES, 1)

    @property
    def _photometric(self) -> int:
        return self._one(_PHOTOMETRIC, -1)

    @property
    def _compression(self) -> int:
        return self._one(_COMPRESSION, 1)

    @property
    def _format(self) -> str:
        """How a sample is to be understood: "u", "i" or "f" as in NumPy."""
        return {1: "u", 2: "i", 3: "f", 4: "u"}.get(self._one(_SAMPLE_FORMAT, 1), "")

    @property
    def _planes(self) -> int:
        return self._samples if self._one(_PLANAR, 1) == 2 else 1

    @property
    def _tiled(self) -> bool:
        return _TILE_OFFSETS in self.tags

    def _part(self) -> tuple[int, int]:
        """(width, height) of a strip or tile, in pixels."""
        width, height = self.size
        if self._tiled:
            return self._one(_TILE_WIDTH, 0), self._one(_TILE_HEIGHT, 0)
        return width, min(height, self._one(_ROWS_PER_STRIP, height))

    def check(self) -> None:
        """Refuse what is broken, and what is not known to come out right.

        Raises:
            PictureError: either.
        """
        width, height = self.size
        if width < 1 or height < 1:
            raise _damaged("tells no size")
        self._check_kind()
        part_width, part_height = self._part()
        if part_width < 1 or part_height < 1:
            raise _damaged("tells no size of strips or tiles")
        num_bytes = width * height * self.pixel_bytes
        if num_bytes > MAX_BYTES:
            raise _refused(f"{num_bytes:,} bytes once it is unpacked")
        if part_width * part_height > 4 * width * height + _SMALL_TILE:
            raise _refused("tiles much larger than the picture")
        offsets = self.tags.get(_TILE_OFFSETS if self._tiled else _STRIP_OFFSETS, ())
        across, down = math.ceil(width / part_width), math.ceil(height / part_height)
        expected = across * down * self._planes
        if expected > MAX_PARTS:
            raise _refused(f"cut into {expected:,} strips or tiles")
        if len(offsets) < expected:
            raise _damaged("does not tell where all of its pixels are")

    def _check_kind(self) -> None:
        kind, bits, samples = self._photometric, self._bits, self._samples
        if _DNG in self.tags or kind in _RAW:
            raise _refused("a camera's raw data")
        if kind not in _NAMES:
            raise _refused("no photograph" if kind == _MASK else f"photometric {kind}")
        name = f"{_NAMES[kind]} of {bits} bits"
        if len(set(self.tags.get(_BITS, (1,)))) > 1 or self._one(_PLANAR, 1) not in (1, 2):
            raise _refused(f"{_NAMES[kind]} of mixed depth")
        if samples < _COLOURS_OF[kind]:
            raise _damaged(f"tells of {samples} samples for {_NAMES[kind]}")
        if samples > 64:
            raise _refused(f"{samples} samples a pixel")
        formats = set(self.tags.get(_SAMPLE_FORMAT, (1,)))
        if len(formats) > 1 or not self._format:
            raise _refused(f"{name}, of complex or mixed numbers")
        if self._compression == _JPEG:
            if bits != 8 or self._planes > 1 or kind in (_PALETTE, _LAB, _ICC_LAB, 0):
                raise _refused(f"{name}, as JPEG")
            if samples != _COLOURS_OF[kind]:
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
        kind, bits = self._photometric, self._bits
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
        if kind == _YCBCR and tuple(self.tags.get(_SUBSAMPLING, (2, 2))) != (1, 1):
            raise _refused("YCbCr with fewer pixels of colour")
        predictor = self._one(_PREDICTOR, 1)
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
        if self._compression == _JPEG or self._compression in _FAX:
            return self._by_pillow()
        with_colours = self._samples_stored()
        return _to_rgb(self, with_colours)

    def _by_pillow(self) -> Image.Image:
        from PIL.TiffImagePlugin import TiffImageFile

        image = TiffImageFile(BytesIO(self.data))
        image.load()
        turned = image.size != self.size
        if turned or self.orientation not in (0, 1):
            raise _refused("turned, and packed as JPEG or fax")
        return image.convert("RGB")

    def _samples_stored(self) -> np.ndarray:
        """(H, W, samples), or only the colours and alpha of it, as numbers."""
        planes = self._planes
        if planes == 1:
            return self._unpack(self._samples, 0)
        wanted = _COLOURS_OF[self._photometric] + (self._alpha is not None)
        return np.concatenate([self._unpack(1, plane) for plane in range(wanted)], axis=2)

    @property
    def _alpha(self) -> str | None:
        """What the first sample after the colours says: "associated", "straight", or nothing."""
        kind = self._photometric
        if kind not in (0, 1, 2) or self._samples <= _COLOURS_OF[kind]:
            return None
        extra = self.tags.get(_EXTRA)
        if extra is None:  # as simple writers leave it out
            return "straight" if self._samples == _COLOURS_OF[kind] + 1 else None
        return {1: "associated", 2: "straight"}.get(extra[0])

    def _unpack(self, samples: int, plane: int) -> np.ndarray:
        """One plane: (H, W, samples)."""
        width, height = self.size
        part_width, part_height = self._part()
        across, down = math.ceil(width / part_width), math.ceil(height / part_height)
        part_bytes = math.ceil(part_width * samples * self._bits / 8)
        rows = self._bytes(plane, across, down, part_bytes, part_height)
        parts = [
            self._numbers(rows[:, at * part_bytes : (at + 1) * part_bytes], part_width, samples)
            for at in range(across)
        ]
        return (parts[0] if across == 1 else np.concatenate(parts, axis=1))[:, :width]

    def _bytes(
        self, plane: int, across: int, down: int, part_bytes: int, part_height: int
    ) -> np.ndarray:
        """The rows of one plane as unpacked bytes: uint8 (H, across * part_bytes)."""
        _, height = self.size
        count = across * down
        some = slice(plane * count, (plane + 1) * count)
        offsets = self.tags[_TILE_OFFSETS if self._tiled else _STRIP_OFFSETS][some]
        sizes = self.tags.get(_TILE_BYTES if self._tiled else _STRIP_BYTES, ())[some]
        if len(sizes) < count:
            sizes = tuple(len(self.data) - offset for offset in offsets)
        if self._compression == 1:
            return self._joined(offsets, across, part_bytes, part_height)
        fields: list[tuple[int, int, tuple[int, ...]]] = [
            (_WIDTH, 4, (across * part_bytes,)),
            (_HEIGHT, 4, (height,)),
            (_BITS, 3, (8,)),
            (_COMPRESSION, 3, (self._compression,)),
            (_PHOTOMETRIC, 3, (_BLACK_IS_ZERO,)),
            (_FILL_ORDER, 3, (self._one(_FILL_ORDER, 1),)),
            (_SAMPLES, 3, (1,)),
        ]
        if self._tiled:
            fields += [
                (_TILE_WIDTH, 4, (part_bytes,)),
                (_TILE_HEIGHT, 4, (part_height,)),
                (_TILE_OFFSETS, 4, offsets),
                (_TILE_BYTES, 4, sizes),
            ]
        else:
            fields += [
                (_STRIP_OFFSETS, 4, offsets),
                (_ROWS_PER_STRIP, 4, (part_height,)),
                (_STRIP_BYTES, 4, sizes),
            ]
        from PIL.TiffImagePlugin import TiffImageFile

        image = TiffImageFile(BytesIO(_under_header(self.data, sorted(fields))))
        return np.asarray(image)

    def _joined(
        self, offsets: tuple[int, ...], across: int, part_bytes: int, part_height: int
    ) -> np.ndarray:
        """Rows of strips or tiles that are not packed."""
        _, height = self.size
        rows = np.empty((height, across * part_bytes), np.uint8)
        reversed_bits = self._one(_FILL_ORDER, 1) == 2
        for number, offset in enumerate(offsets):
            top, left = number // across * part_height, number % across * part_bytes
            count = min(part_height, height - top)
            end = offset + count * part_bytes
            if end > len(self.data):
                raise PictureError(
                    "truncated: the file ends before the picture does; copy it again or remove it"
                )
            part = np.frombuffer(self.data, np.uint8, count * part_bytes, offset)
            rows[top : top + count, left : left + part_bytes] = part.reshape(count, part_bytes)
        if reversed_bits:
            return np.packbits(np.unpackbits(rows, axis=1, bitorder="little"), axis=1)
        return rows

    def _numbers(self, rows: np.ndarray, width: int, samples: int) -> np.ndarray:
        """Bytes of rows as (H, width, samples)."""
        bits, count = self._bits, width * samples
        predictor = 1 if self._compression in (1, 32773) else self._one(_PREDICTOR, 1)
        if bits < 8:
            values = _split_bits(rows, bits)[:, :count]
        elif bits == 12:
            values = _split_twelve(rows)[:, :count]
        elif predictor == 3:
            return self._undo_float_predictor(rows, width, samples)
        else:
            dtype = np.dtype(f"{self.order}{self._format}{bits // 8}")
            values = np.ascontiguousarray(rows).view(dtype)
        values = values.reshape(len(rows), width, samples)
        if predictor == 2:
            whole = values.astype(np.dtype(f"u{bits // 8}"), copy=False)
            if self._format == "i":
                whole = values.view(np.dtype(f"{self.order}u{bits // 8}"))
            summed = np.cumsum(whole, axis=1, dtype=f"u{bits // 8}")
            return summed.view(f"{self._format}{bits // 8}")
        return values

    def _undo_float_predictor(self, rows: np.ndarray, width: int, samples: int) -> np.ndarray:
        """Bytes of a row in order of weight, each the difference to that of the sample before."""
        size = self._bits // 8
        summed = np.cumsum(rows.reshape(len(rows), -1, samples), axis=1, dtype=np.uint8)
        split = summed.reshape(len(rows), size, width * samples)
        joined = np.ascontiguousarray(split.transpose(0, 2, 1))
        return joined.view(f">f{size}").reshape(len(rows), width, samples)


def open_tiff(data: bytes) -> Tiff:
    """Read the header of a TIFF file; no pixels yet.

    Args:
        data: the whole file.

    Raises:
        PictureError: it is broken, or of a kind that is refused.
    """
    try:
        page = _first_directory(data)
    except (struct.error, IndexError) as exc:
        raise PictureError("damaged or cut short: it begins as a TIFF but can't be opened") from exc
    page.check()
    return page


def _first_directory(data: bytes) -> Tiff:
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    count_code, entry_size, offset_code, room = ("Q", 20, "Q", 8) if big else ("H", 12, "I", 4)
    at = struct.unpack_from(order + offset_code, data, 8 if big else 4)[0]
    count = struct.unpack_from(order + count_code, data, at)[0]
    if count > MAX_TAGS:
        raise _refused(f"{count:,} entries in its header")
    at += struct.calcsize(count_code)
    tags: dict[int, tuple[Any, ...]] = {}
    for start in range(at, at + count * entry_size, entry_size):
        tag, kind, length = struct.unpack_from(f"{order}HH{offset_code}", data, start)
        if tag not in _READ_TAGS or kind not in _TYPES or tag in tags:
            continue
        if length > 3 * MAX_PARTS:
            raise _refused(f"{length:,} values for one entry of its header")
        size = struct.calcsize(_TYPES[kind]) * length
        where = start + (12 if big else 8)
        if size > room:
            where = struct.unpack_from(order + offset_code, data, where)[0]
        tags[tag] = struct.unpack_from(f"{order}{length}{_TYPES[kind]}", data, where)
    return Tiff(data=data, order=order, tags=tags)


def _under_header(data: bytes, fields: list[tuple[int, int, tuple[int, ...]]]) -> bytes:
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


def _to_rgb(page: Tiff, samples: np.ndarray) -> Image.Image:
    kind, bits = page._photometric, page._bits
    if kind == _PALETTE:
        return Image.fromarray(_coloured(page, samples[:, :, 0]))
    if kind in (_CMYK, _YCBCR, _LAB, _ICC_LAB):
        mode = {_CMYK: "CMYK", _YCBCR: "YCbCr"}.get(kind, "LAB")
        levels = samples[:, :, : _COLOURS_OF[kind]]
        if bits == 16:
            levels = to_levels(levels, bits=16)
        if kind == _ICC_LAB:  # without a sign; Pillow takes them with one
            levels = levels ^ np.array([0, 128, 128], np.uint8)
        height, width = levels.shape[:2]
        return Image.frombytes(mode, (width, height), levels.tobytes()).convert("RGB")
    colours = _COLOURS_OF[kind]
    stated = bits if bits not in (16, 32, 64) or kind == _WHITE_IS_ZERO and bits == 16 else None
    levels = to_levels(samples[:, :, :colours], bits=stated if page._format == "u" else None)
    if kind == _WHITE_IS_ZERO:
        levels = 255 - levels
    if page._alpha is not None and page._format == "u":
        alpha = to_levels(samples[:, :, colours : colours + 1], bits=bits)
        levels = _on_background(levels, alpha, straight=page._alpha == "straight")
    return Image.fromarray(np.ascontiguousarray(np.broadcast_to(levels, (*levels.shape[:2], 3))))


def _on_background(levels: np.ndarray, alpha: np.ndarray, *, straight: bool) -> np.ndarray:
    seen = alpha.astype(np.uint32)
    own = levels * seen if straight else levels.astype(np.uint32) * 255
    below = np.array(BACKGROUND, np.uint32) * (255 - seen)
    return np.minimum(255, (own + below + 127) // 255).astype(np.uint8)


def _coloured(page: Tiff, index: np.ndarray) -> np.ndarray:
    colours = np.array(page.tags.get(_COLOURS, ()), np.uint16)
    count = 1 << page._bits
    if len(colours) != 3 * count:
        raise _damaged("tells no colours for its palette")
    # Some writers put 8 bits where 16 belong.
    levels = to_levels(colours, bits=8 if colours.max() < 256 else 16)
    return levels.reshape(3, count).T[index]

"""How much work a file makes before its first pixel, counted before Pillow does it.

Pillow parses headers in Python, piece by piece, holding the lock of the interpreter. A file of
4 MB can have a million pieces; no program writes such files for pictures, so they are refused.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

from pawsure.errors import PictureError

MAX_PIECES = 100_000
"""Segments, chunks or blocks; a PNG of 120 million pixels in chunks of 8 KB has half as many."""

MAX_PASSES = 500
"""Scans of one JPEG, each of which goes over all of its pixels; usual are 1 to 15."""

_TEXT_BYTES = 16 * 1024 * 1024
_NETPBM_HEADER_BYTES = 64 * 1024
_TOKENS = re.compile(rb"#[^\r\n]*|[^\s#]+")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COMPRESSED_CHUNKS = (b"zTXt", b"iTXt", b"iCCP")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def count_pieces(data: bytes, format: str, *, most: int = MAX_PIECES) -> int:
    """How many steps Pillow takes in Python to open and load a file, up to `most` + 1.

    For JPEG see `jpeg_header`.

    Raises:
        PictureError: the header never ends.
    """
    pieces = 0
    with suppress(struct.error, IndexError):  # cut short, which Pillow explains better
        for _ in islice(_WALKS[format](data) if format in _WALKS else (), most + 1):
            pieces += 1
    return pieces


def count_compressed_chunks(data: bytes) -> int:
    """How many chunks of a PNG decompress to up to a megabyte each."""
    return sum(data[at + 4 : at + 8] in _COMPRESSED_CHUNKS for at in _png_chunks(data))


class JpegHeader(NamedTuple):
    """What there is before the pixels of a JPEG.

    Attributes:
        pieces: segments, and bytes that belong to none.
        scan: where the first scan begins; -1 if there is none.
        passes: scans, as many as there may be.
        restarts: how many restart markers its only scan has, from which decoding can go on after
            damage; None without them.
        frame: where the segment with sizes and colours is; -1 if there is none.
    """

    pieces: int = 0
    scan: int = -1
    passes: int = 1
    restarts: int | None = None
    frame: int = -1


def jpeg_header(data: bytes, *, most: int = MAX_PIECES) -> JpegHeader:
    """Go through the segments of a JPEG up to its first scan, or `most` + 1 of them.

    Raises:
        PictureError: there are more scans than `MAX_PASSES`.
    """
    at, end, pieces, frame, interval = 2, len(data) - 4, 0, -1, 0
    while at < end and pieces <= most:
        pieces += 1
        marker = data[at + 1]
        if data[at] != 0xFF or marker == 0xFF or marker == 0x00:
            at += 1
        elif marker == 0xDA:
            restarts = _restarts(data, frame, interval)
            return JpegHeader(pieces, at, _passes(data, at, frame), restarts, frame)
        elif marker == 0xD9:
            break
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # these have no length
            at += 2
        else:
            if marker in _FRAMES:
                frame = at
            elif marker == 0xDD:
                interval = int.from_bytes(data[at + 4 : at + 6])
            at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4]))
    return JpegHeader(pieces)


def _passes(data: bytes, scan: int, frame: int) -> int:
    if (
        frame < 0
        or len(data) < frame + 10
        or (data[frame + 1] != 0xC2 and data[scan + 4] >= data[frame + 9])
    ):
        return 1  # all colours at once, so libjpeg reads no second scan
    passes = data.count(b"\xff\xda", scan)
    if passes > MAX_PASSES:
        raise PictureError(f"a JPEG of {passes:,} passes over its pixels; save it again")
    return passes


def _restarts(data: bytes, frame: int, interval: int) -> int | None:
    """Markers between every `interval` units, the squares that colours share."""
    if not interval or frame < 0 or len(data) < frame + 11:
        return None
    height, width, colours = struct.unpack_from(">HHB", data, frame + 5)
    factors = data[frame + 11 : frame + 11 + 3 * colours : 3]
    if not height or not factors:
        return None
    across = 8 if colours == 1 else 8 * max(factor >> 4 for factor in factors)
    down = 8 if colours == 1 else 8 * max(factor & 15 for factor in factors)
    units = math.ceil(width / max(1, across)) * math.ceil(height / max(1, down))
    return math.ceil(units / interval) - 1


def _png_chunks(data: bytes, at: int = len(_PNG_SIGNATURE)) -> Iterator[int]:
    while at + 8 <= len(data):
        yield at
        if data[at + 4 : at + 8] == b"IEND":
            break
        at += 12 + struct.unpack_from(">I", data, at)[0]


def _gif_blocks(data: bytes) -> Iterator[int]:
    """Up to the first frame."""
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    while data[at] != 0x2C:
        yield at
        if data[at] != 0x21:
            at += 1
            continue
        at += 2
        while data[at]:
            at += 1 + data[at]
            yield at
        at += 1


def _icon_entries(data: bytes) -> Iterator[int]:
    yield from range(struct.unpack_from("<H", data, 4)[0])
    yield from _png_within(data)


def _icns_blocks(data: bytes) -> Iterator[int]:
    at = 8
    while at < len(data):
        yield at
        at += max(8, struct.unpack_from(">I", data, at + 4)[0])
    yield from _png_within(data)


def _png_within(data: bytes) -> Iterator[int]:
    start = data.find(_PNG_SIGNATURE)
    while start >= 0:
        yield from _png_chunks(data, start + len(_PNG_SIGNATURE))
        start = data.find(_PNG_SIGNATURE, start + len(_PNG_SIGNATURE))


def _jpeg_2000_boxes(data: bytes) -> Iterator[int]:
    if data[:4] == b"\xff\x4f\xff\x51":
        return
    at = 0
    while at < len(data):
        yield at
        length, name = struct.unpack_from(">I4s", data, at)
        if name == b"jp2h":  # its own boxes, in which all that is wanted lies
            at += 8
            continue
        if length == 1:
            length = struct.unpack_from(">Q", data, at + 8)[0]
        elif length == 0:
            return
        at += max(8, length)


def _netpbm_tokens(data: bytes) -> Iterator[int]:
    wanted = 3 if data[1:2] in b"14" else 4
    found = 0
    for token in _TOKENS.finditer(data, 0, _NETPBM_HEADER_BYTES):
        found += not token[0].startswith(b"#")
        if found == wanted:
            break
    else:
        if len(data) >= _NETPBM_HEADER_BYTES:
            raise PictureError("its header does not end; save it again")
    if data[1:2] in b"123" and len(data) > _TEXT_BYTES:
        raise PictureError(
            f"a picture written as text, of more than {_TEXT_BYTES:,} bytes; save it as PNG"
        )
    yield found


def _psd_resources(data: bytes) -> Iterator[int]:
    at = 30 + struct.unpack_from(">I", data, 26)[0]
    end = at + 4 + struct.unpack_from(">I", data, at)[0]
    at += 4
    while at < end:
        yield at
        name = 1 + data[at + 6]
        at += 6 + name + name % 2
        size = struct.unpack_from(">I", data, at)[0]
        at += 4 + size + size % 2


_WALKS = {
    "PNG": _png_chunks,
    "GIF": _gif_blocks,
    "ICO": _icon_entries,
    "CUR": _icon_entries,
    "ICNS": _icns_blocks,
    "JPEG2000": _jpeg_2000_boxes,
    "PPM": _netpbm_tokens,
    "PSD": _psd_resources,
}

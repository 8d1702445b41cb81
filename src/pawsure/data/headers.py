"""How much work a file makes before its first pixel, counted before Pillow does it.

Pillow parses headers in Python, piece by piece, and meanwhile nobody else in the process gets
on. A file of 4 MB can have a million pieces. So they are counted here, by as many steps as are
allowed at most; what has more is refused. No program writes such files for pictures.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from pawsure.errors import PictureError

MAX_PIECES = 100_000
"""Segments, chunks or blocks; a PNG of 120 million pixels in chunks of 8 KB may have half as many."""

MAX_PASSES = 500
"""Scans of one JPEG, each of which goes over all of its pixels; usual are 1 to 15."""

_TEXT_BYTES = 16 * 1024 * 1024
_NETPBM_HEAD = 64 * 1024
_TOKENS = re.compile(rb"#[^\r\n]*|[^\s#]+")


def count_pieces(data: bytes, format: str) -> int:
    """How many steps Pillow takes in Python to open and load a file.

    Args:
        data: the whole file.
        format: of `pawsure.data.formats.format_of`.

    Raises:
        PictureError: there are more than `MAX_PIECES`, or the header never ends.
    """
    walk = _WALKS.get(format)
    if walk is None:
        return 0
    pieces = 0
    try:
        for pieces, _ in enumerate(walk(data)):  # noqa: B007
            if pieces > MAX_PIECES:
                raise PictureError(
                    f"its header is cut into more than {MAX_PIECES:,} pieces; save it anew"
                )
    except (struct.error, IndexError):  # cut short, which Pillow tells better
        pass
    return pieces


def jpeg_start(data: bytes) -> tuple[int, int]:
    """Where the first scan of a JPEG begins, and the number of its scans.

    Returns:
        The place of the marker, -1 if there is none, and an upper bound of the passes.

    Raises:
        PictureError: it has more than `MAX_PASSES`.
    """
    start, frame = -1, -1
    for marker, at in _jpeg_segments(data):
        if marker in _FRAMES:
            frame = at
        if marker == 0xDA:
            start = at
            break
    if start < 0 or frame < 0 or len(data) < start + 5 or len(data) < frame + 10:
        return start, 1
    if data[frame + 1] != 0xC2 and data[start + 4] >= data[frame + 9]:
        return start, 1  # all colours at once, so libjpeg reads no second scan
    passes = data.count(b"\xff\xda", start)
    if passes > MAX_PASSES:
        raise PictureError(f"a JPEG of {passes:,} passes over its pixels; save it anew")
    return start, passes


_FRAMES = frozenset([*range(0xC0, 0xD0)]) - {0xC4, 0xC8, 0xCC}


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """(marker, place) up to the first scan, and one for each byte in between."""
    at, end = 2, len(data)
    while at < end - 1:
        if data[at] != 0xFF or data[at + 1] in (0x00, 0xFF):
            at += 1
            yield -1, at
            continue
        marker = data[at + 1]
        yield marker, at
        if marker in (0xDA, 0xD9):
            return
        alone = marker == 0x01 or 0xD0 <= marker <= 0xD8
        at += 2 if alone else 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))


def _png_chunks(data: bytes) -> Iterator[int]:
    at = 8
    while at < len(data):
        yield at
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
    start = data.find(b"\x89PNG\r\n\x1a\n")
    while start >= 0:
        at = start + 8
        while at + 8 <= len(data):
            yield at
            if data[at + 4 : at + 8] == b"IEND":
                break
            at += 12 + struct.unpack_from(">I", data, at)[0]
        start = data.find(b"\x89PNG\r\n\x1a\n", start + 8)


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
    for token in _TOKENS.finditer(data, 0, _NETPBM_HEAD):
        found += not token[0].startswith(b"#")
        if found == wanted:
            break
    else:
        if len(data) >= _NETPBM_HEAD:
            raise PictureError("its header does not end; save it anew")
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
    "JPEG": _jpeg_segments,
    "PNG": _png_chunks,
    "GIF": _gif_blocks,
    "ICO": _icon_entries,
    "CUR": _icon_entries,
    "ICNS": _icns_blocks,
    "JPEG2000": _jpeg_2000_boxes,
    "PPM": _netpbm_tokens,
    "PSD": _psd_resources,
}

"""TIFF files of kinds that Pillow does not write, made from samples."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np

_CODES = {3: "H", 4: "I", 16: "Q"}


def tiff(
    samples: np.ndarray,
    *,
    photometric: int,
    bits: int | None = None,
    planes: bool = False,
    order: str = "<",
    tile: tuple[int, int] | None = None,
    rows_per_strip: int = 7,
    deflate: bool = False,
    predictor: int = 1,
    extra: Sequence[int] = (),
    colours: np.ndarray | None = None,
    big: bool = False,
    reversed_bits: bool = False,
    more: Sequence[tuple[int, int, Sequence[int]]] = (),
) -> bytes:
    """The bytes of a TIFF of one page.

    Args:
        samples: (H, W) or (H, W, C).
        photometric: as in the standard: 0 white is zero, 1 black is zero, 2 RGB, 3 palette, …
        bits: of a sample; None: as the array has.
        planes: whether each channel is stored by itself.
        order: of bytes, "<" or ">".
        tile: (width, height) in place of strips.
        rows_per_strip: of every strip but the last.
        deflate: whether parts are packed by zlib.
        predictor: 2, differences to the left, or 3, the same for the bytes of floats.
        extra: meanings of samples beyond the colours.
        colours: uint16 (2**bits, 3) of a palette.
        big: whether it is a BigTIFF.
        reversed_bits: whether bytes have their lowest bit first.
        more: further entries: tag, type, values.
    """
    values = samples.reshape(*samples.shape[:2], -1)
    height, width, count = values.shape
    bits = bits or values.dtype.itemsize * 8
    part_width, part_height = tile or (width, rows_per_strip)
    channels = [values[:, :, [n]] for n in range(count)] if planes else [values]
    parts = []
    for channel in channels:
        for top in range(0, height, part_height):
            for left in range(0, width, part_width):
                part = channel[top : top + part_height, left : left + part_width]
                if tile:
                    missing = [(0, part_height - part.shape[0]), (0, part_width - part.shape[1])]
                    part = np.pad(part, [*missing, (0, 0)])
                data = _packed(_predicted(part, predictor), bits, order, predictor)
                if reversed_bits:
                    data = bytes(int(f"{byte:08b}"[::-1], 2) for byte in data)
                parts.append(zlib.compress(data) if deflate else data)
    kind = {"u": 1, "b": 1, "i": 2, "f": 3}[values.dtype.kind]
    where, sizes = (324, 325) if tile else (273, 279)
    fields = [
        (256, 4, [width]),
        (257, 4, [height]),
        (258, 3, [bits] * count),
        (259, 3, [8 if deflate else 1]),
        (262, 3, [photometric]),
        (266, 3, [2 if reversed_bits else 1]),
        (277, 3, [count]),
        (284, 3, [2 if planes else 1]),
        (317, 3, [predictor]),
        (339, 3, [kind] * count),
        (where, 4, [0] * len(parts)),
        (sizes, 4, [len(part) for part in parts]),
        *([(322, 4, [part_width]), (323, 4, [part_height])] if tile else [(278, 4, [part_height])]),
        *([(338, 3, list(extra))] if extra else []),
        *([(320, 3, colours.T.ravel().tolist())] if colours is not None else []),
        *more,
    ]
    return _file(sorted(fields, key=lambda field: field[0]), parts, where, order, big)


def _predicted(part: np.ndarray, predictor: int) -> np.ndarray:
    if predictor != 2:
        return part
    before = np.concatenate([np.zeros_like(part[:, :1]), part[:, :-1]], axis=1)
    return part - before


def _packed(part: np.ndarray, bits: int, order: str, predictor: int) -> bytes:
    height = part.shape[0]
    if part.dtype.kind == "u" and bits < part.dtype.itemsize * 8:
        split = (part.reshape(height, -1, 1) >> np.arange(bits - 1, -1, -1)) & 1
        return np.packbits(split.reshape(height, -1).astype(np.uint8), axis=1).tobytes()
    if predictor == 3:
        size, channels = part.dtype.itemsize, part.shape[2]
        high_first = part.astype(part.dtype.newbyteorder(">")).reshape(height, -1, 1)
        split = high_first.view(np.uint8).transpose(0, 2, 1).reshape(height, -1, channels)
        assert split.shape[1] * channels == size * part.shape[1] * channels
        return _predicted(split, 2).tobytes()
    return part.astype(part.dtype.newbyteorder(order)).tobytes()


def _file(fields, parts, where: int, order: str, big: bool) -> bytes:  # type: ignore[no-untyped-def]
    code, room, entry = ("Q", 8, 20) if big else ("I", 4, 12)
    start = 16 if big else 8
    heap_at = start + (8 if big else 2) + entry * len(fields) + room
    size_of = {3: 2, 4: 4, 16: 8}
    heap_bytes = sum(
        size for _, kind, values in fields if (size := size_of[kind] * len(values)) > room
    )
    at, offsets = heap_at + heap_bytes, []
    for part in parts:
        offsets.append(at)
        at += len(part)
    entries, heap = b"", b""
    for tag, kind, values in fields:
        values = offsets if tag == where else values
        data = struct.pack(f"{order}{len(values)}{_CODES[kind]}", *values)
        if len(data) > room:
            place = struct.pack(order + code, heap_at + len(heap))
            heap += data
        else:
            place = data.ljust(room, b"\0")
        entries += struct.pack(f"{order}HH{code}", tag, kind, len(values)) + place
    mark = b"II" if order == "<" else b"MM"
    if big:
        head = mark + struct.pack(order + "HHHQ", 43, 8, 0, start)
        count = struct.pack(order + "Q", len(fields))
    else:
        head = mark + struct.pack(order + "HI", 42, start)
        count = struct.pack(order + "H", len(fields))
    return head + count + entries + bytes(room) + heap + b"".join(parts)

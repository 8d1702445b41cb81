"""The outermost level of an ONNX file, read without any ONNX library, and its checksum.

An ONNX file is one protobuf message (ModelProto in onnx.proto). Its checksum is an ordinary
metadata entry of fixed length at the end: the CRC-32 of all bytes before it. CRC-32 detects any
damage within 32 neighbouring bits, and takes up to a millisecond per megabyte. It is not a
signature: it detects damage, not forgery.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

CHECKSUM_KEY = "pawsure_crc32"
"""The key of the metadata entry with the checksum, 8 hex digits."""

# Field number to wire type, where 0 is a varint and 2 a length and that many bytes.
MODEL_FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
IR_VERSION, PRODUCER_NAME, GRAPH, OPSET, PROPERTY = 1, 2, 7, 8, 14

_BYTES_FIELD = 2  # the wire type of a length and that many bytes
_BLOCK = 2**20


class CutShortError(Exception):
    """The bytes end inside a field."""


class NotOnnxError(Exception):
    """The bytes are not a ModelProto."""


def walk(
    file: BinaryIO, known: Mapping[int, int], *, wanted: tuple[int, ...]
) -> Iterator[tuple[int, bytes]]:
    """Yield (field number, content) of one protobuf message; empty content unless wanted.

    After each field the file is at its end.
    Source: protobuf.dev/programming-guides/encoding.

    Raises:
        CutShortError: the file ends inside a field.
        NotOnnxError: a field is not in `known`, or has another type.
    """
    file.seek(0, 2)
    end = file.tell()
    file.seek(0)
    while file.tell() < end:
        number, wire_type = divmod(_read_varint(file), 8)
        if known.get(number) != wire_type:
            raise NotOnnxError
        if wire_type == 0:
            _read_varint(file)
            yield number, b""
            continue
        length = _read_varint(file)
        if file.tell() + length > end:
            raise CutShortError
        if number in wanted:
            yield number, file.read(length)
        else:
            file.seek(length, 1)
            yield number, b""


def parse_entry(content: bytes) -> tuple[str, str]:
    """One metadata entry (StringStringEntryProto): key is field 1, value field 2."""
    entry = dict(walk(io.BytesIO(content), {1: 2, 2: 2}, wanted=(1, 2)))
    return entry.get(1, b"").decode(), entry.get(2, b"").decode()


def metadata_field(key: str, value: str) -> bytes:
    """A metadata entry as a field of the outermost message."""
    return _bytes_field(PROPERTY, _bytes_field(1, key.encode()) + _bytes_field(2, value.encode()))


def with_checksum(content: bytes) -> bytes:
    """Append the checksum to a serialized model."""
    return content + _checksum_field(zlib.crc32(content))


def checksum_of(path: Path) -> tuple[int, bool]:
    """The checksum of a file's content, and whether the file ends with it."""
    left = path.stat().st_size - _CHECKSUM_BYTES
    checksum = 0
    with path.open("rb") as file:
        while left > 0 and (block := file.read(min(left, _BLOCK))):
            checksum = zlib.crc32(block, checksum)
            left -= len(block)
        return checksum, file.read() == _checksum_field(checksum)


def _checksum_field(checksum: int) -> bytes:
    return metadata_field(CHECKSUM_KEY, f"{checksum:08x}")


def _bytes_field(number: int, content: bytes) -> bytes:
    return _varint(number * 8 + _BYTES_FIELD) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def _read_varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise CutShortError
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise NotOnnxError


_CHECKSUM_BYTES = len(_checksum_field(0))

"""Files that make much work of few bytes, one or more for every format that is read."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from drawn_pictures import encoded, jpeg, photograph
from PIL import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _png_head(width: int, height: int) -> bytes:
    return _SIGNATURE + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


def jpeg_of_empty_segments(size: int) -> bytes:
    data = jpeg()
    return data[:2] + b"\xff\xe0\x00\x02" * (size // 4) + data[2:]


def jpeg_of_fill_bytes(size: int) -> bytes:
    data = jpeg()
    return data[:2] + b"\xff" * size + data[2:]


def jpeg_of_junk(size: int) -> bytes:
    data = jpeg()
    return data[:4] + b"\0" * size + data[4:]


def jpeg_of_exif(size: int) -> bytes:
    data = jpeg()
    segment = b"\xff\xe1\xff\xff" + b"Exif\0\0" + b"MM\0*" + bytes(65533 - 10)
    return data[:2] + segment * (size // len(segment)) + data[2:]


def jpeg_of_passes(size: int) -> bytes:
    """A progressive JPEG of 40 million pixels whose last pass comes again and again."""
    data = encoded(Image.new("L", (8000, 5000), 90), progressive=True)
    last = data.rfind(b"\xff\xda")
    scan = data[last:-2]
    return data[:-2] + scan * min(400, size // len(scan)) + b"\xff\xd9"


def png_of_chunks(size: int) -> bytes:
    picture = encoded(photograph(), "PNG")
    return picture[:33] + _chunk(b"tEXt", b"") * (size // 12) + picture[33:]


def png_of_pieces(size: int) -> bytes:
    """Pixels in chunks of one byte."""
    packed = zlib.compress(np.random.default_rng(0).bytes(3 * 600 * 500 + 500), 0)[: size // 13]
    return _png_head(600, 500) + b"".join(_chunk(b"IDAT", bytes([b])) for b in packed)


def png_of_bombs(size: int) -> bytes:
    bomb = _chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1_000_000)))
    picture = encoded(photograph(), "PNG")
    return picture[:33] + bomb * min(size // len(bomb), 4000) + picture[33:]


def png_of_many_pixels(size: int) -> bytes:
    del size
    rows = zlib.compress(bytes((3 * 7000 + 1) * 7000), 1)
    return _png_head(7000, 7000) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def gif_of_blocks(size: int) -> bytes:
    data = encoded(photograph(), "GIF")
    at = 13 + (3 << (data[10] & 7) + 1)
    return data[:at] + b"\x21\xfe\x01x\0" * (size // 5) + data[at:]


def gif_of_comments(size: int) -> bytes:
    data = encoded(photograph(), "GIF")
    at = 13 + (3 << (data[10] & 7) + 1)
    return data[:at] + b"\x21\xfe" + (b"\xff" + b"c" * 255) * (size // 256) + b"\0" + data[at:]


def tiff_of_tags(size: int) -> bytes:
    """Every entry says that the whole file is its value."""
    count = 65535
    entry = b"".join(struct.pack("<HHII", tag, 7, size, 8) for tag in range(1, count + 1))
    return b"II*\0" + struct.pack("<IH", 8, count) + entry + bytes(4) + bytes(size)


def tiff_of_strips(size: int) -> bytes:
    count = size // 8
    fields = [(256, 1), (257, count), (258, 8), (259, 1), (262, 1), (277, 1), (278, 1)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields)
    heap = 8 + 2 + 12 * 9 + 4
    entries = entries[:-24] + struct.pack("<HHII", 273, 4, count, heap) + entries[-24:]
    entries += struct.pack("<HHII", 279, 4, count, heap + 4 * count)
    one = struct.pack("<I", 8)
    return b"II*\0" + struct.pack("<IH", 8, 9) + entries + bytes(4) + one * count * 2


def tiff_in_a_circle(size: int) -> bytes:
    data = bytearray(encoded(photograph(), "TIFF"))
    start = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, start)[0]
    struct.pack_into("<I", data, start + 2 + 12 * count, start)
    return bytes(data) + bytes(size)


def tiff_of_many_pixels(size: int) -> bytes:
    del size
    return encoded(Image.new("RGB", (7000, 7000)), "TIFF", compression="tiff_lzw")


def bmp_of_runs(size: int) -> bytes:
    side = 7000
    runs = b"\x01\x05" * (size // 2)
    head = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(runs), 0, 0, 256, 0)
    start = 14 + len(head) + 1024
    return b"BM" + struct.pack("<IHHI", start + len(runs), 0, 0, start) + head + bytes(1024) + runs


def icon_of_chunks(size: int) -> bytes:
    inside = png_of_chunks(size)
    entry = struct.pack("<BBBBHHII", 64, 48, 0, 0, 1, 32, len(inside), 22)
    return struct.pack("<HHH", 0, 1, 1) + entry + inside


def icon_of_entries(size: int) -> bytes:
    count = min(65535, size // 16)
    entry = struct.pack("<BBBBHHII", 64, 48, 0, 0, 1, 32, 100, 22)
    return struct.pack("<HHH", 0, 1, count) + entry * count


def icns_of_blocks(size: int) -> bytes:
    return b"icns" + struct.pack(">I", size) + b"abcd\0\0\0\x08" * (size // 8)


def ppm_of_comments(size: int) -> bytes:
    return b"P6 #" + b"c" * size + b"\n2 2 255\n" + bytes(12)


def ppm_in_words(size: int) -> bytes:
    side = int((size / 6) ** 0.5)
    return f"P3 {side} {side} 255\n".encode() + b"1 " * (3 * side * side)


def qoi_of_noise(size: int) -> bytes:
    side = min(7000, int(size**0.5))
    return b"qoif" + struct.pack(">IIBB", side, side, 3, 0) + b"\x6a" * side**2 + bytes(7) + b"\x01"


def jpeg_2000_of_boxes(size: int) -> bytes:
    data = encoded(photograph(), "JPEG2000")
    return data[:12] + b"\0\0\0\x08free" * (size // 8) + data[12:]


def jpeg_2000_of_many_pixels(size: int) -> bytes:
    del size
    return encoded(Image.new("RGB", (5000, 5000), "red"), "JPEG2000")


def psd_of_resources(size: int) -> bytes:
    resources = b"8BIM\0\1\0\0\0\0\0\0" * (size // 12)
    head = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 8, 8, 8, 3) + bytes(4)
    return head + struct.pack(">I", len(resources)) + resources + bytes(8) + bytes(2 + 192)


def dds_of_masks(size: int) -> bytes:
    side = min(7000, int((size / 4) ** 0.5))
    head = struct.pack("<7I44x", 124, 0x1007, side, side, 0, 0, 0)
    head += struct.pack("<IIIIIIII", 32, 0x41, 0, 32, 0xFF0000, 0xFF00, 0xFE, 0xFF000000)
    return b"DDS " + head + struct.pack("<5I", 0x1000, 0, 0, 0, 0) + b"\x07" * (4 * side * side)


def webp_of_many_pixels(size: int) -> bytes:
    del size
    return encoded(Image.new("RGB", (7000, 7000), "red"), "WEBP", lossless=True, method=0)


def avif_of_many_pixels(size: int) -> bytes:
    del size
    return encoded(Image.new("RGB", (5000, 5000), "red"), "AVIF", speed=10)


def eps_of_lines(size: int) -> bytes:
    return b"%!PS-Adobe-3.0 EPSF-3.0\n" + b"%a\n" * (size // 3)


def xpm_of_lines(size: int) -> bytes:
    return b"/* XPM */\n" + b'"a",\n' * (size // 5)


def fits_of_cards(size: int) -> bytes:
    return b"SIMPLE  =                    T".ljust(80) + b"COMMENT x".ljust(80) * (size // 80)


def zeros(size: int) -> bytes:
    return bytes(size)


ALL: dict[str, Callable[[int], bytes]] = {
    function.__name__: function
    for function in (
        # fmt: off
        jpeg_of_empty_segments,
        jpeg_of_fill_bytes,
        jpeg_of_junk,
        jpeg_of_exif,
        jpeg_of_passes,
        png_of_chunks,
        png_of_pieces,
        png_of_bombs,
        png_of_many_pixels,
        gif_of_blocks,
        gif_of_comments,
        tiff_of_tags,
        tiff_of_strips,
        tiff_in_a_circle,
        tiff_of_many_pixels,
        bmp_of_runs,
        icon_of_chunks,
        icon_of_entries,
        icns_of_blocks,
        ppm_of_comments,
        ppm_in_words,
        qoi_of_noise,
        jpeg_2000_of_boxes,
        jpeg_2000_of_many_pixels,
        psd_of_resources,
        dds_of_masks,
        webp_of_many_pixels,
        avif_of_many_pixels,
        eps_of_lines,
        xpm_of_lines,
        fits_of_cards,
        zeros,
        # fmt: on
    )
}
"""Each takes about how many bytes it should have."""


def form_of_a_long_header(size: int) -> tuple[str, bytes]:
    """(Content-Type, body)."""
    body = io.BytesIO()
    body.write(b'--x\r\nContent-Disposition: form-data; name="pictures"; filename="')
    body.write(b"a" * size + b'"\r\n\r\n\r\n--x--\r\n')
    return "multipart/form-data; boundary=x", body.getvalue()


def form_of_near_boundaries(size: int) -> tuple[str, bytes]:
    body = b'--xyzxyz\r\nContent-Disposition: form-data; name="pictures"\r\n\r\n'
    body += b"\r\n--xyzxy" * (size // 9) + b"\r\n--xyzxyz--\r\n"
    return "multipart/form-data; boundary=xyzxyz", body


def form_of_blank_lines(size: int) -> tuple[str, bytes]:
    return "multipart/form-data; boundary=x", b"\r\n" * (size // 2)


def form_with_an_epilogue(size: int) -> tuple[str, bytes]:
    body = b'--x\r\nContent-Disposition: form-data; name="pictures"\r\n\r\n\r\n--x--\r\n'
    return "multipart/form-data; boundary=x", body + b"\r\n" * (size // 2)


def form_of_headers(size: int) -> tuple[str, bytes]:
    return "multipart/form-data; boundary=x", b"--x\r\n" + b"a: b\r\n" * (size // 6)


FORMS = (
    form_of_a_long_header,
    form_of_near_boundaries,
    form_of_blank_lines,
    form_with_an_epilogue,
    form_of_headers,
)

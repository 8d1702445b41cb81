"""What a file is, told from its name and its first and last bytes."""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import PurePath

READABLE_SUFFIXES = frozenset(
    """
    .apng .avif .bmp .cur .dds .dib .gif .icns .ico .j2k .jfif .jp2 .jpe .jpeg .jpf .jpg .jpx .mpo
    .pbm .pcx .pfm .pgm .png .pnm .ppm .psd .qoi .sgi .tga .tif .tiff .webp
    """.split()  # noqa: SIM905
)
"""Suffixes of pictures that can be read, in lower case."""

PICTURE_SUFFIXES = READABLE_SUFFIXES | frozenset(
    """
    .3fr .arw .avci .cr2 .cr3 .crw .dcr .dng .eps .erf .fits .gpr .heic .heics .heif .hif .iiq .im
    .jxl .kdc .mef .mos .mrw .nef .nrw .orf .pef .raf .raw .rw2 .rwl .sr2 .srf .srw .svg .wmf .x3f
    .xbm .xpm
    """.split()  # noqa: SIM905
)
"""Files that a search of folders takes for pictures; those that can't be read are reported."""

VIDEO_SUFFIXES = frozenset(
    ".3gp .avi .insv .lrv .m2ts .m4v .mkv .mov .mp4 .mpg .mts .webm".split()  # noqa: SIM905
)
"""What cameras write beside pictures; a search of folders counts and skips them."""

# What people feed to picture tools by mistake: how it begins, and what to say of it.
_NOT_A_PICTURE = (
    (
        (b"<!doctype html", b"<html"),
        "not a picture but a web page; was it saved from a refused download?",
    ),
    (b"<svg", "an SVG drawing, which has no pixels; save it as PNG"),
    (b"<?xml", "not a picture but XML; if it is a drawing, save it as PNG"),
    (b"%pdf", "not a picture but a PDF document; save its pages as PNG"),
    (b"pk\x03\x04", "not a picture but a zip archive; unpack it"),
    (b"par1", "not a picture but a Parquet table"),
    (b"version https://git-lfs", "a Git LFS pointer, not the picture itself; run git lfs pull"),
)

_TEXT = re.compile(rb"[\t\r\n\x20-\x7e]+")

_HEIF_BRANDS = frozenset([b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1"])

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    ((b"GIF87a", b"GIF89a"), "GIF"),
    (b"BM", "BMP"),
    ((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "TIFF"),
    (b"8BPS", "PSD"),
    ((b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"), "JPEG2000"),
    (b"\0\0\1\0", "ICO"),
    (b"icns", "ICNS"),
    (b"qoif", "QOI"),
    (b"DDS ", "DDS"),
    (b"\x01\xda", "SGI"),
)
_NETPBM = re.compile(rb"P[1-6f][\s#]")
_PCX = re.compile(rb"\n[\x00\x02\x03\x05]\x01[\x01\x02\x04\x08]")
_DIB_HEADER_SIZES = frozenset([12, 16, 40, 52, 56, 64, 108, 124])
_TGA_TYPES = frozenset([1, 2, 3, 9, 10, 11])
_TGA_DEPTHS = frozenset([1, 8, 16, 24, 32])

# Drawings, which Pillow would hand to Ghostscript or to Windows.
_DRAWINGS = (
    ((b"%!PS", b"\xc5\xd0\xd3\xc6"), "an EPS drawing"),
    ((b"\xd7\xcd\xc6\x9a", b"\x01\0\0\0"), "a WMF or EMF drawing"),
)
_SPOKEN = {"JPEG2000": "JPEG 2000", "WEBP": "WebP"}

_PNG_END = b"IEND\xaeB`\x82"  # the last chunk's name and checksum, the same in every file
_PNG_SIZE = re.compile(rb"\x89PNG\r\n\x1a\n....IHDR(.{8})", re.DOTALL)
_JPEG_2000_SIZE = re.compile(rb"ihdr(.{8})", re.DOTALL)


def is_picture_name(path: str | PurePath) -> bool:
    """Whether a file name is that of a picture, readable or not."""
    return PurePath(path).suffix.lower() in PICTURE_SUFFIXES


def format_of(data: bytes) -> str | None:
    """Pillow's name of a file's format, by its first 64 bytes; None for what is not read.

    Pillow itself would ask every format that it knows, some of which parse a whole file in
    Python before they find that it is none of theirs.
    """
    for starts, name in _SIGNATURES:
        if data.startswith(starts):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        return "AVIF" if _is_avif(data) else None
    if _NETPBM.match(data):
        return "PPM"
    if _PCX.match(data):
        return "PCX"
    if len(data) < 18:
        return None
    if data[:4] == b"\0\0\2\0" and data[4:6] != b"\0\0":  # else a TGA
        return "CUR"
    size, _, _, planes = struct.unpack_from("<IiiH", data)
    if size in _DIB_HEADER_SIZES and planes == 1:
        return "DIB"
    return "TGA" if _is_tga(data) else None


def _is_avif(data: bytes) -> bool:
    """Whether an ISO media file says that it is AVIF, as its main brand or another."""
    end = min(struct.unpack_from(">I", data)[0], 256)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}
    return bool(brands & {b"avif", b"avis"})


def _is_tga(data: bytes) -> bool:
    """TGA has no mark at its beginning, so every field of its header has to make sense."""
    colours, kind, depth = data[1], data[2], data[16]
    width, height = struct.unpack_from("<HH", data, 12)
    return (
        colours == (kind & 7 == 1)
        and kind in _TGA_TYPES
        and depth in _TGA_DEPTHS
        and bool(width and height)
        and data[17] & 0xC0 == 0
    )


def why_unknown(data: bytes) -> str:
    """What a file is that no reader takes, by its first 64 bytes."""
    if not data:
        return "the file is empty"
    beginning = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for starts, reason in _NOT_A_PICTURE:
        if beginning.startswith(starts):
            return reason
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return "a HEIC picture, which can't be read here; save it as JPEG"
    for starts, what in _DRAWINGS:
        if data.startswith(starts):
            return f"{what}, which has no pixels; save it as PNG"
    if looks_like := format_of(data):
        spoken = _SPOKEN.get(looks_like, looks_like)
        return f"damaged or cut short: it begins as a {spoken} but can't be opened"
    if not any(data[:64]):
        return "not a picture: it begins with zeros; was its copying interrupted?"
    if _TEXT.fullmatch(data[:1024]):
        return "not a picture but text"
    return "not a picture: it is of no format that can be read"


def ends_whole(data: bytes, format: str) -> bool:
    """Whether a JPEG ends in its mark, or the checksum of every chunk of a PNG is right.

    False means "can't tell from here": something may be appended.
    """
    if format == "JPEG":
        return data.endswith(b"\xff\xd9")
    if format != "PNG" or not data.endswith(_PNG_END):
        return False
    at = 8
    view = memoryview(data)
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(view[at : at + 4])
        if zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4]):
            return False
        at = end + 4
    return at == len(data)


def sizes_in_icon(data: bytes) -> list[tuple[int, int]]:
    """(width, height) of the PNG and JPEG 2000 pictures inside an ICO, CUR or ICNS file.

    What such a file itself says of sizes need not be true. Empty for other files.
    """
    if not data.startswith((b"\0\0\1\0", b"\0\0\2\0", b"icns")):
        return []
    # A PNG's header chunk has width, then height; a JPEG 2000's has height first.
    wide_first = [struct.unpack(">II", match[1]) for match in _PNG_SIZE.finditer(data)]
    high_first = [struct.unpack(">II", match[1]) for match in _JPEG_2000_SIZE.finditer(data)]
    return wide_first + [(width, height) for height, width in high_first]

"""The names of the members of a zip archive, whatever system wrote it.

The format wants UTF-8 with a flag, or code page 437 (APPNOTE, appendix D). Many archivers write
their system's own encoding without a word, and some put backslashes between folders.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator

_IS_UTF8 = 0x800  # bit of the general purpose flag (APPNOTE, 4.4.4)
_UNICODE_PATH = 0x7075  # an extra field (APPNOTE, 4.6.9)
_ASSUMED = "cp437"  # what zipfile decodes names without the flag by

_JAPANESE = re.compile(r"[\x20-\x7e\u3000-\u30ff\u4e00-\u9fff\uff01-\uff60]*")
_ONE_AFTER_A_LETTER = re.compile(
    r"[a-z][\u4e00-\u9fff](?![\u3000-\u30ff\u4e00-\u9fff])", re.IGNORECASE
)


def named_members(archive: zipfile.ZipFile) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    """Every member with its name, with slashes between folders.

    Where two have the same name, the later one counts, as when an archive is unpacked.
    """
    members = archive.infolist()
    encoding = _encoding([_raw(member) for member in members if not member.flag_bits & _IS_UTF8])
    for member in members:
        yield _name(member, encoding).replace("\\", "/"), member


def _name(member: zipfile.ZipInfo, encoding: str) -> str:
    if unicode_path := _unicode_path(member):
        return unicode_path
    if member.flag_bits & _IS_UTF8 or encoding == _ASSUMED:
        return member.filename
    return _raw(member).decode(encoding)


def _raw(member: zipfile.ZipInfo) -> bytes:
    """The bytes of a name; empty for one that zipfile did not decode as it says."""
    try:
        return member.orig_filename.partition("\0")[0].encode(_ASSUMED)
    except UnicodeEncodeError:
        return b""


def _encoding(names: list[bytes]) -> str:
    """What names without the flag are written in: UTF-8, Shift JIS or code page 437."""
    odd = [name for name in names if not name.isascii()]
    for encoding in ("utf-8", "cp932") if odd else ():
        try:
            read = [name.decode(encoding) for name in odd]
        except UnicodeDecodeError:
            continue
        # Letters with accents make Japanese as well, but not such as anybody writes.
        if encoding == "utf-8" or all(
            _JAPANESE.fullmatch(name) and not _ONE_AFTER_A_LETTER.search(name) for name in read
        ):
            return encoding
    return _ASSUMED


def looks_misread(name: str) -> bool:
    """Whether a name has lines and blocks of code page 437: it is in some unstated encoding."""
    return any("\u2500" <= letter <= "\u259f" for letter in name)


def _unicode_path(member: zipfile.ZipInfo) -> str:
    """The name that Info-ZIP adds in UTF-8, if it belongs to this member."""
    extra = member.extra
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind != _UNICODE_PATH or len(field) <= 5 or field[0] != 1:
            continue
        if struct.unpack_from("<I", field, 1)[0] == zlib.crc32(_raw(member)):
            return field[5:].decode("utf-8", "replace")
    return ""

r"""Names of files and labels as text, whatever system wrote them.

A file name on Linux is any bytes. Python holds a byte that is not UTF-8 as a lone surrogate
(PEP 383: byte E4 becomes U+DCE4), which no UTF-8 file can hold. In every table, page and log
pawsure writes it as JSON does, `\udce4`, and reads that back as the byte.
"""

from __future__ import annotations

import os
import re
import unicodedata
from functools import lru_cache
from pathlib import Path

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_BYTE_AS_TEXT = re.compile(r"\\udc([89a-f][0-9a-f])")
_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # surrogates that stand for no byte


def as_text(name: str) -> str:
    r"""A name as valid Unicode, from which `from_text` gives the name back.

    Example:
        >>> as_text("k\udce4tze.jpg")
        'k\\udce4tze.jpg'
    """
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode()


def from_text(text: str) -> str:
    """The name that `as_text` wrote, as the file system has it."""
    if "\\udc" not in text:
        return text
    return _BYTE_AS_TEXT.sub(lambda match: chr(0xDC00 + int(match[1], 16)), text)


def native_path(path: str | Path) -> str | bytes:
    """What ONNX Runtime takes, which opens no path that is not UTF-8: a path or a file's bytes."""
    path = os.fspath(path)
    return path if as_text(path) == path else Path(path).read_bytes()


def readable(name: str) -> str:
    r"""A name with bytes that are not UTF-8 read as Windows-1252, which they nearly always are.

    Example:
        >>> readable("k\udce4tze")
        'kätze'
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        data = name.encode("utf-8", "replace") if _NO_BYTE.search(name) else os.fsencode(name)
        try:
            return data.decode("cp1252")
        except UnicodeDecodeError:
            return data.decode("latin-1")
    return name


@lru_cache(maxsize=4096)  # a few names, of as many pictures as there are
def as_label(name: str) -> str:
    """A label as it is compared: as people read it, wherever it was written.

    Letters with accents are one character each (Macs take them apart). Blanks around the name
    do not count; line breaks and other control characters are blanks.
    """
    name = unicodedata.normalize("NFC", readable(name))
    return " ".join(_CONTROL.sub(" ", name).split())

"""Checksums: in small JSON files, and of the files of a folder.

A JSON file holds its CRC-32 under "crc32", and must be exactly as `write_checked_json` writes it.
A folder may hold `CHECKSUMS`, the SHA-256 of files in it, as `sha256sum -c` reads it too.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pawsure.data.files import atomic_path

CHECKSUMS = "checksums.sha256"

_CRC = "crc32"


def write_checked_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object with its checksum, whole or not at all.

    Args:
        path: of the file; its folder is created.
        content: JSON-ready, without a key "crc32".
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_bytes(_with_crc(content))


def read_checked_json(path: Path) -> dict[str, Any] | None:
    """A JSON object that `write_checked_json` wrote; None if it is missing or damaged."""
    try:
        raw = path.read_bytes()
        content = json.loads(raw)
        content.pop(_CRC)
    except (OSError, ValueError, LookupError, AttributeError, TypeError, RecursionError):
        return None
    return content if _with_crc(content) == raw else None


def _with_crc(content: Mapping[str, Any]) -> bytes:
    plain = json.dumps(content, ensure_ascii=True).encode()
    return json.dumps({**content, _CRC: f"{zlib.crc32(plain):08x}"}).encode() + b"\n"


def write_checksums(folder: Path, names: Iterable[str]) -> None:
    """Record the SHA-256 of files of a folder, by name; records of others stay."""
    recorded = _recorded(folder) | {name: _sha256(folder / name) for name in names}
    with atomic_path(folder / CHECKSUMS) as temporary:
        lines = (f"{digest}  {name}\n" for name, digest in sorted(recorded.items()))
        temporary.write_text("".join(lines), encoding="utf-8")


def is_unchanged(path: Path) -> bool:
    """Whether a file has the checksum that its folder records, or none is recorded."""
    recorded = _recorded(path.parent)
    try:
        return path.name not in recorded or recorded[path.name] == _sha256(path)
    except OSError:
        return False


def _recorded(folder: Path) -> dict[str, str]:
    """SHA-256 by name."""
    try:
        lines = (folder / CHECKSUMS).read_bytes().decode("utf-8", "replace").splitlines()
    except OSError:
        return {}
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

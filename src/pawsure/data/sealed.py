"""Small JSON files and whole folders that know their own checksums.

A JSON file holds its CRC-32 under "crc32", and has to be written exactly as `write_sealed` would.
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


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object with its checksum, whole or not at all.

    Args:
        path: of the file; its folder is made.
        content: JSON-ready, without a key "crc32".
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_bytes(_sealed(content))


def read_sealed(path: Path) -> dict[str, Any] | None:
    """A JSON object that `write_sealed` wrote; None if it is not there, or damaged."""
    try:
        raw = path.read_bytes()
        content = json.loads(raw)
        content.pop(_CRC)
    except (OSError, ValueError, LookupError, AttributeError, TypeError, RecursionError):
        return None
    return content if _sealed(content) == raw else None


def _sealed(content: Mapping[str, Any]) -> bytes:
    plain = json.dumps(content, ensure_ascii=True).encode()
    return json.dumps({**content, _CRC: f"{zlib.crc32(plain):08x}"}).encode() + b"\n"


def write_checksums(folder: Path, names: Iterable[str]) -> None:
    """Note what files of a folder hold now; what is noted of others stays.

    Args:
        folder: that holds them.
        names: of the files, relative to the folder.
    """
    noted = _noted(folder)
    for name in names:
        noted[name] = _sha256(folder / name)
    with atomic_path(folder / CHECKSUMS) as temporary:
        lines = (f"{digest}  {name}\n" for name, digest in sorted(noted.items()))
        temporary.write_text("".join(lines), encoding="utf-8")


def is_as_noted(path: Path) -> bool:
    """Whether a file holds what was noted when it was written, or nothing was noted of it."""
    noted = _noted(path.parent)
    try:
        return path.name not in noted or noted[path.name] == _sha256(path)
    except OSError:
        return False


def _noted(folder: Path) -> dict[str, str]:
    """SHA-256 by name; empty if nothing was ever noted."""
    try:
        lines = (folder / CHECKSUMS).read_bytes().decode("utf-8", "replace").splitlines()
    except OSError:
        return {}
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

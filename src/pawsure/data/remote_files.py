"""Published files, and which local copies are known to equal them byte for byte."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pawsure.data.disk_space import disk_errors
from pawsure.data.files import atomic_path
from pawsure.errors import DownloadError
from pawsure.progress import NO_PROGRESS, Progress

_BLOCK = 1_000_000  # bytes; the unit of progress
_USE_AS_IT_IS = "To use it all the same, name it as DATA."


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file as it was published.

    Attributes:
        name: of the file, without folders.
        urls: http or https, in the order to try them.
        num_bytes: its size.
        sha256: its checksum, in hex.
    """

    name: str
    urls: Sequence[str]
    num_bytes: int
    sha256: str

    def __str__(self) -> str:
        """The name; what messages call it."""
        return self.name


def is_verified(path: Path, file: RemoteFile) -> bool:
    """Whether `verify` has passed, and size and modification time are the same since.

    Hashing 800 MB again would cost seconds each time.
    """
    try:
        return bool(json.loads(_record(path).read_bytes()) == _state(path, file))
    except (OSError, ValueError):
        return False


def verify(path: Path, file: RemoteFile, *, progress: Progress = NO_PROGRESS) -> None:
    """Make sure that a file is the published one, and record it.

    Raises:
        DownloadError: it is not, or can't be read.
    """
    with disk_errors(path):
        num_bytes = path.stat().st_size
        if num_bytes != file.num_bytes:
            raise DownloadError(
                f"{path} has {num_bytes:,} bytes; the published {file} has {file.num_bytes:,}. "
                f"Remove it to download the file. {_USE_AS_IT_IS}"
            )
        if (found := sha256_of(path, progress=progress)) != file.sha256:
            raise DownloadError(
                f"{path} is not the published {file}: its SHA-256 is {found}, not {file.sha256}. "
                f"Remove it to download the file. {_USE_AS_IT_IS}"
            )
    mark_verified(path, file)


def mark_verified(path: Path, file: RemoteFile) -> None:
    """Record that a file is the published one; not where the folder can't be written."""
    with suppress(OSError), atomic_path(_record(path)) as temporary:
        temporary.write_text(json.dumps(_state(path, file)))


def remove(path: Path) -> None:
    """Remove a file and its record, if they exist."""
    _record(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def sha256_of(path: Path, *, progress: Progress = NO_PROGRESS) -> str:
    """SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    progress.start(f"Checking {path.name}", -(-path.stat().st_size // _BLOCK), "MB")
    try:
        with open(path, "rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                progress.advance()
    finally:
        progress.finish()
    return digest.hexdigest()


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}.checked")


def _state(path: Path, file: RemoteFile) -> dict[str, str | int]:
    status = path.stat()
    return {"sha256": file.sha256, "num_bytes": status.st_size, "changed_ns": status.st_mtime_ns}

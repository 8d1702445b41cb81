"""Which files are known to be, byte for byte, what was published."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pawsure.data.files import atomic_path
from pawsure.data.room import writing
from pawsure.errors import DownloadError
from pawsure.progress import NO_PROGRESS, Progress

_BLOCK = 1_000_000  # bytes; the unit of progress


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file as it was published.

    Attributes:
        name: of the file, without folders.
        urls: where it can be had, the best first; http or https.
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


def has_receipt(path: Path, file: RemoteFile) -> bool:
    """Whether a file was found to be what was published, and has not been changed since.

    That its size and time of change are the same is taken for proof of the latter: hashing
    800 MB anew would cost seconds each time.
    """
    try:
        told = json.loads(_receipt(path).read_bytes())
    except (OSError, ValueError):
        return False
    return told == _facts(path, file)


def check(path: Path, file: RemoteFile, *, progress: Progress = NO_PROGRESS) -> None:
    """Make sure that a file is what was published, and note that it is.

    Raises:
        DownloadError: it is not, or can't be read.
    """
    with writing(path):
        num_bytes = path.stat().st_size
    if num_bytes != file.num_bytes:
        raise DownloadError(
            f"{path} has {num_bytes:,} bytes; what was published as {file} has "
            f"{file.num_bytes:,}. Remove it to have it fetched. {_IF_TRUSTED}"
        )
    if (found := sha256_of(path, progress=progress)) != file.sha256:
        raise DownloadError(
            f"{path} is not what was published as {file}: its SHA-256 is {found}, and should "
            f"be {file.sha256}. Remove it to have it fetched. {_IF_TRUSTED}"
        )
    write_receipt(path, file)


def write_receipt(path: Path, file: RemoteFile) -> None:
    """Note that a file is what was published; where that can't be written, it is not noted."""
    with suppress(OSError), atomic_path(_receipt(path)) as temporary:
        temporary.write_text(json.dumps(_facts(path, file)))


def remove(path: Path) -> None:
    """Remove a file and its receipt, if they exist."""
    with writing(path):
        _receipt(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def sha256_of(path: Path, *, progress: Progress = NO_PROGRESS) -> str:
    """SHA-256 of a file, in hex.

    Raises:
        DownloadError: it can't be read.
    """
    digest = hashlib.sha256()
    with writing(path), open(path, "rb") as file:
        progress.start(f"Checking {path.name}", -(-path.stat().st_size // _BLOCK), "MB")
        try:
            while block := file.read(_BLOCK):
                digest.update(block)
                progress.advance()
        finally:
            progress.finish()
    return digest.hexdigest()


def _receipt(path: Path) -> Path:
    return path.with_name(f"{path.name}.checked")


def _facts(path: Path, file: RemoteFile) -> dict[str, str | int]:
    status = path.stat()
    return {"sha256": file.sha256, "num_bytes": status.st_size, "changed_ns": status.st_mtime_ns}


_IF_TRUSTED = "If it is what you want all the same, name it as DATA."

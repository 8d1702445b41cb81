"""Tar archives, unpacked without trusting what they say.

Their SHA-256 is checked first (`pawsure.data.remote_files`), so this only guards against mistakes
and attacks of a publisher. `tarfile.data_filter` (PEP 706) would not do: it lets links through,
and Python 3.11.2, which Debian 12 has, lacks it.
"""

from __future__ import annotations

import re
import shutil
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO

from pawsure.data.disk_space import disk_errors
from pawsure.errors import DownloadError
from pawsure.progress import NO_PROGRESS, Progress

_BLOCK = 1 << 20
_MB = 1_000_000
_MAX_GROWTH = 100  # photographs hardly shrink, text seldom tenfold
_HARMLESS_BYTES = 64_000_000  # below which no growth is too much
# Colons and backslashes lead out of a folder on Windows; control characters only deceive.
_ODD = re.compile(r"[\\:\x00-\x1f\x7f]")


def unpack_tar(
    archive: Path,
    into: Path,
    *,
    wanted: Callable[[str], bool],
    max_bytes: int = 4_000_000_000,
    progress: Progress = NO_PROGRESS,
) -> int:
    """Unpack the wanted files of a tar archive, compressed or not.

    Args:
        archive: the file.
        into: a folder without links that lead out of it.
        wanted: whether to write a file, by its name, such as "images/cat_1.jpg".
        max_bytes: of everything, unpacked.
        progress: told of every megabyte of the archive.

    Returns:
        How many files were written. After an error, some may lie there: unpack into a folder
        that is then thrown away (`pawsure.data.files.atomic_folder`).

    Raises:
        DownloadError: the archive is damaged or cut short, is too large, holds a link, a device,
            a name that leads out of the folder or a name twice, or a file can't be written.
    """
    num_files = num_bytes = shown = 0
    try:
        with open(archive, "rb") as packed, tarfile.open(fileobj=packed) as tar:
            packed_bytes = archive.stat().st_size
            max_bytes = min(max_bytes, max(_HARMLESS_BYTES, _MAX_GROWTH * packed_bytes))
            progress.start(f"Unpacking {archive.name}", packed_bytes // _MB, "MB")
            for member in tar:
                name = _checked_name(member)
                num_bytes += tarfile.BLOCKSIZE + member.size
                if member.size < 0 or num_bytes > max_bytes:
                    raise _UnsafeError(f"unpacks to more than {max_bytes:,} bytes")
                content = tar.extractfile(member)
                if content and wanted(name):
                    _write(content, into / name, name)
                    num_files += 1
                progress.advance(packed.tell() // _MB - shown)
                shown = packed.tell() // _MB
            _check_end(tar)
    except _UnsafeError as exc:
        raise DownloadError(
            f"{archive} {exc}. Such an archive is not unpacked; nothing of it was kept."
        ) from exc
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as exc:
        raise DownloadError(
            f"{archive} can't be unpacked ({str(exc).partition(':')[0]}). It is damaged or was "
            "cut short: remove it to download it again."
        ) from exc
    finally:
        progress.finish()
    return num_files


class _UnsafeError(Exception):
    """What an archive does that it should not; the words follow its name."""


def _checked_name(member: tarfile.TarInfo) -> str:
    if not (member.isreg() or member.isdir()) or member.issparse():
        kind = "a link" if member.issym() or member.islnk() else "neither a file nor a folder"
        raise _UnsafeError(f"holds {member.name!r}, which is {kind}")
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or _ODD.search(member.name):
        raise _UnsafeError(f"holds {member.name!r}, a name that might lead out of its folder")
    return str(path)


def _write(content: IO[bytes], path: Path, name: str) -> None:
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = open(path, "xb")  # noqa: SIM115 (closed below)
        except FileExistsError as exc:
            raise _UnsafeError(f"holds {name!r} twice") from exc
        with file:
            shutil.copyfileobj(content, file)


def _check_end(tar: tarfile.TarFile) -> None:
    """Read on to the end, where gzip has its checksum.

    tarfile takes a damaged or missing header for the end; after the true end there are only zeros.
    """
    rest = tar.fileobj.read(_BLOCK)
    if not rest or rest.strip(b"\0"):
        raise tarfile.ReadError("a header is damaged or missing")
    if tar.fileobj.read(1):
        raise _UnsafeError("goes on after its end")

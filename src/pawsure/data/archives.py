"""Tar archives unpacked without trust in what they say.

Python's own filter (`tarfile.data_filter`, PEP 706) keeps members inside a folder, but it lets
links through, and says nothing of how many members there are or how large they get. Here only
plain files are written, only those that are asked for, and never over another.
"""

from __future__ import annotations

import gzip
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pawsure.data.room import writing
from pawsure.errors import DownloadError
from pawsure.progress import NO_PROGRESS, Progress

_BLOCK = 1 << 20
_MB = 1_000_000
_GZIP = b"\x1f\x8b"  # RFC 1952, 2.3.1
_LONGEST_NAME = 1 << 16  # bytes of the members that only hold the name of the next one


@dataclass(frozen=True, kw_only=True)
class UnpackLimits:
    """What an archive may hold.

    Attributes:
        members: of any kind, those that are not wanted included.
        num_bytes: unpacked, of everything.
        file_bytes: of one wanted file.
        growth: unpacked against packed; photographs hardly shrink, text seldom tenfold.
        harmless_bytes: unpacked, below which no growth is too much.
    """

    members: int = 100_000
    num_bytes: int = 4_000_000_000
    file_bytes: int = 200_000_000
    growth: int = 100
    harmless_bytes: int = 64_000_000


DEFAULT_UNPACK_LIMITS = UnpackLimits()


def unpack_tar(
    archive: Path,
    into: Path,
    *,
    wanted: Callable[[str], bool],
    limits: UnpackLimits = DEFAULT_UNPACK_LIMITS,
    progress: Progress = NO_PROGRESS,
) -> int:
    """Unpack the wanted files of a tar archive, packed by gzip or not.

    Args:
        archive: to be unpacked.
        into: a folder that holds nothing that is not to be trusted: no links that lead out.
        wanted: tells by its name, such as "images/cat_1.jpg", whether a file is to be written.
        limits: that the archive must keep.
        progress: told of every megabyte of the archive.

    Returns:
        How many files were written. After an error, some may lie there: unpack into a folder
        that is thrown away then (`pawsure.data.files.atomic_folder`).

    Raises:
        DownloadError: the archive is damaged or cut short, exceeds a limit, holds a link, a
            device, a name that leads out of the folder or one name twice, or can't be written.
    """
    written = 0
    with _reading(archive), open(archive, "rb") as packed:
        unpacked = _Unpacked(packed, archive, limits, progress)
        try:
            for number, member in enumerate(_members(unpacked), 1):
                if number > limits.members:
                    raise _Unsafe(f"holds more than {limits.members:,} members")
                written += _unpack_one(member, into, wanted, limits)
            unpacked.drain()
        except _Unsafe as exc:
            raise DownloadError(
                f"{archive} {exc}. Such an archive is not unpacked; nothing of it was kept."
            ) from exc
        finally:
            progress.finish()
    return written


class _Unsafe(Exception):
    """What an archive does that it should not; the words follow its name."""


@dataclass(frozen=True, slots=True)
class _Member:
    """One member of an archive, and its bytes if it is a plain file."""

    info: tarfile.TarInfo
    content: IO[bytes] | None


class _Header(tarfile.TarInfo):
    """Refuses names that would take all memory, since tarfile reads them as a whole."""

    _NAMES = (
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    )

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        """As that of tarfile."""
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise  # the mark of the end
        except tarfile.HeaderError as exc:
            # tarfile takes a damaged or missing header for the end, so that what follows would
            # be lost without a word.
            raise tarfile.ReadError(str(exc)) from exc
        if header.type in cls._NAMES and header.size > _LONGEST_NAME:
            raise _Unsafe(f"holds a name of {header.size:,} bytes")
        return header


class _Unpacked:
    """The bytes of an archive once unpacked, counted against its limits."""

    def __init__(
        self, packed: IO[bytes], archive: Path, limits: UnpackLimits, progress: Progress
    ) -> None:
        self._packed = packed
        self._limits = limits
        self._progress = progress
        self._num_bytes = 0
        self._shown = 0
        is_gzip = packed.read(len(_GZIP)) == _GZIP
        packed.seek(0)
        self._stream: IO[bytes] = gzip.GzipFile(fileobj=packed) if is_gzip else packed  # type: ignore[assignment]
        progress.start(f"Unpacking {archive.name}", archive.stat().st_size // _MB, "MB")

    def read(self, size: int) -> bytes:
        block = self._stream.read(min(size, _BLOCK))
        self._num_bytes += len(block)
        self._check()
        self._show()
        return block

    def drain(self) -> None:
        """Read to the end, where gzip has its checksum."""
        while self.read(_BLOCK):
            pass

    def _check(self) -> None:
        limits = self._limits
        if self._num_bytes > limits.num_bytes:
            raise _Unsafe(f"unpacks to more than {limits.num_bytes:,} bytes")
        most = max(limits.harmless_bytes, limits.growth * self._packed.tell())
        if self._num_bytes > most:
            raise _Unsafe(f"unpacks to more than {limits.growth} times its size")

    def _show(self) -> None:
        megabytes = self._packed.tell() // _MB
        if megabytes > self._shown:
            self._progress.advance(megabytes - self._shown)
            self._shown = megabytes


def _members(unpacked: _Unpacked) -> Iterator[_Member]:
    with tarfile.open(fileobj=unpacked, mode="r|", tarinfo=_Header) as archive:  # type: ignore[call-overload]
        for info in archive:
            plain = info.isreg() and not info.issparse()
            yield _Member(info, archive.extractfile(info) if plain else None)
            archive.members.clear()  # or tarfile would keep them all


def _unpack_one(
    member: _Member, into: Path, wanted: Callable[[str], bool], limits: UnpackLimits
) -> int:
    name = _safe_name(member.info)
    if member.content is None or not wanted(name):
        return 0
    if not 0 <= member.info.size <= limits.file_bytes:
        raise _Unsafe(
            f"holds {name!r} of {member.info.size:,} bytes; the limit is {limits.file_bytes:,}"
        )
    _write(member.content, member.info.size, into / name, name)
    return 1


def _safe_name(info: tarfile.TarInfo) -> str:
    """The name of a file or folder that stays where it should."""
    if not (info.isreg() or info.isdir()) or info.issparse():
        kind = "a link" if info.issym() or info.islnk() else "neither a file nor a folder"
        raise _Unsafe(f"holds {info.name!r}, which is {kind}")
    parts = info.name.split("/")
    # Colons and backslashes lead out on Windows; control characters only deceive.
    odd = any(character in "\\:\x7f" or character < " " for character in info.name)
    if odd or info.name.startswith("/") or ".." in parts:
        raise _Unsafe(f"holds {info.name!r}, a name that might lead out of its folder")
    return "/".join(part for part in parts if part not in ("", "."))


def _write(content: IO[bytes], num_bytes: int, path: Path, name: str) -> None:
    left = num_bytes
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _AS_IT_IS, 0o666)
        except FileExistsError as exc:
            raise _Unsafe(f"holds {name!r} twice") from exc
    with open(descriptor, "wb") as file:
        while left:
            block = content.read(min(_BLOCK, left))
            if not block:
                raise tarfile.ReadError(f"{name} is cut short")
            left -= len(block)
            with writing(path):
                file.write(block)


_AS_IT_IS = getattr(os, "O_BINARY", 0)  # Windows would change the ends of lines


@contextmanager
def _reading(archive: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as exc:
        raise DownloadError(
            f"{archive} can't be unpacked ({exc}). It is damaged or was cut short: remove it to "
            "have it fetched anew."
        ) from exc

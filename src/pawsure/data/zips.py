"""Pictures straight out of a zip archive; nothing is ever unpacked to disk."""

from __future__ import annotations

import threading
import zipfile
from pathlib import Path

from pawsure.data.formats import is_hidden, is_picture_name
from pawsure.data.images import Limits, read_stream
from pawsure.data.layouts import labelled
from pawsure.errors import PictureError, SourceError

# Pictures hardly get smaller by zipping, so a hundredfold is no archive of photographs;
# below a gigabyte it can't hurt.
_MOST_GROWTH = 100
_HARMLESS_BYTES = 1 << 30

_ENCRYPTED = 0x1  # bit of the general purpose flag (PKWARE APPNOTE, 4.4.4)


class ZipSource:
    """A zip archive of labelled pictures, in any of the layouts of folders.

    Args:
        path: of the archive.
        limits: that its pictures must keep.
        name: what the user called it; the path by default.

    Raises:
        SourceError: it is no archive, damaged, holds no labelled pictures, or would grow
            beyond any measure.
    """

    kind = "zip"
    folder = None

    def __init__(self, path: Path, *, limits: Limits, name: str | None = None) -> None:
        self.name = name or str(path)
        self._limits = limits
        self._archive = _opened(path)
        self._lock = threading.Lock()
        self._members = {
            member.filename: member
            for member in self._archive.infolist()
            if _is_picture(member.filename)
        }
        _check_growth(path, sum(member.file_size for member in self._members.values()))
        self.entries = labelled(self._members, where=self.name)

    def read(self, path: str) -> bytes:
        """The bytes of one picture; safe to call from many threads.

        Raises:
            PictureError: it is missing, encrypted, damaged or too large.
        """
        try:
            return self._read(self._members[path])
        except KeyError as exc:
            raise PictureError("there is no such file in the archive", name=path) from exc
        except PictureError as exc:
            raise PictureError(exc.reason, name=path) from exc
        # Each of the packing methods has an error class of its own.
        except Exception as exc:
            raise PictureError(f"damaged inside the archive: {exc}", name=path) from exc

    def _read(self, member: zipfile.ZipInfo) -> bytes:
        if member.flag_bits & _ENCRYPTED:
            raise PictureError("encrypted inside the archive; unpack it with its password")
        # ZipFile counts its open members without a lock; reading them it does with one.
        with self._lock:
            file = self._archive.open(member)
        try:
            return read_stream(file, limits=self._limits, num_bytes=member.file_size)
        finally:
            with self._lock:
                file.close()


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as exc:
        raise SourceError(
            f"{path} can't be opened as a zip archive ({exc}). It is damaged or was cut short; "
            "copy or fetch it anew."
        ) from exc


def _is_picture(name: str) -> bool:
    return is_picture_name(name) and not any(map(is_hidden, name.split("/")))


def _check_growth(path: Path, unpacked: int) -> None:
    packed = path.stat().st_size
    if unpacked > max(_HARMLESS_BYTES, _MOST_GROWTH * packed):
        raise SourceError(
            f"{path} claims to hold {unpacked:,} bytes of pictures in {packed:,}: more than "
            f"{_MOST_GROWTH} times as much, which no photographs do. Unpack it if you trust it, "
            "and name the folder."
        )

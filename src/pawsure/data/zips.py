"""Pictures read from a zip archive; nothing is unpacked to disk."""

from __future__ import annotations

import re
import threading
import zipfile
from collections.abc import Iterable
from pathlib import Path

from pawsure.data.file_names import as_text
from pawsure.data.formats import is_picture_name
from pawsure.data.ignored import first_ignored, is_hidden
from pawsure.data.images import Limits, read_stream
from pawsure.data.layouts import labelled
from pawsure.data.skipped import Skipped
from pawsure.data.zip_names import looks_misread, named_members
from pawsure.errors import PictureError, SourceError

_MAX_GROWTH = 100  # photographs hardly get smaller by zipping
_HARMLESS_BYTES = 1 << 30

_ENCRYPTED = 0x1  # bit of the general purpose flag (PKWARE APPNOTE, 4.4.4)


class ZipSource:
    """A zip archive of labelled pictures, in any of the layouts of folders.

    Args:
        path: of the archive.
        limits: for its pictures.
        name: what the user called it; the path by default.
        labels: the level of `pawsure.data.layouts.labelled`.

    Raises:
        SourceError: it is no archive, is damaged, holds no labelled pictures, claims to unpack to
            a hundred times its size, or several folders could name the label.
    """

    kind = "zip"
    folder = None

    def __init__(
        self, path: Path, *, limits: Limits, name: str | None = None, labels: str | None = None
    ) -> None:
        self.name = name or as_text(str(path))
        self._limits = limits
        self._lock = threading.Lock()
        try:
            self._archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as exc:
            raise SourceError(
                f"{path} can't be opened as a zip archive ({exc}). It is damaged or was cut short; "
                "copy or download it again."
            ) from exc
        skipped = Skipped()
        self._members = _pictures(named_members(self._archive), skipped)
        packed, unpacked = path.stat().st_size, sum(m.file_size for m in self._members.values())
        if unpacked > max(_HARMLESS_BYTES, _MAX_GROWTH * packed):
            raise SourceError(
                f"{path} claims to hold {unpacked:,} bytes of pictures in {packed:,}: more than "
                f"{_MAX_GROWTH} times as much, as no photographs do. Unpack it if you trust it, "
                "and name the folder."
            )
        if misread := next(filter(looks_misread, self._members), ""):
            skipped.notes.append(
                f"Names in {self.name} are in an encoding that it does not state, and come out as "
                f"'{as_text(misread)}'. Unpack it with the program that packed it."
            )
        self.entries = labelled(self._members, where=self.name, level=labels, skipped=skipped)
        self.notes = skipped.sentences()

    def read(self, path: str) -> bytes:
        """See `pawsure.data.entries.Source.read`."""
        try:
            return self._read(self._members[path])
        except KeyError as exc:
            raise PictureError("there is no such file in the archive", name=path) from exc
        except PictureError as exc:
            raise PictureError(exc.reason, name=path) from exc
        except NotImplementedError as exc:
            reason = "compressed by a method that can't be read; compress it with another tool"
            raise PictureError(reason, name=path) from exc
        # Each of the compression methods has an error class of its own.
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


def _pictures(
    members: Iterable[tuple[str, zipfile.ZipInfo]], skipped: Skipped
) -> dict[str, zipfile.ZipInfo]:
    """Those that are named as pictures, by their names."""
    pictures: dict[str, zipfile.ZipInfo] = {}
    folders: set[str] = set()
    system_folders: set[str] = set()
    for name, member in members:
        *inside, last = name.rstrip("/").split("/")
        if ignored := first_ignored((*inside, last)):
            if (ignored != last or member.is_dir()) and not is_hidden(ignored):
                system_folders.add(name.split(ignored)[0] + ignored)
        elif member.is_dir() or name.endswith("/"):
            folders.add(name.rstrip("/"))
        elif is_picture_name(last):
            pictures[name] = member
        else:
            folders.add("/".join(inside))
            skipped.add_file(name)
    skipped.system_folders.update(path.rpartition("/")[2] for path in system_folders)
    filled = {name[: at.start()] for name in pictures for at in re.finditer("/", name)}
    above = {name[: at.start()] for name in folders for at in re.finditer("/", name)}
    skipped.empty += sorted(folders - filled - above - {""})
    return pictures

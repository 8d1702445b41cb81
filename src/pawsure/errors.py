"""Everything that pawsure raises on purpose.

    PawsureError
    ├── UsageError             the call itself is wrong                    exit code 2
    │   ├── RecipeError        an unknown key or a value out of range
    │   ├── RunFolderError     the run folder exists, or is not one
    │   ├── WeightsError       weights that can't be had or don't fit
    │   ├── MissingExtraError  an optional dependency is not installed
    │   ├── StorageError       a file can't be written, or went away while it was used
    │   └── ShapeError         arrays that do not go together (also a ValueError)
    ├── PictureError           one picture can't be read                   exit code 3
    ├── DataError              the data as a whole can't be used           exit code 4
    │   ├── SourceError        no such folder, archive or name
    │   │   └── DownloadError  a data set that can't be fetched or unpacked
    │   └── ManifestError      a manifest lacks a column or is malformed
    └── ModelFileError         not a model file, or one that is damaged    exit code 5
        ├── ExportError        a layer or format that can't be exported
        └── ParityError        the exported file disagrees with its source

A message says what happened, what was expected and found, and the way out.
"""

from __future__ import annotations

import errno
import os


class PawsureError(Exception):
    """Base of every error that pawsure raises on purpose."""


class UsageError(PawsureError):
    """The call itself is wrong: an argument, an option, a combination."""


class RecipeError(UsageError):
    """A recipe has an unknown key, a wrong type or a value out of range."""


class RunFolderError(UsageError):
    """A run folder exists already, or what was named is not a run folder."""


class WeightsError(UsageError):
    """Weights can't be found, fetched or fitted to the network."""


class MissingExtraError(UsageError):
    """An optional dependency is not installed."""

    def __init__(
        self, module: str, extra: str, *, otherwise: str = "", light: str | None = None
    ) -> None:
        """Name the missing module, the command that installs it, and what goes without it.

        Args:
            module: that is missing.
            extra: that brings it.
            otherwise: arguments that need no such module.
            light: arguments for which the extra 'lite' brings all that is needed.
        """
        from pawsure.installation import install_command  # reads files; only when it is needed

        super().__init__(
            f"This needs '{module}', which is not installed. "
            f"Install it with: {install_command(extra)}"
            + (f". Or do without it: {otherwise}" if otherwise else "")
            + (
                f". Or without TensorFlow, for {light}: {install_command('lite')}"
                if light is not None
                else ""
            )
        )


class StorageError(UsageError):
    """A file can't be written, or went away or was damaged while it was used."""

    @classmethod
    def of(cls, error: OSError) -> StorageError:
        """What an error of the system means, and what to do about it."""
        place = error.filename
        name = place.decode(errors="replace") if isinstance(place, bytes) else place
        if isinstance(error, FileNotFoundError):
            return cls(
                f"{name or 'A file'} is missing. Check the path; if it was moved or removed while "
                "pawsure used it, start again."
            )
        what = "written" if error.errno in _NO_ROOM | {errno.EROFS} else "read or written"
        remedy = f" {_REMEDY}" if error.errno in _NO_ROOM | _NOT_ALLOWED else ""
        return cls(f"{name or 'A file'} can't be {what}: {cls.reason(error)}.{remedy}")

    @staticmethod
    def reason(error: OSError) -> str:
        """Why, in a few words."""
        if error.errno in _NO_ROOM:
            return "no space left"
        return (error.strerror or str(error) or type(error).__name__).lower()


def storage_error(error: BaseException) -> StorageError | None:
    """The same error as a sentence with a remedy, if it is one of files and disks.

    Libraries that write in C or C++ raise errors of their own, in which the system's words stand.
    """
    if isinstance(error, StorageError):
        return error
    if isinstance(error, OSError):
        return None if isinstance(error, _OF_CONNECTIONS) else StorageError.of(error)
    for number in (*_NO_ROOM, errno.EROFS):
        if os.strerror(number).lower() in str(error).lower():
            return StorageError(
                f"A file can't be written: {os.strerror(number).lower()}. {_REMEDY}"
            )
    return None


_REMEDY = (
    "Make room, allow it or choose another place (PAWSURE_CACHE is that of the cache, TMPDIR "
    "that of temporary files)."
)
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
_OF_CONNECTIONS = (ConnectionError, TimeoutError)


class ShapeError(UsageError, ValueError):
    """Arrays whose shapes or lengths do not go together."""


class PictureError(PawsureError):
    """One picture can't be read; `reason` says why in a few words."""

    def __init__(self, reason: str, *, name: str | None = None) -> None:
        """Keep the bare reason for tables; put the name before it for people."""
        super().__init__(f"{name}: {reason}" if name else reason)
        self.reason = reason
        self.name = name


class DataError(PawsureError):
    """The data as a whole can't be used."""


class SourceError(DataError):
    """There is no such folder, archive, manifest or name, or it holds no pictures."""


class DownloadError(SourceError):
    """A data set can't be fetched, is not what was published, or can't be unpacked."""


class ManifestError(DataError):
    """A manifest lacks a column, or a row of it is malformed."""


class ModelFileError(PawsureError):
    """A file is not a pawsure model, was cut short, or is of a newer format."""


class ExportError(ModelFileError):
    """A layer or a format that can't be exported."""


class ParityError(ModelFileError):
    """An exported file disagrees with the model that it came from."""

"""All errors that pawsure raises.

    PawsureError
    ├── UsageError             the call itself is wrong                    exit code 2
    │   ├── RecipeError        an unknown key or a value out of range
    │   ├── RunFolderError     the run folder exists, or is not one
    │   ├── WeightsError       weights are not available or don't fit the network
    │   ├── MissingExtraError  an optional dependency is not installed
    │   ├── StorageError       a file can't be written, or disappeared while in use
    │   └── ShapeError         arrays of incompatible shapes (also a ValueError)
    ├── PictureError           one picture can't be read                   exit code 3
    ├── DataError              the data as a whole can't be used           exit code 4
    │   ├── SourceError        no such folder, archive or name
    │   │   └── DownloadError  a data set that can't be fetched or unpacked
    │   └── ManifestError      a manifest lacks a column or is malformed
    └── ModelFileError         not a model file, or a damaged one          exit code 5
        ├── ExportError        a layer or format that can't be exported
        └── ParityError        the exported file disagrees with its source

A message says what happened, what was expected, and what to do.
"""

from __future__ import annotations

import errno
import os


class PawsureError(Exception):
    """Base of all errors that pawsure raises."""


class UsageError(PawsureError):
    """The call itself is wrong: an argument, an option, a combination."""


class RecipeError(UsageError):
    """A recipe has an unknown key, a wrong type or a value out of range."""


class RunFolderError(UsageError):
    """A run folder exists already, or a folder is not a run folder."""


class WeightsError(UsageError):
    """Weights can't be found, downloaded or loaded into the network."""


class MissingExtraError(UsageError):
    """An optional dependency is not installed."""

    def __init__(
        self, module: str, extra: str, *, otherwise: str = "", light: str | None = None
    ) -> None:
        """Name the missing module and the command that installs it.

        Args:
            module: the missing module.
            extra: the extra that installs it.
            otherwise: arguments that don't need the module.
            light: arguments for which the extra 'lite' is enough.
        """
        from pawsure.installation import install_command  # reads files

        super().__init__(
            f"This needs '{module}', which is not installed. "
            f"Install it with: {install_command(extra)}"
            + (f". Or use {otherwise}, which does not need it" if otherwise else "")
            + (
                f". For {light} this is enough: {install_command('lite')}"
                if light is not None
                else ""
            )
        )


class StorageError(UsageError):
    """A file can't be read or written, or disappeared or was damaged while in use."""

    @classmethod
    def of(cls, error: OSError) -> StorageError:
        """An error of the system as a sentence with a remedy."""
        place = error.filename
        name = place.decode(errors="replace") if isinstance(place, bytes) else place
        if isinstance(error, FileNotFoundError):
            return cls(
                f"{name or 'A file'} is missing. Check the path; if it was moved or removed during "
                "the run, start again."
            )
        what = "written" if error.errno in _NO_ROOM | {errno.EROFS} else "read or written"
        remedy = f" {_REMEDY}" if error.errno in _NO_ROOM | _NOT_ALLOWED else ""
        return cls(f"{name or 'A file'} can't be {what}: {cls.reason(error)}.{remedy}")

    @staticmethod
    def reason(error: OSError) -> str:
        """The reason in a few words."""
        if error.errno in _NO_ROOM:
            return "no space left"
        return (error.strerror or str(error) or type(error).__name__).lower()


def storage_error(error: BaseException) -> StorageError | None:
    """An error of files and disks as a sentence with a remedy; None for others.

    Libraries in C or C++ raise their own errors, which contain the system's message.
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
    "Free some space, change the permissions or choose another place (PAWSURE_CACHE for the "
    "cache, TMPDIR for temporary files)."
)
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
_OF_CONNECTIONS = (ConnectionError, TimeoutError)


class ShapeError(UsageError, ValueError):
    """Arrays of incompatible shapes or lengths."""


class PictureError(PawsureError):
    """One picture can't be read; `reason` says why in a few words."""

    def __init__(self, reason: str, *, name: str | None = None) -> None:
        """Keep the reason; the message has the name in front."""
        super().__init__(f"{name}: {reason}" if name else reason)
        self.reason = reason
        self.name = name


class DataError(PawsureError):
    """The data as a whole can't be used."""


class SourceError(DataError):
    """There is no such folder, archive, manifest or name, or it holds no pictures."""


class DownloadError(SourceError):
    """A data set can't be downloaded, is not the published one, or can't be unpacked."""


class ManifestError(DataError):
    """A manifest lacks a column, or a row of it is malformed."""


class ModelFileError(PawsureError):
    """A file is not a pawsure model, was cut short, or has a newer format."""


class ExportError(ModelFileError):
    """A layer or a format that can't be exported."""


class ParityError(ModelFileError):
    """An exported file disagrees with its model."""

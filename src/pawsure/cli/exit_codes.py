"""The table from errors to exit codes."""

from __future__ import annotations

from enum import IntEnum

from pawsure.errors import DataError, ModelFileError, PictureError, UsageError


class ExitCode(IntEnum):
    """Exit codes of all commands."""

    ALL_ANSWERED = 0
    UNEXPECTED = 1
    USAGE = 2
    SOME_PICTURES = 3
    DATA = 4
    MODEL_FILE = 5
    STOPPED = 130  # by Ctrl+C: 128 + SIGINT, as in shells


# The branches of the tree in pawsure/errors.py; no class is in two of them.
EXIT_CODES: dict[type[Exception], ExitCode] = {
    UsageError: ExitCode.USAGE,
    PictureError: ExitCode.SOME_PICTURES,
    DataError: ExitCode.DATA,
    ModelFileError: ExitCode.MODEL_FILE,
}


def exit_code(error: Exception) -> ExitCode:
    """The exit code of an error."""
    for kind, code in EXIT_CODES.items():
        if isinstance(error, kind):
            return code
    return ExitCode.UNEXPECTED

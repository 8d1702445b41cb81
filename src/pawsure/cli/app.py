"""The command `pawsure`: its subcommands, and how errors are shown.

Only the requested subcommand is loaded: building all of them takes as long as one prediction.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pawsure._version import __version__
from pawsure.cli import screen
from pawsure.cli.exit_codes import exit_code
from pawsure.errors import PawsureError, StorageError, storage_error

COMMANDS = ("train", "evaluate", "predict", "audit", "compare", "export", "serve", "report")
"""In the order of `--help`; each is a function in the module of the same name."""


class _Commands(TyperGroup):
    """Turns expected errors, ours and those of files and disks, into a message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # the reader of the pipe has closed it; Typer ends quietly
        except Exception as error:
            known = error if isinstance(error, PawsureError) else storage_error(error)
            if known is None:
                raise
            _show(known)
            raise typer.Exit(exit_code(known)) from error


def _show_version(wanted: bool) -> None:
    if wanted:
        screen.answer(f"pawsure {__version__}")
        raise typer.Exit


def _pawsure(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Options before the command."""


def app_of(commands: Iterable[str] = COMMANDS) -> typer.Typer:
    """The command with these subcommands."""
    app = typer.Typer(
        cls=_Commands,
        help="From labelled pictures to an image classifier that can be trusted.",
        epilog="Start with: pawsure train sample --weights pets --out runs/first",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_pawsure)
    for name in commands:
        module = import_module(f"pawsure.cli.{name}")
        app.command(epilog=module.EXAMPLE)(getattr(module, name))
    return app


def main() -> None:
    """Run the command line; the console script `pawsure`."""
    _open_standard_streams()
    for stream in (sys.stdout, sys.stderr):
        # A file name in another encoding must not end a run of a million pictures.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    requested = [word for word in sys.argv[1:2] if word in COMMANDS]
    try:
        app_of(requested or COMMANDS)()
        error = _flushed()
    except SystemExit:
        error = _flushed()
        if error is None:
            raise
    except OSError as exc:  # of output before a command begins, such as --help
        exc.filename = exc.filename or screen.STANDARD_OUTPUT
        error = storage_error(exc)
        if error is None:
            raise
        error = _flushed() or error
    if error is not None:
        _show(error)
        sys.exit(exit_code(error))


def _open_standard_streams() -> None:
    """Open closed standard streams to the null device: `2>&-`, services, no console.

    Else the next file that is opened gets descriptor 1 or 2, and libraries write into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)  # child processes inherit it
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def _show(error: Exception) -> None:
    """Show an error, if standard error can be written; the exit code tells it too."""
    with suppress(OSError):
        screen.note(f"Error: {error}")


def _flushed() -> StorageError | None:
    """Flush standard output; an error if that fails, as on a full disk."""
    try:
        sys.stdout.flush()
    except (AttributeError, ValueError, BrokenPipeError):
        return None  # closed, or no reader
    except OSError as exc:
        # Otherwise Python tries to flush again at exit, and prints its own error.
        with suppress(OSError, ValueError), open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        exc.filename = screen.STANDARD_OUTPUT
        return StorageError.of(exc)
    return None

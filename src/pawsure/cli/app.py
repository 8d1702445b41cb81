"""The command `pawsure`: its subcommands, and how errors leave it."""

from __future__ import annotations

import io
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pawsure import __version__
from pawsure.cli import audit, compare, evaluate, export, predict, report, screen, serve, train
from pawsure.cli.exit_codes import exit_code
from pawsure.errors import PawsureError


class _Commands(TyperGroup):
    """Turns errors that pawsure raises on purpose into a message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except PawsureError as error:
            screen.note(f"Error: {error}")
            raise typer.Exit(exit_code(error)) from error


app = typer.Typer(
    cls=_Commands,
    help="From labelled pictures to an image classifier that can be trusted.",
    epilog="Start with: pawsure train sample --weights pets --out runs/first",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        screen.answer(f"pawsure {__version__}")
        raise typer.Exit


@app.callback()
def _pawsure(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Hold what stands before the command."""


app.command(epilog=train.EXAMPLE)(train.train)
app.command(epilog=evaluate.EXAMPLE)(evaluate.evaluate)
app.command(epilog=predict.EXAMPLE)(predict.predict)
app.command(epilog=audit.EXAMPLE)(audit.audit)
app.command(epilog=compare.EXAMPLE)(compare.compare)
app.command(epilog=export.EXAMPLE)(export.export)
app.command(epilog=serve.EXAMPLE)(serve.serve)
app.command(epilog=report.EXAMPLE)(report.report)


def main() -> None:
    """Run the command line; the console script `pawsure`."""
    for stream in (sys.stdout, sys.stderr):
        # A file name in an odd encoding must not end a run of a million pictures.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app()

"""`pawsure report`: write the report of a run again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pawsure.cli import screen
from pawsure.cli.options import JsonOption

EXAMPLE = "Example: pawsure report runs/mine"


def report(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The run folder that 'pawsure train' wrote.")
    ],
    data: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Where the pictures are, if they have moved."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the report of a run: one HTML page.

    Every run writes one; this writes it again, after an upgrade or if the data have moved.
    """
    from pawsure.progress_bars import terminal_progress
    from pawsure.report.build import write_report

    path = write_report(run, data=data, progress=terminal_progress())
    if as_json:
        screen.answer_json({"report": str(path), "bytes": path.stat().st_size})
        return
    screen.answer(str(path))
    screen.note(f"One file, {path.stat().st_size / 1e6:.1f} MB; open it in a browser.")
    screen.next_command("To use the model", "predict", "PICTURES", "--model", run)

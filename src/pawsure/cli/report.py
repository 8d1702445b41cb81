"""`pawsure report`: the page of a run, made anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pawsure.cli import screen

EXAMPLE = "Example: pawsure report runs/mine"


def report(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The run folder that 'pawsure train' has left.")
    ],
    data: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Where its pictures are now, if they have moved."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")] = False,
) -> None:
    """Write the report of a run: one page, to be opened in any browser.

    Every run ends with one; this makes it anew, after an upgrade or where the data have moved.
    """
    from pawsure.progress_bars import terminal_progress
    from pawsure.report.build import write_report

    path = write_report(run, data=data, progress=terminal_progress())
    if as_json:
        screen.answer_json({"report": str(path), "bytes": path.stat().st_size})
        return
    screen.answer(str(path))
    screen.note(f"{path.stat().st_size / 1e6:.1f} MB, in one file; open it in a browser.")
    screen.next_command("To use the model", "predict", "PICTURES", "--model", run)

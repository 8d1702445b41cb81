"""Write the report of a run."""

from __future__ import annotations

from pathlib import Path

from pawsure.data.entries import Source
from pawsure.data.files import atomic_path
from pawsure.data.layouts import OUTER
from pawsure.data.sources import open_source
from pawsure.errors import DataError, ModelFileError
from pawsure.model.predictor import Predictor
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.report.page import page
from pawsure.report.pictures import Gallery
from pawsure.report.run_data import RunData, read_run

FILE_NAME = "report.html"


def write_report(
    folder: str | Path,
    *,
    source: Source | None = None,
    data: str | Path | None = None,
    progress: Progress = NO_PROGRESS,
) -> Path:
    """Write or replace `report.html` in a run folder.

    Args:
        folder: of a finished run.
        source: where its pictures come from, if that is open already.
        data: what to open instead; None: the data of the run. If these can't be opened, the
            report has no pictures and gives the reason.
        progress: of data that have to be downloaded first.

    Returns:
        The path of the file.

    Raises:
        RunFolderError: it is not a run folder, or the run is not finished.
        DataError: `data` was given and can't be opened.
    """
    run = read_run(Path(folder))
    why_not = ""
    if source is None:
        source, why_not = _find_source(run, data, progress)
    text = page(run, Gallery(source, _predictor(run), why_not=why_not))
    path = Path(folder) / FILE_NAME
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


def _find_source(
    run: RunData, data: str | Path | None, progress: Progress
) -> tuple[Source | None, str]:
    """The pictures, or why they can't be opened."""
    if data is not None:
        return open_source(data, labels=OUTER, progress=progress), ""
    if run.answers is None:
        return None, "this run did not record where its pictures are; name them with --data."
    try:
        # Pictures are found by path, so it does not matter which folder names the label.
        return open_source(run.answers.data, labels=OUTER, progress=progress), ""
    except DataError as error:
        return None, f"{error} If they have moved, name them with --data."


def _predictor(run: RunData) -> Predictor | None:
    try:
        return Predictor(run.model_file)
    except ModelFileError:
        return None

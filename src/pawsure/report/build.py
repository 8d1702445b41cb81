"""Make a run's report: read the folder, draw, write `report.html`."""

from __future__ import annotations

from pathlib import Path

from pawsure.data.entries import Source
from pawsure.data.files import atomic_path
from pawsure.data.layouts import OUTER
from pawsure.data.sources import open_source
from pawsure.errors import DataError, ModelFileError
from pawsure.model.predictor import Predictor
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.report.material import Material, read_material
from pawsure.report.page import page
from pawsure.report.pictures import Gallery

FILE_NAME = "report.html"


def write_report(
    folder: str | Path,
    *,
    source: Source | None = None,
    data: str | Path | None = None,
    progress: Progress = NO_PROGRESS,
) -> Path:
    """Write `report.html` into a run folder; one that is there is replaced.

    Args:
        folder: of a run that has come to its end.
        source: where its pictures come from, where that is open already.
        data: what to open instead; None takes what the run was given. Where it can't be
            opened, the page is made without pictures and says so.
        progress: told of data that have to be fetched first.

    Returns:
        The file.

    Raises:
        RunFolderError: it is no run folder, or the run has not come to its end.
        DataError: `data` was named and can't be opened.
    """
    material = read_material(Path(folder))
    why_not = ""
    if source is None:
        source, why_not = _find_source(material, data, progress)
    text = page(material, Gallery(source, _predictor(material), why_not=why_not))
    path = Path(folder) / FILE_NAME
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


def _find_source(
    material: Material, data: str | Path | None, progress: Progress
) -> tuple[Source | None, str]:
    """The pictures, or why they can't be had."""
    if data is not None:
        return open_source(data, labels=OUTER, progress=progress), ""
    if material.answers is None:
        return None, "this run did not write down where its pictures are; name them with --data."
    try:
        # Pictures are looked up by their paths, so it is all one which folder names the label.
        return open_source(material.answers.data, labels=OUTER, progress=progress), ""
    except DataError as error:
        return None, f"{error} If they have moved, name them with --data."


def _predictor(material: Material) -> Predictor | None:
    try:
        return Predictor(material.model_file)
    except ModelFileError:
        return None

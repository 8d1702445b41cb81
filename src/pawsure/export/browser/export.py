"""Export a model as a web page that runs it in the browser.

`page/` has the files that are not shared with the page of `pawsure serve`. Tests compare
`preprocessing.js` with `pawsure.data.images`, `answers.js` with `pawsure.model.answer` and
`evidence`, and the shared `heat.js` with `pawsure.model.heat_map`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pawsure.data.catalog import Catalog, build_catalog
from pawsure.data.files import atomic_folder
from pawsure.export.agreement import Runtime, run_both
from pawsure.export.browser.node import node_runtime
from pawsure.export.browser.runtime import PACKAGE, VERSION, find_runtime
from pawsure.export.browser.site import MODEL, write_description, write_page, write_runtime
from pawsure.export.checks import MAX_CHANGED, compared_rows
from pawsure.export.choices import check_free
from pawsure.export.folder import ExportResult
from pawsure.model.predictor import Predictor
from pawsure.progress import NO_PROGRESS, Progress


def export_browser(
    model_file: str | Path,
    out: str | Path,
    *,
    catalog: Catalog | None = None,
    runtime: str | Path | None = None,
    max_changed: float = MAX_CHANGED,
    progress: Progress = NO_PROGRESS,
) -> ExportResult:
    """Write a folder with a web page, if it answers as the model file does.

    Compared in ONNX Runtime Web under Node.js, if installed.

    Args:
        model_file: of `pawsure train`.
        out: the folder to create.
        catalog: pictures to compare on; None: the drawn sample.
        runtime: the npm package of ONNX Runtime Web, a file or a folder; None: npm downloads it.
        max_changed: share of pictures that may get another label.
        progress: told of every picture.

    Raises:
        UsageError: `out` exists, or the runtime is not available.
        ParityError: more labels change; nothing is written.
        DataError: there are no pictures to compare on.
        ExportError: the model does not run in ONNX Runtime Web.
        ModelFileError: it is not a pawsure model.
    """
    check_free(out)
    out = Path(out)
    reference = Predictor(model_file)
    files = find_runtime(runtime, progress=progress)
    if catalog is None:
        catalog = build_catalog("sample", progress=progress)
    with atomic_folder(out) as folder:
        shutil.copyfile(reference.path, folder / MODEL)
        write_page(folder)
        write_runtime(files, folder / "runtime")
        with _checked(files, folder / MODEL, reference.size_px) as (checked_in, run):
            pair = run_both(
                reference,
                run,
                reference.metadata.thresholds,
                catalog,
                compared_rows(catalog),
                progress=progress,
            )
        agreement = pair.agreement(max_changed)
        accuracy = pair.accuracy(catalog, reference.labels, "test")
        write_description(
            folder,
            name=_name_of(reference.path),
            metadata=reference.metadata,
            agreement=agreement,
            accuracy=accuracy,
            checked_in=checked_in,
        )
    return ExportResult(
        format="browser",
        folder=out,
        model=out / MODEL,
        num_bytes=(out / MODEL).stat().st_size,
        agreement=agreement,
        accuracy=accuracy,
        thresholds=dict(reference.metadata.thresholds),
    )


@contextmanager
def _checked(files: Path, model: Path, size_px: int) -> Iterator[tuple[str, Runtime]]:
    """The runtime to compare in, and its name: Node.js if installed, else ONNX Runtime."""
    node = shutil.which("node")
    if node is None:
        yield (
            "ONNX Runtime (Node.js, to run ONNX Runtime Web, is not installed)",
            Predictor(model).predict_batch,
        )
        return
    with node_runtime(node, files, model, size_px) as run:
        yield f"{PACKAGE} {VERSION} under Node.js", run


def _name_of(path: Path) -> str:
    """The run folder's name for a model.onnx, else the file's."""
    path = path.resolve()
    return path.parent.name if path.name == MODEL else path.stem

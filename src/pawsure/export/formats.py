"""Every way to export a model file: make it, check it in its own runtime, write its folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from pawsure.data.catalog import Catalog
from pawsure.data.files import atomic_folder
from pawsure.errors import UsageError
from pawsure.export.agreement import Agreement, Runtime, run_both
from pawsure.export.folder import (
    ExportResult,
    answer_code,
    picture_code,
    size_of,
    write_companions,
)
from pawsure.export.model_file import write_model_file
from pawsure.export.quantise import quantise
from pawsure.model.metadata import ModelMetadata
from pawsure.model.predictor import Predictor
from pawsure.progress import NO_PROGRESS, Progress

MAX_CHANGED = 0.001
"""Share of pictures that may get another label than the model file gives, in floats: two
runtimes that add the same numbers in another order differ on ties only."""

MAX_CHANGED_INT8 = 0.02
"""The same, in bytes. Two MobileNetV2 at 128 pixels that are right 93% and 97% of the time change
0.7% and 0.9% of their labels, half for the better, so that accuracy stays as it is; with one bit
less, which costs accuracy, they change 4% and 7%."""

MOST_COMPARED = 2000
"""Pictures of validation and test that an export is compared on."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A model that was made, not yet checked.

    Attributes:
        model: the file or folder.
        metadata: of it.
        runtime: runs it.
        title: of its README.
        code: of its README.
    """

    model: Path
    metadata: ModelMetadata
    runtime: Runtime
    title: str
    code: str


def export_int8(
    model_file: str | Path,
    catalog: Catalog,
    out: str | Path,
    *,
    max_changed: float | None = None,
    seed: int = 0,
    progress: Progress = NO_PROGRESS,
) -> ExportResult:
    """Export as a model file in eight bits; see `quantise`.

    Args:
        model_file: of `pawsure train`.
        catalog: the pictures that it was trained on, split as then.
        out: the folder to make.
        max_changed: share of labels that may change; None: `MAX_CHANGED_INT8`.
        seed: of what is drawn.
        progress: told of every picture.

    Raises:
        UsageError: `out` exists.
        ParityError: more labels change; nothing is written.
        DataError: the catalog has no training or no validation pictures.
        ModelFileError: it is no pawsure model in float32.
    """

    def make(folder: Path) -> Exported:
        path = folder / "model.onnx"
        metadata = quantise(model_file, catalog, path, seed=seed, progress=progress)
        return Exported(
            model=path,
            metadata=metadata,
            runtime=Predictor(path).predict_batch,
            title="A pawsure model in int8",
            code=_onnx_code(metadata),
        )

    def record(made: Exported, agreement: Agreement, accuracy: dict[str, Any]) -> None:
        figures = {"accuracy": accuracy, "agreement": agreement.to_dict()}
        write_model_file(
            onnx.load(made.model), replace(made.metadata, figures={"int8": figures}), made.model
        )

    limit = MAX_CHANGED_INT8 if max_changed is None else max_changed
    return _export("int8", model_file, catalog, out, make, limit, progress, record)


def _export(
    format: str,
    model_file: str | Path,
    catalog: Catalog,
    out: str | Path,
    make: Callable[[Path], Exported],
    max_changed: float,
    progress: Progress,
    record: Callable[[Exported, Agreement, dict[str, Any]], None] | None = None,
) -> ExportResult:
    """Make an export in a hidden folder, and give it its name once it has passed."""
    check_free(out)
    out = Path(out)
    reference = Predictor(model_file)
    with atomic_folder(out) as folder:
        made = make(folder)
        pair = run_both(
            reference,
            made.runtime,
            made.metadata.thresholds,
            catalog,
            compared_rows(catalog),
            progress=progress,
        )
        agreement = pair.agreement(max_changed)
        accuracy = pair.accuracy(catalog, reference.labels, "test")
        if record is not None:
            record(made, agreement, accuracy)
        write_companions(
            folder,
            format=format,
            metadata=made.metadata,
            title=made.title,
            code=made.code,
            agreement=agreement,
            accuracy=accuracy,
        )
        result = ExportResult(
            format=format,
            folder=out,
            model=out / made.model.name,
            num_bytes=size_of(made.model),
            agreement=agreement,
            accuracy=accuracy,
            thresholds=made.metadata.thresholds,
        )
    return result


def check_free(out: str | Path) -> None:
    """Refuse a path that exists.

    Raises:
        UsageError: it does.
    """
    if Path(out).exists():
        raise UsageError(f"{out} exists already. Choose another --out, or remove it.")


def compared_rows(catalog: Catalog) -> np.ndarray:
    """Rows to compare on: of test, and then of validation; of all where there are no splits."""
    held_out = np.concatenate([catalog.where("test"), catalog.where("validation")])
    rows = held_out if len(held_out) else catalog.where()
    return np.sort(rows[:MOST_COMPARED])


def format_names() -> tuple[str, ...]:
    """What `--to` takes."""
    names = ("int8", "litert", "saved-model")
    browser = find_spec("pawsure.export.browser")
    # A folder without an __init__.py is found too, and has no origin.
    return (*names, "browser") if browser and browser.origin else names


def _onnx_code(metadata: ModelMetadata) -> str:
    has_familiarity = metadata.thresholds.get("neither_below") is not None
    names = ["probability", "familiarity"] if has_familiarity else ["probability"]
    taken = "[probability], [familiarity]" if has_familiarity else "([probability],)"
    wanted = ", ".join(f'"{name}"' for name in names)
    return "\n".join(
        [
            "import numpy as np",
            "import onnxruntime",
            "from PIL import Image, ImageOps",
            "",
            picture_code(metadata.size_px),
            'session = onnxruntime.InferenceSession("model.onnx")',
            f'outputs = session.run([{wanted}], {{"image": pixels[np.newaxis]}})',
            f"{taken} = outputs",
            answer_code(metadata.thresholds),
        ]
    )

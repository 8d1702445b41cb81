"""Every way to export a model file: make it, check it in its own runtime, write its folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx

from pawsure.data.catalog import Catalog
from pawsure.data.files import atomic_folder
from pawsure.export.agreement import Agreement, Runtime, run_both
from pawsure.export.choices import FITTED, check_choice, check_free
from pawsure.export.folder import (
    ExportResult,
    answer_code,
    picture_code,
    size_of,
    write_companions,
)
from pawsure.export.model_file import write_model_file
from pawsure.export.quantise import quantise
from pawsure.export.refit import refit_trust
from pawsure.graph.second_look import with_second_look
from pawsure.model.metadata import ModelMetadata, read_metadata
from pawsure.model.predictor import Predictor
from pawsure.progress import NO_PROGRESS, Progress

MAX_CHANGED = 0.001
"""Share of pictures that may get another label than the model file gives, in floats: two
runtimes that add the same numbers in another order differ on ties only."""

MAX_CHANGED_INT8 = 0.02
"""The same, in bytes: twice what was met. Three MobileNetV2 changed 0.1%, 0.2% and 1.0% of their
labels, half for the better; with one bit less, which costs accuracy, they change 4% and 7%. It
holds too where a file in bytes is computed in another runtime: a value that lies between two steps
is rounded another way, and what follows from it is as large as what the bytes themselves cost."""

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
        has_to_be_better: whether that is what it is for.
    """

    model: Path
    metadata: ModelMetadata
    runtime: Runtime
    title: str
    code: str
    has_to_be_better: bool = False


def export(
    model_file: str | Path,
    to: str,
    catalog: Catalog,
    out: str | Path,
    *,
    precision: str | None = None,
    max_changed: float | None = None,
    runtime: str | Path | None = None,
    seed: int = 0,
    progress: Progress = NO_PROGRESS,
) -> ExportResult:
    """Make a folder with a model file in another format, if it answers as the model file does.

    Args:
        model_file: of `pawsure train`.
        to: one of `format_names`.
        catalog: the pictures that it was trained on, split as then; what is in floats needs no
            labels and no splits, just pictures to compare on.
        out: the folder to make.
        precision: of LiteRT, one of `PRECISIONS`; None: float16.
        max_changed: share of pictures that may get another label; None: `MAX_CHANGED`, or
            `MAX_CHANGED_INT8`.
        runtime: of the browser, see `pawsure.export.browser`; None: npm fetches it.
        seed: of what is drawn.
        progress: told of every picture.

    Raises:
        UsageError: there is no such format or precision, `out` exists, or the browser's runtime
            can't be had.
        ParityError: more labels change; nothing is written.
        DataError: the catalog has no pictures for what they are needed for.
        ModelFileError: it is no pawsure model in float32.
        ExportError: it can't be translated.
    """
    check_choice(to, precision)
    check_free(out)
    model_file = Predictor(model_file).path
    if to == "browser":
        # Imported here, as it imports this module.
        from pawsure.export.browser import export_browser

        return export_browser(
            model_file,
            out,
            catalog=catalog,
            runtime=runtime,
            max_changed=MAX_CHANGED if max_changed is None else max_changed,
            progress=progress,
        )
    if to == "litert":
        precision = precision or "float16"
    precision = {"int8": "int8", "saved-model": "float32"}.get(to, precision or "float32")
    is_in_bytes = "int8" in (precision, read_metadata(model_file).precision)
    limit = MAX_CHANGED_INT8 if is_in_bytes else MAX_CHANGED
    if to == "two-looks":  # it is there to change some
        limit = 1.0
    settings: dict[str, Any] = {"seed": seed, "progress": progress}

    def make(folder: Path) -> Exported:
        if to == "int8":
            return _int8(model_file, catalog, folder, **settings)
        if to == "two-looks":
            return _two_looks(model_file, catalog, folder, **settings)
        if to == "litert":
            return _litert(model_file, catalog, folder, precision, **settings)
        return _saved_model(model_file, folder)

    return _export(
        to,
        model_file,
        catalog,
        out,
        make,
        limit if max_changed is None else max_changed,
        progress,
        _record if to in FITTED else None,
    )


def _int8(model_file: Path, catalog: Catalog, folder: Path, **settings: Any) -> Exported:
    path = folder / "model.onnx"
    metadata = quantise(model_file, catalog, path, **settings)
    return Exported(
        model=path,
        metadata=metadata,
        runtime=Predictor(path).predict_batch,
        title="A pawsure model in int8",
        code=_code(metadata, *_ONNX_CODE),
    )


def _two_looks(model_file: Path, catalog: Catalog, folder: Path, **settings: Any) -> Exported:
    path = folder / "model.onnx"
    metadata = read_metadata(model_file)
    graph = with_second_look(onnx.load(model_file))
    graph, thresholds = refit_trust(graph, metadata, catalog, **settings)
    metadata = replace(metadata, thresholds=thresholds, figures={})
    write_model_file(graph, metadata, path)
    return Exported(
        model=path,
        metadata=metadata,
        runtime=Predictor(path).predict_batch,
        title="A pawsure model that looks twice",
        code=_code(metadata, *_ONNX_CODE),
        has_to_be_better=True,
    )


def _record(format: str, made: Exported, agreement: Agreement, accuracy: dict[str, Any]) -> None:
    """Put into the metadata of a model file how it compares with the one that it came from."""
    figures = {format: {"accuracy": accuracy, "agreement": agreement.to_dict()}}
    write_model_file(onnx.load(made.model), replace(made.metadata, figures=figures), made.model)


def _litert(
    model_file: Path, catalog: Catalog, folder: Path, precision: str, **settings: Any
) -> Exported:
    from pawsure.export.litert import litert_runtime, write_litert

    path = folder / "model.tflite"
    with TemporaryDirectory() as other:
        if precision == "int8" and read_metadata(model_file).precision != "int8":
            quantised = Path(other) / "model.onnx"
            quantise(model_file, catalog, quantised, **settings)
            model_file = quantised
        write_litert(model_file, path, precision)
        metadata = read_metadata(model_file)
    return Exported(
        model=path,
        metadata=metadata,
        runtime=litert_runtime(path),
        title=f"A pawsure model for LiteRT, in {precision}",
        code=_code(metadata, *_LITERT_CODE),
    )


def _saved_model(model_file: Path, folder: Path) -> Exported:
    from pawsure.export.saved_model import saved_model_runtime, write_saved_model

    path = folder / "saved_model"
    write_saved_model(model_file, path)
    metadata = read_metadata(model_file)
    return Exported(
        model=path,
        metadata=metadata,
        runtime=saved_model_runtime(path),
        title="A pawsure model as a TensorFlow SavedModel",
        code=_code(metadata, *_SAVED_MODEL_CODE),
    )


def _export(
    format: str,
    model_file: str | Path,
    catalog: Catalog,
    out: str | Path,
    make: Callable[[Path], Exported],
    max_changed: float,
    progress: Progress,
    record: Callable[[str, Exported, Agreement, dict[str, Any]], None] | None = None,
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
            compared_rows(catalog, chosen_by="validation" if made.has_to_be_better else None),
            progress=progress,
        )
        agreement = pair.agreement(max_changed)
        if made.has_to_be_better:
            pair.check_better(catalog, reference.labels, "validation")
        accuracy = pair.accuracy(catalog, reference.labels, "test")
        if record is not None:
            record(format, made, agreement, accuracy)
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


def compared_rows(catalog: Catalog, *, chosen_by: str | None = None) -> np.ndarray:
    """Rows to compare on, `MOST_COMPARED` at most: of test, and then of validation.

    Args:
        catalog: where there are no splits, all of it.
        chosen_by: a split of which there are as many again.
    """
    held_out = np.concatenate([catalog.where("test"), catalog.where("validation")])
    rows = held_out if len(held_out) else catalog.where()
    rows = rows[:MOST_COMPARED]
    if chosen_by:
        rows = np.union1d(rows, catalog.where(chosen_by)[:MOST_COMPARED])
    return np.sort(rows)


_ONNX_CODE = (
    "import os\n\n"
    "# Without this line ONNX Runtime, once imported, reports what it runs to its vendor.\n"
    'os.environ["ORT_DISABLE_TELEMETRY"] = "1"\n'
    "import onnxruntime",
    'session = onnxruntime.InferenceSession("model.onnx")\n'
    'values = session.run(None, {"image": pixels[np.newaxis]})\n'
    "outputs = {item.name: value for item, value in zip(session.get_outputs(), values)}",
)
_LITERT_CODE = (
    "from ai_edge_litert.interpreter import Interpreter  # pip install ai-edge-litert",
    'answer_for = Interpreter("model.tflite").get_signature_runner()\n'
    "outputs = answer_for(image=pixels[np.newaxis])",
)
_SAVED_MODEL_CODE = (
    "import tensorflow as tf",
    'model = tf.saved_model.load("saved_model")\n'
    'found = model.signatures["serving_default"](image=tf.constant(pixels[np.newaxis]))\n'
    "outputs = {name: value.numpy() for name, value in found.items()}",
)
"""Of each README: the import of a runtime, and the lines from `pixels` to `outputs`."""


def _code(metadata: ModelMetadata, runtime: str, run: str) -> str:
    """Python that answers for `picture.jpg`."""
    imports = [runtime, "import numpy as np", "from PIL import Image"]
    lines = [*imports, "", picture_code(metadata.size_px), run]
    return "\n".join([*lines, answer_code(metadata.thresholds)])

"""Export a model file to another format: convert, check in the format's own runtime, write."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx

from pawsure.data.catalog import Catalog
from pawsure.data.files import atomic_folder
from pawsure.export.agreement import Runtime, run_both
from pawsure.export.checks import MAX_CHANGED, MAX_CHANGED_INT8, compared_rows
from pawsure.export.choices import FITTED, check_choice, check_free, current_name
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
from pawsure.graph.tta import with_tta
from pawsure.model.metadata import ModelMetadata, read_metadata
from pawsure.model.predictor import Predictor
from pawsure.progress import NO_PROGRESS, Progress


@dataclass(frozen=True, kw_only=True)
class Converted:
    """A converted model, not checked yet.

    Attributes:
        model: the file or folder.
        metadata: of it.
        runtime: runs it.
        title: of its README.
        code: of its README, the import of the runtime, and the lines from `pixels` to `outputs`.
    """

    model: Path
    metadata: ModelMetadata
    runtime: Runtime
    title: str
    code: tuple[str, str]


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
    """Write a folder with the model in another format, if it answers as the model file does.

    Args:
        model_file: of `pawsure train`.
        to: one of `pawsure.export.choices.FORMATS`.
        catalog: the training data, split as in training. Formats in floats need only pictures to
            compare on, without labels and splits.
        out: the folder to create.
        precision: of LiteRT, one of `PRECISIONS`; None: float16.
        max_changed: share of pictures that may get another label; None: `MAX_CHANGED`,
            `MAX_CHANGED_INT8`, or any for "tta", which must have a lower log loss instead.
        runtime: of the browser, see `pawsure.export.browser`; None: npm downloads it.
        seed: of random samples.
        progress: told of every picture.

    Raises:
        UsageError: the format or precision is unknown, `out` exists, or the browser's runtime is
            not available.
        ParityError: more labels change; nothing is written.
        DataError: the catalog lacks pictures that the format needs.
        ModelFileError: it is not a pawsure model in float32.
        ExportError: it can't be converted.
    """
    to = current_name(to, progress.say)
    check_choice(to, precision)
    check_free(out)
    reference, out = Predictor(model_file), Path(out)
    if to == "browser":
        from pawsure.export.browser.export import export_browser

        return export_browser(
            reference.path,
            out,
            catalog=catalog,
            runtime=runtime,
            max_changed=MAX_CHANGED if max_changed is None else max_changed,
            progress=progress,
        )
    is_tta = to == "tta"
    if max_changed is None:
        is_int8 = "int8" in (to, precision, reference.metadata.precision)
        max_changed = 1.0 if is_tta else MAX_CHANGED_INT8 if is_int8 else MAX_CHANGED
    with atomic_folder(out) as folder:
        converted = _convert(
            to, reference.path, catalog, folder, precision, {"seed": seed, "progress": progress}
        )
        metadata = converted.metadata
        pair = run_both(
            reference,
            converted.runtime,
            metadata.thresholds,
            catalog,
            compared_rows(catalog, chosen_by="validation" if is_tta else None),
            progress=progress,
        )
        agreement = pair.agreement(max_changed)
        if is_tta:
            pair.check_better(catalog, reference.labels, "validation")
        accuracy = pair.accuracy(catalog, reference.labels, "test")
        if to in FITTED:
            figures = {to: {"accuracy": accuracy, "agreement": agreement.to_dict()}}
            stamped = replace(metadata, figures=figures)
            write_model_file(onnx.load(converted.model), stamped, converted.model)
        write_companions(
            folder,
            format=to,
            metadata=metadata,
            title=converted.title,
            code=_code(metadata, *converted.code),
            agreement=agreement,
            accuracy=accuracy,
        )
        return ExportResult(
            format=to,
            folder=out,
            model=out / converted.model.name,
            num_bytes=size_of(converted.model),
            agreement=agreement,
            accuracy=accuracy,
            thresholds=metadata.thresholds,
        )


def _convert(
    to: str,
    model_file: Path,
    catalog: Catalog,
    folder: Path,
    precision: str | None,
    settings: dict[str, Any],
) -> Converted:
    if to == "int8":
        return _int8(model_file, catalog, folder, **settings)
    if to == "tta":
        return _tta(model_file, catalog, folder, **settings)
    if to == "litert":
        return _litert(model_file, catalog, folder, precision or "float16", **settings)
    return _saved_model(model_file, folder)


def _int8(model_file: Path, catalog: Catalog, folder: Path, **settings: Any) -> Converted:
    path = folder / "model.onnx"
    metadata = quantise(model_file, catalog, path, **settings)
    return _model_file(path, metadata, "A pawsure model in int8")


def _tta(model_file: Path, catalog: Catalog, folder: Path, **settings: Any) -> Converted:
    path = folder / "model.onnx"
    metadata = read_metadata(model_file)
    graph = with_tta(onnx.load(model_file))
    graph, thresholds = refit_trust(graph, metadata, catalog, **settings)
    metadata = replace(metadata, thresholds=thresholds, figures={})
    write_model_file(graph, metadata, path)
    return _model_file(path, metadata, "A pawsure model with test-time augmentation")


def _model_file(path: Path, metadata: ModelMetadata, title: str) -> Converted:
    return Converted(
        model=path,
        metadata=metadata,
        runtime=Predictor(path).predict_batch,
        title=title,
        code=_ONNX_CODE,
    )


def _litert(
    model_file: Path, catalog: Catalog, folder: Path, precision: str, **settings: Any
) -> Converted:
    from pawsure.export.litert import litert_runtime, write_litert

    path = folder / "model.tflite"
    with TemporaryDirectory() as other:
        if precision == "int8" and read_metadata(model_file).precision != "int8":
            quantised = Path(other) / "model.onnx"
            quantise(model_file, catalog, quantised, **settings)
            model_file = quantised
        write_litert(model_file, path, precision)
        metadata = read_metadata(model_file)
    return Converted(
        model=path,
        metadata=metadata,
        runtime=litert_runtime(path),
        title=f"A pawsure model for LiteRT, in {precision}",
        code=_LITERT_CODE,
    )


def _saved_model(model_file: Path, folder: Path) -> Converted:
    from pawsure.export.saved_model import saved_model_runtime, write_saved_model

    path = folder / "saved_model"
    write_saved_model(model_file, path)
    return Converted(
        model=path,
        metadata=read_metadata(model_file),
        runtime=saved_model_runtime(path),
        title="A pawsure model as a TensorFlow SavedModel",
        code=_SAVED_MODEL_CODE,
    )


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


def _code(metadata: ModelMetadata, runtime: str, run: str) -> str:
    """Python that answers for `picture.jpg`."""
    imports = [runtime, "import numpy as np", "from PIL import Image"]
    lines = [*imports, "", picture_code(metadata.size_px), run]
    return "\n".join([*lines, answer_code(metadata.thresholds)])

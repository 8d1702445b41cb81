"""Write a model file: a graph with its metadata and its checksum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
from onnx import helper

from pawsure._version import __version__
from pawsure.data.files import atomic_path
from pawsure.errors import ExportError
from pawsure.graph.head import INPUT, OUTPUTS
from pawsure.graph.prune import copy_of
from pawsure.model.metadata import (
    FORMAT_VERSION,
    METADATA_KEY,
    PRODUCER,
    ModelMetadata,
    read_metadata,
)
from pawsure.model.onnx_file import with_checksum


def write_model_file(model: onnx.ModelProto, metadata: ModelMetadata, path: str | Path) -> None:
    """Write a model with its metadata and its checksum, atomically.

    The same model and metadata give the same bytes.

    Args:
        model: of `pawsure.graph.head.attach_head`; left as it is.
        metadata: with one label for each column of `probability`.
        path: to write; replaced if it exists.

    Raises:
        ExportError: outputs are missing or do not match the labels, or the graph is not valid
            ONNX.
    """
    _check_outputs(model, metadata)
    model = copy_of(model)
    model.producer_name = PRODUCER
    model.producer_version = __version__
    model.doc_string = _describe(metadata)
    del model.metadata_props[:]
    written = replace(metadata, format_version=FORMAT_VERSION)
    helper.set_model_props(model, written.to_properties())
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as exc:
        raise ExportError(
            f"The exported graph is not valid ONNX: {exc}. This is a bug in pawsure; "
            "please report it with the recipe."
        ) from exc
    with atomic_path(path) as temporary:
        Path(temporary).write_bytes(with_checksum(model.SerializeToString(deterministic=True)))


def stamp_figures(path: str | Path, figures: Mapping[str, Any]) -> None:
    """Write figures into the metadata of a model file; nothing else changes.

    Args:
        path: of `write_model_file`.
        figures: JSON-ready.
    """
    metadata = replace(read_metadata(path), figures=dict(figures))
    write_model_file(onnx.load(path), metadata, path)


def _describe(metadata: ModelMetadata) -> str:
    """One sentence for people who open the file in a viewer."""
    labels = ", ".join(metadata.labels)
    size = metadata.size_px
    return (
        f"Tells apart: {labels}. Input '{INPUT}': uint8 RGB (N, {size}, {size}, 3), rotated "
        "upright and resized, not scaled: scaling is part of the graph. "
        f"Everything else is JSON in the metadata, under '{METADATA_KEY}'."
    )


def _check_outputs(model: onnx.ModelProto, metadata: ModelMetadata) -> None:
    outputs = {item.name: item for item in model.graph.output}
    missing = [name for name in OUTPUTS if name not in outputs]
    if missing:
        raise ExportError(
            f"A model file has the outputs {', '.join(OUTPUTS)}; "
            f"this graph lacks {', '.join(missing)}."
        )
    columns = outputs["probability"].type.tensor_type.shape.dim[1].dim_value
    if columns != len(metadata.labels):
        raise ExportError(
            f"The graph tells {columns} classes apart; the metadata name "
            f"{len(metadata.labels)} labels ({', '.join(metadata.labels)})."
        )

"""A model file in eight bits: a quarter of the size, and faster where processors multiply bytes.

The backbone's convolutions and what lies between them compute with bytes: kernels with a scale
for each output channel, everything else with one scale and offset for each tensor, from the
least and largest value seen on training pictures. The pixels' scaling, the head, calibration and
familiarity stay in floats. The outcome is a model file like any other.

What rounding kernels shifts is taken off the biases first; see `pawsure.graph.bias_correction`.
What was fitted on the float network's outputs does not fit those of the quantised one: of
validation pictures 13% (at 224 pixels 54%) fell below the familiarity that 5% had been below. So
calibration, familiarity and the threshold for "unsure" are fitted anew; see `pawsure.export.refit`.

Source: Jacob et al. 2018, arXiv:1712.05877 (arithmetic); Krishnamoorthi 2018, arXiv:1806.08342
(a scale for each channel).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx

from pawsure.data.catalog import Catalog
from pawsure.data.loader import iter_batches
from pawsure.errors import DataError, ExportError
from pawsure.export.model_file import write_model_file
from pawsure.export.refit import refit_trust
from pawsure.graph.bias_correction import correct_biases
from pawsure.graph.fold import fold_normalisation, share_scaling
from pawsure.graph.head import INPUT, feature_map_of
from pawsure.graph.tta import is_tta_node
from pawsure.model.metadata import ModelMetadata, read_metadata
from pawsure.onnx_runtime import quantization
from pawsure.progress import NO_PROGRESS, Progress

NUM_PICTURES = 300
"""Training pictures that ranges are taken from; 100 to 600 give the same accuracy."""

_BATCH_SIZE = 20  # keeps every tensor of the network for as many pictures: 0.4 GB at 224 pixels

_QUANTISED = (
    "Add",
    "AveragePool",
    "Clip",
    "Concat",
    "Conv",
    "Gemm",
    "GlobalAveragePool",
    "LeakyRelu",
    "MatMul",
    "MaxPool",
    "Mul",
    "Relu",
    "Sigmoid",
)


def quantise(
    model_file: str | Path,
    catalog: Catalog,
    out: str | Path,
    *,
    num_pictures: int = NUM_PICTURES,
    seed: int = 0,
    progress: Progress = NO_PROGRESS,
) -> ModelMetadata:
    """Write a model file's int8 counterpart.

    Args:
        model_file: of `pawsure train`.
        catalog: the pictures that it was trained on, split as then. Ranges are taken from
            training pictures; trust is fitted on training and validation pictures.
        out: where to; replaced when it exists.
        num_pictures: to take ranges from.
        seed: draws them.
        progress: told of every picture.

    Returns:
        The metadata that were written: those of the model file, with `precision` "int8", its
        own thresholds, and no figures.

    Raises:
        DataError: the catalog has no training pictures that can be read.
        ExportError: the file is quantised already, or has nothing to quantise.
        ModelFileError: it is no pawsure model.
    """
    metadata = read_metadata(model_file)
    if metadata.precision != "float32":
        raise ExportError(
            f"{model_file} is in {metadata.precision} already. Give the model file that it was "
            "made from."
        )
    rows = drawn_rows(catalog, "train", num_pictures, seed)
    if not len(rows):
        raise DataError(
            f"{catalog.source.name} has no training pictures to take ranges from. Give the data "
            "that the model was trained on."
        )
    pictures = _pictures(catalog, rows, metadata.size_px, progress)
    graph = quantise_graph(onnx.load(model_file), pictures)
    graph, thresholds = refit_trust(graph, metadata, catalog, seed=seed, progress=progress)
    metadata = replace(metadata, precision="int8", thresholds=thresholds, figures={})
    write_model_file(graph, metadata, out)
    return metadata


def quantise_graph(model: onnx.ModelProto, pictures: Iterable[np.ndarray]) -> onnx.ModelProto:
    """A copy of a graph whose backbone computes with bytes.

    Args:
        model: of `attach_head`, with or without trust; left as it is.
        pictures: batches of uint8 (N, S, S, 3) to take ranges from.

    Raises:
        ExportError: there is no convolution before its feature map.
    """
    pictures = list(pictures)  # 300 at 224 pixels: 45 MB
    folded = fold_normalisation(model)
    share_scaling(folded.graph)
    nodes = _backbone_nodes(folded.graph)
    folded = correct_biases(folded, pictures)
    # Spares a pass that would do what has been done, and a warning that it was not.
    onnx.helper.set_model_props(folded, {"onnx.quant.pre_process": "onnxruntime.quant"})
    with TemporaryDirectory() as folder:
        out = Path(folder) / "model.onnx"
        quantization.quantize_static(
            folded,
            out,
            _Reader(pictures),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            # Not symmetric, for what a ReLU leaves. Of calibration by least and largest value,
            # by percentile and by entropy none is better beyond noise on MobileNetV2, whose
            # ReLU6 bounds most tensors; seven bits for kernels cost 1.8 points of accuracy.
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax,
            op_types_to_quantize=list(_QUANTISED),
            nodes_to_quantize=nodes,
        )
        quantised = onnx.load(out)
    # The tool adds shapes, which will not be those of trust fitted anew, and unused domains.
    del quantised.graph.value_info[:]
    used = {node.domain for node in quantised.graph.node}
    kept = [item for item in quantised.opset_import if item.domain in used | {""}]
    del quantised.opset_import[:]
    quantised.opset_import.extend(kept)
    return quantised


def drawn_rows(catalog: Catalog, split: str, most: int, seed: int) -> np.ndarray:
    """At most so many rows of a split, drawn from a seed, in order."""
    rows = catalog.where(split)
    return np.sort(np.random.default_rng(seed).permutation(rows)[:most])


def _backbone_nodes(graph: onnx.GraphProto) -> list[str]:
    """Names of the nodes from the first convolution to the feature map; nameless ones get one."""
    needed, ahead = {feature_map_of(graph)}, []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            ahead.append(node)
    reached: set[str] = set()
    names = []
    for node in reversed(ahead):
        if is_tta_node(node):
            continue
        if node.op_type == "Conv" or reached.intersection(node.input):
            reached.update(node.output)
            node.name = node.name or node.output[0]
            names.append(node.name)
    if not names:
        raise ExportError(
            "There is no convolution before the feature map of this model: nothing to quantise."
        )
    return names


def _pictures(
    catalog: Catalog, rows: np.ndarray, size_px: int, progress: Progress
) -> Iterator[np.ndarray]:
    progress.start("Taking ranges", len(rows))
    try:
        for batch in iter_batches(catalog.read, rows, size_px=size_px, batch_size=_BATCH_SIZE):
            if len(batch):
                yield batch.pictures
            progress.advance(len(batch) + len(batch.problems))
    finally:
        progress.finish()


class _Reader(quantization.CalibrationDataReader):
    """Batches, as the tool asks for them."""

    def __init__(self, pictures: Iterable[np.ndarray]) -> None:
        self._pictures = iter(pictures)

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._pictures, None)
        return None if batch is None else {INPUT: batch}

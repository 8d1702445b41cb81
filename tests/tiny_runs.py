"""Run folders small enough to make in a test: a model file and the pictures it would be from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from tiny_models import SIZE_PX

from pawsure.data.catalog import Catalog, build_catalog
from pawsure.data.split import assign_splits
from pawsure.export.model_file import write_model_file
from pawsure.graph.head import attach_head
from pawsure.model.metadata import ModelMetadata
from pawsure.trust.fit import fit_trust

CHANNELS = 8


def convolving_backbone() -> onnx.ModelProto:
    """Two convolutions with BatchNormalization and ReLU6 that keep red, green and blue apart.

    uint8 'image' (N, 16, 16, 3) -> float32 (N, 4, 4, 8), of which the first three channels are
    the colours in 0...1 and the others mixtures of them.
    """
    rng = np.random.default_rng(0)
    colours = np.zeros((CHANNELS, 3, 2, 2), np.float32)
    colours[:3] = np.eye(3)[:, :, np.newaxis, np.newaxis] / 4
    colours[3:] = rng.uniform(0, 0.1, (CHANNELS - 3, 3, 2, 2))
    depthwise = np.full((CHANNELS, 1, 2, 2), 0.25, np.float32)
    # Whose scale and variance are not 1, but which leaves values as they are.
    variance = rng.uniform(0.1, 5, CHANNELS).astype(np.float32)
    constants = {
        "scaling/scale": np.array(1 / 255, np.float32),
        "first/kernel": colours,
        "second/kernel": depthwise,
        "norm/gamma": np.sqrt(variance + 1e-3),
        "norm/beta": np.zeros(CHANNELS, np.float32),
        "norm/mean": np.zeros(CHANNELS, np.float32),
        "norm/variance": variance,
        "relu/least": np.array(0, np.float32),
        "relu/most": np.array(6, np.float32),
    }
    norm = ["norm/gamma", "norm/beta", "norm/mean", "norm/variance"]
    relu = ["relu/least", "relu/most"]
    nodes = [
        helper.make_node("Transpose", ["image"], ["scaling/first"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["scaling/first"], ["scaling/float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["scaling/float", "scaling/scale"], ["scaling"]),
        helper.make_node("Conv", ["scaling", "first/kernel"], ["first"], strides=[2, 2]),
        helper.make_node("BatchNormalization", ["first", *norm], ["first/norm"], epsilon=1e-3),
        helper.make_node("Clip", ["first/norm", *relu], ["first/relu"]),
        helper.make_node(
            "Conv", ["first/relu", "second/kernel"], ["second"], strides=[2, 2], group=CHANNELS
        ),
        helper.make_node("BatchNormalization", ["second", *norm], ["second/norm"], epsilon=1e-3),
        helper.make_node("Clip", ["second/norm", *relu], ["second/relu"]),
        helper.make_node("Transpose", ["second/relu"], ["feature_map"], perm=[0, 2, 3, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "convolving",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIZE_PX, SIZE_PX, 3])],
        [helper.make_tensor_value_info("feature_map", TensorProto.FLOAT, ["N", 4, 4, CHANNELS])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def red_or_blue() -> onnx.ModelProto:
    """A graph of `attach_head` with the labels 'blue' and 'red'."""
    kernel = np.zeros((CHANNELS, 2), np.float32)
    kernel[2, 0] = kernel[0, 1] = 8
    return attach_head(convolving_backbone(), kernel, np.zeros(2, np.float32))


def coloured_pictures(folder: Path, number: int = 20) -> Path:
    """Noisy reddish and bluish pictures in a folder for each label."""
    rng = np.random.default_rng(3)
    for label, channel in (("blue", 2), ("red", 0)):
        (folder / label).mkdir(parents=True)
        for place in range(number):
            pixels = rng.integers(0, 120, (SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
            pixels[..., channel] += rng.integers(60, 130, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{place}.png")
    return folder


def pictures_with_a_spot(folder: Path, *, telling: str, number: int = 40) -> Path:
    """Pictures of which the middle half or the rim has the label's colour, the rest any colour."""
    rng = np.random.default_rng(4)
    middle = np.zeros((SIZE_PX, SIZE_PX), bool)
    middle[2:-2, 2:-2] = True
    where = middle if telling == "middle" else ~middle
    for label, channel in (("blue", 2), ("red", 0)):
        (folder / label).mkdir(parents=True)
        for place in range(number):
            pixels = np.empty((SIZE_PX, SIZE_PX, 3), np.uint8)
            pixels[:] = rng.integers(60, 190, 3)
            pixels[where] = 100
            pixels[where, channel] += 30
            Image.fromarray(pixels).save(folder / label / f"{place}.png")
    return folder


def tiny_run(
    folder: Path, *, with_trust: bool = True, data: Path | None = None
) -> tuple[Path, Catalog]:
    """A run folder with model.onnx, metrics.json and catalog.parquet, and its catalog.

    Where no pictures are given, they are made in `pictures` beside it.
    """
    data = data or coloured_pictures(folder.parent / "pictures")
    catalog = assign_splits(build_catalog(data), seed=0, validation=0.3, test=0.2)
    folder.mkdir()
    graph = red_or_blue()
    thresholds: dict[str, float | None] = {"unsure_below": None, "neither_below": None}
    if with_trust:
        graph = trusted(graph, catalog)
        thresholds = {"unsure_below": 0.6, "neither_below": 0.05}
    metadata = ModelMetadata(
        labels=catalog.labels, size_px=SIZE_PX, recipe="seed = 0\n", thresholds=thresholds
    )
    write_model_file(graph, metadata, folder / "model.onnx")
    catalog.to_parquet(folder / "catalog.parquet")
    (folder / "metrics.json").write_text(json.dumps({"data": str(data)}))
    return folder, catalog


def trusted(graph: onnx.ModelProto, catalog: Catalog) -> onnx.ModelProto:
    """The graph, calibrated and with familiarity."""
    return fit_trust(graph, catalog, max_error=0.01, rejected=0.05, size_px=SIZE_PX, seed=0).attach(
        graph
    )

"""Embeddings of all pictures, without Keras in this process.

They come from a frozen network: that of a given model file, else one that an earlier run or audit
exported. If none was exported yet, a separate process does it once.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pawsure.data.catalog import Catalog
from pawsure.errors import UsageError
from pawsure.features.encoders import find_encoder
from pawsure.features.extract import extract
from pawsure.features.prefix import POOLED, Prefix, graph_key
from pawsure.features.store import StoredRows
from pawsure.features.views import ORIGINAL
from pawsure.installation import install_command
from pawsure.model.builtin import BUILTIN, builtin_model
from pawsure.model.predictor import Predictor
from pawsure.progress import NO_PROGRESS, Progress

SIZE_PX = 224
"""Planted wrong labels in the top 3%, by side: 160 96%, 224 99.5%; outliers 90% and 96%."""

WEIGHTS = ("imagenet", "pets")

_EMBEDDING = "embedding"  # the output of a model file
_TIMEOUT_S = 600.0  # a download may be part of it
_AT_HAND = "at-hand"
_EXPORTING = "pawsure.network.encoder"


@dataclass(frozen=True)
class Encoder:
    """A network that turns pictures into embeddings.

    Attributes:
        prefix: what is run.
        output: which of its outputs is the embedding.
        name: for people.
        fingerprint: of its training data; empty if unknown.
    """

    prefix: Prefix
    output: str
    name: str
    fingerprint: str = ""


@dataclass(frozen=True)
class NoEncoder:
    """Why there is no network, and what to do."""

    reason: str


def find_network(
    *,
    model: str | Path | None = None,
    weights: str | None = None,
    size_px: int | None = None,
    progress: Progress = NO_PROGRESS,
) -> Encoder | NoEncoder:
    """Find a network; nothing is downloaded unless `weights` asks for it.

    Args:
        model: a model file or run folder.
        weights: "imagenet" or "pets"; None: any that is available.
        size_px: side of the pictures; `SIZE_PX`, or that of the model file.
        progress: told when a network is exported.

    Raises:
        ModelFileError: `model` is none.
        UsageError: `weights` are not available, or settings contradict each other.
    """
    if model is not None:
        if weights is not None or size_px is not None:
            raise UsageError(
                "A model file has its own weights and image size: give --model alone, or "
                "--weights and --image-size without it."
            )
        return _of_model_file(Path(model))
    if weights is not None and weights not in WEIGHTS:
        raise UsageError(f"--weights is {' or '.join(WEIGHTS)} here; got '{weights}'.")
    size_px = size_px or SIZE_PX
    wanted = WEIGHTS if weights is None else (weights,)
    found = _exported(wanted, size_px)
    if found is not None:
        return found
    failure = _export(weights or _AT_HAND, size_px, progress)
    found = _exported(wanted, size_px)
    if found is not None:
        return found
    if weights is not None:
        raise UsageError(failure)
    try:
        built_in = _of_model_file(builtin_model())
    except UsageError:
        return NoEncoder(failure)
    progress.say(failure)
    name = f"the built-in model {BUILTIN[0]} (trained on cats and dogs)"
    return replace(built_in, name=f"{name}, {built_in.prefix.size_px} pixels")


def _exported(wanted: tuple[str, ...], size_px: int) -> Encoder | None:
    for weights in wanted:
        found = find_encoder(weights, size_px)
        if found is not None:
            prefix, title = found
            return Encoder(prefix, POOLED, f"{title}, {_TITLES[weights]}, {size_px} pixels")
    return None


_TITLES = {
    "imagenet": "ImageNet weights",
    "pets": "built-in weights (trained on cats and dogs)",
}


def _of_model_file(path: Path) -> Encoder:
    predictor = Predictor(path)
    pixels = np.zeros((1, predictor.size_px, predictor.size_px, 3), np.uint8)
    shape = predictor.predict_batch(pixels).embedding.shape[1:]
    prefix = Prefix(
        key=graph_key(predictor.path),
        size_px=predictor.size_px,
        shapes={_EMBEDDING: shape},
        path=predictor.path,
    )
    fingerprint = predictor.metadata.data_fingerprint
    return Encoder(prefix, _EMBEDDING, f"{predictor.path}, {predictor.size_px} pixels", fingerprint)


def _export(weights: str, size_px: int, progress: Progress) -> str:
    """Export a network in another process; returns why there is none."""
    if importlib.util.find_spec("onnx") is None:
        return (
            "Exporting a network needs 'onnx', which is not installed. Give --model FILE, a model "
            f"that 'pawsure train' wrote, or run: {install_command('lite')}"
        )
    progress.say("Exporting a network (cached for later audits).")
    # -P: a file in the working folder, such as random.py, must not shadow a module.
    command = [sys.executable, "-P", "-m", _EXPORTING, weights, str(size_px)]
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = subprocess.run(
            command, env=quiet, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"Exporting a network took longer than {_TIMEOUT_S:g} s. Give --model FILE."
    if done.returncode == 0:
        return "The exported network could not be cached. Give --model FILE."
    last = (done.stderr.strip() or "no message").splitlines()[-1]
    return f"No network could be exported: {last}"


@dataclass(frozen=True, eq=False)
class Embedded:
    """Embeddings of the pictures of a catalog.

    Attributes:
        rows: float16 (M, F), read on demand.
        index: int64 (M,), their indices in the catalog.
        problems: of pictures that turned out unreadable: index to reason.
    """

    rows: StoredRows
    index: np.ndarray
    problems: dict[int, str]


def embed(catalog: Catalog, encoder: Encoder, *, progress: Progress = NO_PROGRESS) -> Embedded:
    """Run a network over all usable pictures; embeddings of earlier runs are reused.

    Args:
        catalog: of the pictures.
        encoder: see `find_network`.
        progress: told of every picture.
    """
    done = extract(
        catalog.read,
        catalog.content,
        catalog.where(),
        encoder.prefix,
        [encoder.output],
        progress=progress,
    )
    index = np.array([row for row in catalog.where() if row not in done.problems], dtype=np.int64)
    store = encoder.prefix.store(encoder.output, ORIGINAL.name)
    return Embedded(store.rows(catalog.content[index]), index, done.problems)

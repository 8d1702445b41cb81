"""A frozen prefix as a file: what it computes, how it is known, how it is run.

A prefix may have several outputs (the tensor at a cut and the pooled features, say), so that
one pass over the pictures serves every stage of a run.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np

from pawsure.data.cache import cache_dir
from pawsure.data.images import PREPROCESSING_VERSION
from pawsure.features.store import FeatureStore

PIXELS = "pixels"
"""The output at the input's cut: the picture as it was read, uint8 (S, S, 3)."""

POOLED = "pooled"
"""The mean of the feature map over its places: what a head alone learns from."""

BATCH_SIZE = 8
"""Pictures a forward pass. The first layers put out the most: of 64 pictures it goes out to
memory and comes back for the next layer, of 8 it stays nearer. Processor time a picture up to
block_3_project of MobileNetV2: 3.9 and 2.6 ms at 128 pixels, 12.0 and 8.5 ms at 224."""

FEATURE_MAP = "feature_map"
"""The backbone's own output: what a model file is made of when only a head was learned."""


@dataclass(frozen=True, kw_only=True)
class Prefix:
    """What comes before the cuts of a backbone, in ONNX.

    Attributes:
        key: of everything that decides what it computes, of `graph_key`; stores are filed
            under it.
        size_px: side of the square pictures it takes.
        shapes: of one picture's row, by output name; `PIXELS` needs no network.
        path: the ONNX file, uint8 "image" (N, S, S, 3) to one float32 output a name; None
            when `PIXELS` is all that is wanted.
    """

    key: str
    size_px: int
    shapes: Mapping[str, tuple[int, ...]]
    path: Path | None

    def store(self, output: str, view: str) -> FeatureStore:
        """The store for one output and one view of the pictures."""
        key = pixels_key(self.size_px) if output == PIXELS else self.key
        folder = features_dir() / f"{key}-{output}" / view
        with suppress(OSError):  # not there yet, or of a cache that can't be written
            os.utime(folder)  # used now: see `pawsure.features.prune`
        dtype = np.uint8 if output == PIXELS else np.float16
        return FeatureStore(folder, self.shapes[output], dtype)


def identity(**parts: object) -> str:
    """A short name for what decides a prefix's output: 16 hex digits of SHA-256."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def decoder() -> str:
    """What decodes pictures: another version may give other pixels."""
    import PIL
    from PIL import features

    return f"pillow {PIL.__version__} jpeg {features.version_feature('libjpeg_turbo') or ''}"


def pixels_key(size_px: int) -> str:
    """The key of pictures as they are read at a size, which no network has seen."""
    return identity(pixels=size_px, way_in=PREPROCESSING_VERSION, decoder=decoder())


def graph_key(path: Path) -> str:
    """The key of what a graph computes from pictures.

    Two graphs that mean the same (one of more outputs, say) may round differently, and so may
    another ONNX Runtime, or the same one on a processor with other instructions.
    """
    return identity(
        graph=hashlib.sha256(path.read_bytes()).hexdigest(),
        runtime=version("onnxruntime"),
        processor=_instructions(),
        batch=BATCH_SIZE,
        way_in=PREPROCESSING_VERSION,
        decoder=decoder(),
    )


@cache
def _instructions() -> str:
    """Those by which ONNX Runtime chooses how to compute, where the system tells."""
    found: set[str] = set()
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.lower().startswith(("flags", "features")):
                found = set(line.split()) & _CHOSEN_BY
                break
    return " ".join([platform.machine(), *sorted(found)])


_CHOSEN_BY = {
    *("sse4_1", "avx", "avx2", "fma", "f16c", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"),
    *("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni", "avx512_bf16"),
    *("asimdhp", "asimddp", "fphp", "i8mm", "bf16", "sve", "sve2", "sme"),
}


def features_dir() -> Path:
    """Where all stores lie."""
    return cache_dir() / "features"


def prefixes_dir() -> Path:
    """Where exported prefixes are kept for later runs."""
    return cache_dir() / "prefixes"


def missing_rows(stores: Iterable[FeatureStore], contents: Iterable[str]) -> list[int]:
    """Places of the pictures that at least one of the stores has no row for.

    Copies are computed once: only the first of equal contents is listed.
    """
    stores = list(stores)
    first: dict[str, int] = {}
    for place, content in enumerate(contents):
        first.setdefault(content, place)
    return [
        place for content, place in first.items() if any(content not in store for store in stores)
    ]

"""A frozen prefix as a file: what it computes, how it is known, how it is run.

A prefix may have several outputs (the tensor at a cut and the pooled features, say), so that
one pass over the pictures serves every stage of a run.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pawsure.data.cache import cache_dir
from pawsure.features.store import FeatureStore

PIXELS = "pixels"
"""The output at the input's cut: the picture as it was read, uint8 (S, S, 3)."""

POOLED = "pooled"
"""The mean of the feature map over its places: what a head alone learns from."""

FEATURE_MAP = "feature_map"
"""The backbone's own output: what a model file is made of when only a head was learned."""


@dataclass(frozen=True, kw_only=True)
class Prefix:
    """What comes before the cuts of a backbone, in ONNX.

    Attributes:
        key: identity of backbone, weights, size and scaling; stores are filed under it.
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
        folder = features_dir() / f"{self.key}-{output}" / view
        if folder.is_dir():
            os.utime(folder)  # used now: see `pawsure.features.prune`
        dtype = np.uint8 if output == PIXELS else np.float16
        return FeatureStore(folder, self.shapes[output], dtype)


def identity(**parts: object) -> str:
    """A short name for what decides a prefix's output: 16 hex digits of SHA-256."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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

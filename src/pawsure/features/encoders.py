"""Encoders: backbones up to their pooled features, found by name, without Keras."""

from __future__ import annotations

from pathlib import Path

from pawsure._version import __version__
from pawsure.data.cache import cache_dir
from pawsure.data.checksums import read_checked_json
from pawsure.data.images import PREPROCESSING_VERSION
from pawsure.features.prefix import POOLED, Prefix, graph_key


def encoder_file(weights: str, size_px: int) -> Path:
    """Where an encoder is described: a backbone up to its pooled features, kept by name."""
    return cache_dir() / "encoders" / f"{weights}-{size_px}-{PREPROCESSING_VERSION}.json"


def find_encoder(weights: str, size_px: int) -> tuple[Prefix, str] | None:
    """An encoder that was exported by this version of pawsure, or None.

    Args:
        weights: "imagenet" or "pets".
        size_px: side of the pictures.

    Returns:
        The encoder, and the name of its network for people.
    """
    found = read_checked_json(encoder_file(weights, size_px))
    if found is None or found.get("pawsure") != __version__:
        return None  # not there, damaged, or of another version: it is exported again
    try:
        path, title = Path(found["path"]), str(found["title"])
        shapes = {POOLED: tuple(found["shape"])}
        key = graph_key(path)
        is_same = key == found["key"]  # or damaged, or of another ONNX Runtime
    except (OSError, LookupError, TypeError):  # went away, or is described in another way
        return None
    return (Prefix(key=key, size_px=size_px, shapes=shapes, path=path), title) if is_same else None

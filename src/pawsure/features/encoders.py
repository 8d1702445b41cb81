"""Encoders: backbones up to their pooled features, found by name, without Keras."""

from __future__ import annotations

import json
from pathlib import Path

from pawsure import __version__
from pawsure.data.cache import cache_dir
from pawsure.data.images import WAY_IN_VERSION
from pawsure.features.prefix import POOLED, Prefix


def encoder_file(weights: str, size_px: int) -> Path:
    """Where an encoder is described: a backbone up to its pooled features, kept by name."""
    return cache_dir() / "encoders" / f"{weights}-{size_px}-{WAY_IN_VERSION}.json"


def find_encoder(weights: str, size_px: int) -> tuple[Prefix, str] | None:
    """An encoder that was exported by this version of pawsure, or None.

    Args:
        weights: "imagenet" or "pets".
        size_px: side of the pictures.

    Returns:
        The encoder, and the name of its network for people.
    """
    try:
        told = json.loads(encoder_file(weights, size_px).read_text(encoding="utf-8"))
        path = Path(told["path"])
        if told["pawsure"] != __version__ or not path.is_file():
            return None
        shapes = {POOLED: tuple(told["shape"])}
        title = str(told["title"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, or of another version: it is made anew
    return Prefix(key=told["key"], size_px=size_px, shapes=shapes, path=path), title

"""Statistics of ordinary pictures as a backbone sees them: what a likeness is relative to.

A Gaussian of embeddings of length 1, by a frozen backbone with its ImageNet weights. The files lie
in `backgrounds/`, made by `tools/backgrounds.py`; they hold statistics, no pictures.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np

from pawsure.trust.familiarity import unit_length
from pawsure.trust.gaussian import MOST_DIRECTIONS, Gaussian, fit_gaussian

LEAST_PICTURES = 30
"""Fewer say too little of what ordinary pictures are."""


def background_of(embedding: np.ndarray, *, num_directions: int = MOST_DIRECTIONS) -> Gaussian:
    """The statistics of pictures: embeddings float (N, F)."""
    return fit_gaussian(unit_length(embedding), most_directions=num_directions)


def builtin_background(backbone: str) -> Gaussian | None:
    """The built-in statistics of a backbone by its name; None: there are none."""
    file = resources.files("pawsure.trust") / "backgrounds" / f"{backbone}.npz"
    if not backbone or not file.is_file():
        return None
    with resources.as_file(file) as path:
        return load_background(path)


def load_background(path: str | Path) -> Gaussian:
    """Read a file of `save_background`."""
    with np.load(path, allow_pickle=False) as arrays:
        return Gaussian.from_arrays(arrays)


def save_background(gaussian: Gaussian, path: str | Path) -> None:
    """Write statistics: a third of a megabyte of 1,280 features."""
    with Path(path).open("wb") as file:
        np.savez(file, allow_pickle=False, **gaussian.to_arrays())

"""Statistics of ordinary pictures as a backbone sees them: what a likeness is relative to.

Gaussians of embeddings of length 1, by a frozen backbone with its ImageNet weights: of all
pictures, where each kind of thing counts the same, and of the differences within kinds. The files
lie in `backgrounds/`, made by `tools/backgrounds.py`; they hold statistics, no pictures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import numpy as np

from pawsure.trust.familiarity import Known, unit_length
from pawsure.trust.gaussian import MOST_DIRECTIONS, Gaussian, fit_gaussian, fit_within
from pawsure.trust.log_odds import CompactClassifier

LEAST_PICTURES = 30
"""Fewer say too little of what ordinary pictures are."""

_WITHIN = "within/"


@dataclass(frozen=True, kw_only=True)
class Background:
    """Ordinary pictures.

    Attributes:
        whole: of all of them.
        within: of what pictures of one kind differ in, about 0; None: too few are of one kind.
    """

    whole: Gaussian
    within: Gaussian | None = None


def background_of(
    embedding: np.ndarray, kinds: np.ndarray | None = None, *, num_directions: int = MOST_DIRECTIONS
) -> Background:
    """The statistics of pictures.

    Args:
        embedding: float (N, F).
        kinds: (N,), what kind of thing each shows, such as the folder it lies in; None, or all the
            same: nothing is known of that.
        num_directions: of the Gaussian of all pictures, at most.
    """
    features = unit_length(embedding)
    if kinds is None or len(np.unique(kinds)) == 1:
        return Background(whole=fit_gaussian(features, most_directions=num_directions))
    found, place, num = np.unique(kinds, return_inverse=True, return_counts=True)
    return Background(
        whole=fit_gaussian(features, weight=1 / num[place], most_directions=num_directions),
        within=fit_within(features, place)
        if len(features) - len(found) >= LEAST_PICTURES
        else None,
    )


def known_of(
    background: Background | None,
    classifier: CompactClassifier | None,
    *,
    num_directions: int = MOST_DIRECTIONS,
) -> Known:
    """What a score may build on."""
    return Known(
        backgrounds=() if background is None else (background.whole,),
        within=None if background is None else background.within,
        classifier=classifier,
        num_directions=num_directions,
    )


def builtin_background(backbone: str) -> Background | None:
    """The built-in statistics of a backbone by its name; None: there are none."""
    file = resources.files("pawsure.trust") / "backgrounds" / f"{backbone}.npz"
    if not backbone or not file.is_file():
        return None
    with resources.as_file(file) as path:
        return load_background(path)


def with_within(known: Known, backbone: str) -> Known:
    """What was read from a graph, with the covariance within kinds, which only a fit needs.

    It is in no model file. It is added where the graph has the built-in background of a backbone.
    """
    builtin = builtin_background(backbone)
    if builtin is None or not known.backgrounds:
        return known
    middle = known.backgrounds[0].middle
    if middle.shape != builtin.whole.middle.shape or not np.allclose(middle, builtin.whole.middle):
        return known
    return replace(known, within=builtin.within)


def load_background(path: str | Path) -> Background:
    """Read a file of `save_background`."""
    with np.load(path, allow_pickle=False) as arrays:
        within = {
            name.removeprefix(_WITHIN): arrays[name]
            for name in arrays.files
            if name.startswith(_WITHIN)
        }
        return Background(
            whole=Gaussian.from_arrays(arrays),
            within=Gaussian.from_arrays(within) if within else None,
        )


def save_background(background: Background, path: str | Path) -> None:
    """Write statistics: two thirds of a megabyte of 1,280 features."""
    arrays = background.whole.to_arrays()
    if background.within is not None:
        within = background.within.to_arrays()
        arrays |= {f"{_WITHIN}{name}": array for name, array in within.items()}
    with Path(path).open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)

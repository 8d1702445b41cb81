"""Colours of places and things; none of them knows what animal is about."""

from __future__ import annotations

import numpy as np

from pawsure.sample.canvas import Colour

HUES: tuple[Colour, ...] = (
    (0.80, 0.24, 0.20), (0.90, 0.55, 0.18), (0.94, 0.80, 0.30), (0.36, 0.62, 0.32),
    (0.20, 0.50, 0.52), (0.24, 0.42, 0.72), (0.48, 0.32, 0.62), (0.85, 0.52, 0.60),
    (0.55, 0.38, 0.25), (0.88, 0.86, 0.80), (0.30, 0.31, 0.35), (0.62, 0.70, 0.76),
)  # fmt: skip
WALLS: tuple[Colour, ...] = (
    (0.86, 0.82, 0.74), (0.72, 0.78, 0.76), (0.62, 0.70, 0.80), (0.80, 0.66, 0.58),
    (0.55, 0.62, 0.55), (0.88, 0.86, 0.86), (0.46, 0.42, 0.50), (0.78, 0.72, 0.50),
    (0.36, 0.45, 0.50), (0.82, 0.70, 0.72),
)  # fmt: skip
FLOORS: tuple[Colour, ...] = (
    (0.58, 0.42, 0.28), (0.70, 0.56, 0.40), (0.42, 0.31, 0.24), (0.62, 0.60, 0.58),
    (0.50, 0.40, 0.42), (0.74, 0.68, 0.60), (0.35, 0.40, 0.46),
)  # fmt: skip
SKIES: tuple[Colour, ...] = (
    (0.46, 0.68, 0.90), (0.60, 0.74, 0.86), (0.86, 0.62, 0.50), (0.70, 0.72, 0.76),
    (0.45, 0.48, 0.66),
)  # fmt: skip
GROUNDS: tuple[Colour, ...] = (
    (0.38, 0.55, 0.24), (0.46, 0.60, 0.30), (0.30, 0.46, 0.26), (0.82, 0.72, 0.52),
    (0.90, 0.93, 0.96), (0.66, 0.42, 0.22), (0.56, 0.55, 0.54), (0.55, 0.52, 0.28),
)  # fmt: skip
WOOD: Colour = (0.52, 0.36, 0.22)
GLASS: Colour = (0.70, 0.83, 0.90)


def any_of(colours: tuple[Colour, ...], rng: np.random.Generator) -> Colour:
    """One of the colours, moved a little."""
    return varied(colours[rng.integers(len(colours))], rng)


def varied(colour: Colour, rng: np.random.Generator, spread: float = 0.06) -> Colour:
    """A colour near to the given one; `spread` is the deviation of each channel."""
    red, green, blue = np.clip(np.asarray(colour) + rng.normal(0, spread, 3), 0.05, 0.98).tolist()
    return red, green, blue


def hue(rng: np.random.Generator) -> Colour:
    """A colour for a thing: paint, cloth, petals."""
    red, green, blue = HUES[rng.integers(len(HUES))]
    change = rng.uniform(0.88, 1.1)
    return min(red * change, 1.0), min(green * change, 1.0), min(blue * change, 1.0)

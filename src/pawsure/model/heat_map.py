"""Heat maps: evidence as colour over a picture, with Pillow and NumPy only.

Warm places support the label, blue ones oppose it; the rest of the photograph is unchanged.
Lightness rises from the strongest opposition to the strongest support in even steps (in OKLab),
so the map can be read in grey, in print, and by colour-blind people.

Only what stands out is drawn (`standing_out`): the head adds its bias to all places, and drawn from
zero a map would often have one colour.

`serving/page/heat.js` does the same for web pages, with the same constants; a test compares both.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from PIL import Image

from pawsure.errors import ShapeError
from pawsure.model.evidence import spread

LEAST_SCALE = math.log(9)
"""The least that full strength stands for: evidence that turns even odds into nine to one. Without
this minimum the noise of a flat map would be amplified."""

TYPICAL = 50
"""The percentile of a map that is typical of its picture, and is not drawn."""

STRONGEST = 98
"""The percentile that is drawn at full strength; robust against a single peak."""

GRID = 32
"""Percentiles are taken on a grid of this side, so that they depend neither on the network's
resolution nor on the size of the picture."""

MOST_OPAQUE = 0.74
"""Opacity of the strongest evidence; the picture must stay visible."""

_STEPS = 255  # colours on each side


@cache
def colour_map() -> np.ndarray:
    """RGBA from opposition to support, the middle one transparent: uint8 (2 * 255 + 1, 4)."""
    share = np.linspace(-1, 1, 2 * _STEPS + 1)
    strength = np.abs(share)
    warm = share > 0
    lightness = np.where(warm, 0.60 + 0.24 * strength, 0.54 - 0.20 * strength)
    chroma = np.where(warm, 0.23 - 0.05 * strength, 0.14 + 0.06 * strength)
    hue = np.radians(np.where(warm, 30 + 48 * strength, 250 + 18 * strength))
    rgb = _srgb(lightness, chroma * np.cos(hue), chroma * np.sin(hue))
    opacity = MOST_OPAQUE * strength**0.9
    colours = np.concatenate([rgb, opacity[:, np.newaxis]], axis=1)
    return (255 * colours).round().astype(np.uint8)


def standing_out(evidence: np.ndarray, width: int, height: int) -> np.ndarray:
    """How strongly each place of a picture is drawn.

    A place supports the label by its evidence above both zero and the typical value, and opposes
    it by its evidence below both.

    Args:
        evidence: float (h, w), of `relative_evidence`.
        width: of the picture, in pixels.
        height: the same.

    Returns:
        float32 (height, width), from -1 (opposes) to 1 (supports); 0 is not drawn.

    Raises:
        ShapeError: the evidence has another shape, or is not finite.
    """
    if evidence.ndim != 2 or not evidence.size or not np.isfinite(evidence).all():
        raise ShapeError(f"Evidence to draw is finite and (h, w); this is {evidence.shape}.")

    grid = spread(evidence, GRID, GRID)
    typical = float(np.percentile(grid, TYPICAL))
    strongest = float(np.percentile(np.abs(_beyond(grid, typical)), STRONGEST))
    values = _beyond(spread(evidence, width, height), typical)
    return np.clip(values / max(strongest, LEAST_SCALE), -1, 1)


def _beyond(values: np.ndarray, typical: float) -> np.ndarray:
    return np.maximum(values - max(typical, 0), 0) + np.minimum(values - min(typical, 0), 0)


def heat_map(evidence: np.ndarray, width: int, height: int) -> Image.Image:
    """A heat map as an RGBA picture, transparent where nothing stands out; see `standing_out`."""
    share = standing_out(evidence, width, height)
    place = np.rint(share * _STEPS).astype(np.int64) + _STEPS
    return Image.fromarray(colour_map()[place], "RGBA")


def overlay(picture: Image.Image, evidence: np.ndarray) -> Image.Image:
    """A picture with its heat map: RGB, of the picture's size.

    Args:
        picture: upright, of any size and mode.
        evidence: float (h, w), of `relative_evidence`.

    Raises:
        ShapeError: the evidence has another shape, or is not finite.
    """
    drawn = picture.convert("RGB")
    drawn.paste(over := heat_map(evidence, *drawn.size), mask=over)
    return drawn


def _srgb(lightness: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """OKLab to sRGB in [0, 1]; colours outside of sRGB are clipped.

    Source: Ottosson 2020, "A perceptual color space for image processing"; the curve is that
    of IEC 61966-2-1.
    """
    roots = lightness[:, np.newaxis] + np.stack([a, b], 1) @ np.array(
        [[0.3963377774, -0.1055613458, -0.0894841775], [0.2158037573, -0.0638541728, -1.291485548]]
    )
    linear = np.clip(
        roots**3
        @ np.array(
            [
                [4.0767416621, -1.2684380046, -0.0041960863],
                [-3.3077115913, 2.6097574011, -0.7034186147],
                [0.2309699292, -0.3413193965, 1.707614701],
            ]
        ),
        0,
        1,
    )
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)

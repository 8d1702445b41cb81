"""Evidence as colour over a picture, with Pillow and NumPy alone.

Warm places spoke for the answer, blue ones against it, and what said nothing stays as it is.
Lightness rises all the way from the strongest "against" to the strongest "for", in even steps
(in OKLab), so the map reads in grey, in print, and for eyes that do not tell colours apart.
The picture beneath is paled first: a ginger cat must not look like evidence.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from PIL import Image

from pawsure.errors import ShapeError
from pawsure.model.evidence import spread

LEAST_SCALE = math.log(9)
"""The evidence that is drawn at full strength is never less than this: a place that by itself
would make nine to one of it. Each map runs up to its own largest value, and without this floor
a picture that says next to nothing would look as decided as any other."""

MOST_OPAQUE = 0.74
"""Of the strongest evidence; the picture must still be seen through it."""

_COLOUR_KEPT = 0.1  # of the picture's own
_STEPS = 255  # colours on each side


def colour_map() -> np.ndarray:
    """The colours, from the most against to the most for.

    Returns:
        uint8 (2 * 255 + 1, 4), RGBA; the middle one is transparent.
    """
    return _colours().copy()


@cache
def _colours() -> np.ndarray:
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


def heat_map(evidence: np.ndarray, width: int, height: int) -> Image.Image:
    """Evidence as a picture of its own, transparent where nothing was said.

    Args:
        evidence: float (h, w), of `relative_evidence`.
        width: in pixels.
        height: the same.

    Returns:
        RGBA.

    Raises:
        ShapeError: the evidence is something else.
    """
    if evidence.ndim != 2 or not evidence.size or not np.isfinite(evidence).all():
        raise ShapeError(f"Evidence to draw is finite and (h, w); this is {evidence.shape}.")
    values = spread(evidence, width, height)
    scale = max(float(np.abs(values).max()), LEAST_SCALE)
    place = np.rint(values * (_STEPS / scale)).astype(np.int64) + _STEPS
    return Image.fromarray(_colours()[place], "RGBA")


def overlay(picture: Image.Image, evidence: np.ndarray) -> Image.Image:
    """A picture with its evidence over it.

    Args:
        picture: upright, of any size and mode; the map is drawn at its size.
        evidence: float (h, w), of `relative_evidence`.

    Returns:
        RGB, as large as the picture.

    Raises:
        ShapeError: the evidence is something else.
    """
    rgb = picture.convert("RGB")
    paled = Image.blend(rgb.convert("L").convert("RGB"), rgb, _COLOUR_KEPT)
    paled.paste(over := heat_map(evidence, *rgb.size), mask=over)
    return paled


def _srgb(lightness: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """OKLab to sRGB in [0, 1]; what sRGB has no colour for is clipped.

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

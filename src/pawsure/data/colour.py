"""Every kind of pixel that Pillow knows, as 8-bit RGB."""

from __future__ import annotations

import numpy as np
from PIL import Image

BACKGROUND = (255, 255, 255)
"""RGB that see-through pictures are laid on: white, as on the pages they were made for."""

_SIXTEEN_BIT_MODES = frozenset(["I;16", "I;16L", "I;16B", "I;16N"])


def to_rgb(image: Image.Image) -> Image.Image:
    """Give the picture in mode RGB; the same object if it is that already.

    Alpha, a see-through palette entry or a see-through colour lets `BACKGROUND` show. CMYK
    takes the plain formula (1 - ink) * (1 - black). Colour profiles are not applied, as in
    the loaders of Keras and torchvision: networks were trained without.

    Args:
        image: a loaded picture of any mode.

    Raises:
        ValueError: Pillow can't convert the mode.
    """
    if image.mode in _SIXTEEN_BIT_MODES:
        return _grey(_from_16_bits(np.asarray(image)))
    if image.mode == "I":
        return _grey(_from_integers(np.asarray(image), sixteen_bits=image.format == "PPM"))
    if image.mode == "F":
        return _grey(_from_floats(np.asarray(image)))
    if image.has_transparency_data:
        return _on_background(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _grey(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values).convert("RGB")


def _on_background(image: Image.Image) -> Image.Image:
    # From the premultiplied modes, Pillow only converts in two steps.
    straight = image.convert("LA") if image.mode == "La" else image
    seen = straight.convert("RGBA")
    below = Image.new("RGBA", seen.size, (*BACKGROUND, 255))
    return Image.alpha_composite(below, seen).convert("RGB")


def _from_16_bits(values: np.ndarray) -> np.ndarray:
    """0…65535 to 0…255, to the nearest; Pillow's own conversion to "L" cuts off above 255."""
    return ((values.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def _from_integers(values: np.ndarray, *, sixteen_bits: bool) -> np.ndarray:
    """32-bit grey, whose range no format states: 8 or 16 bits if it fits, else stretched."""
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        return _stretched(values.astype(np.float64))
    if high <= 255 and not sixteen_bits:
        return values.astype(np.uint8)
    return _from_16_bits(values)


def _from_floats(values: np.ndarray) -> np.ndarray:
    """Grey of floats, whose range no format states: 0…1 or 0…255 if it fits, else stretched."""
    values = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 255:
        return _stretched(values)
    return np.rint(values * 255 if high <= 1 else values).astype(np.uint8)


def _stretched(values: np.ndarray) -> np.ndarray:
    """The smallest value becomes 0, the largest 255."""
    low = values.min()
    span = values.max() - low
    return np.rint((values - low) * (255 / span if span else 0)).astype(np.uint8)

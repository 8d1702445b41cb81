"""Every kind of pixel that Pillow has, as 8-bit RGB."""

from __future__ import annotations

import numpy as np
from PIL import Image

BACKGROUND = (255, 255, 255)
"""RGB that shows through transparency: white, as on the pages such pictures were made for."""

_DEEP_MODES = frozenset(["I;16", "I;16L", "I;16B", "I;16N", "I", "F"])
_USUAL_BITS = (8, 10, 12, 14, 16)


def to_rgb(image: Image.Image) -> Image.Image:
    """The picture in mode RGB; the same object if it is that already.

    Transparency shows `BACKGROUND`. CMYK takes the plain formula (1 - ink) * (1 - black). Colour
    profiles are not applied, as in the loaders of Keras and torchvision.

    Args:
        image: a loaded picture of any mode.

    Raises:
        ValueError: Pillow can't convert the mode.
    """
    # These two state their range, and Pillow brings it to 16 bits.
    states_range = image.format in ("PPM", "JPEG2000")
    if image.mode in _DEEP_MODES:
        values = np.asarray(image)
        levels = to_levels(values, bits=16 if states_range and image.mode != "F" else None)
        grey = Image.fromarray(levels).convert("RGB")
        transparent = image.info.get("transparency")
        if image.mode.startswith("I;") and isinstance(transparent, int):
            grey.paste(BACKGROUND, mask=Image.fromarray(values == transparent))
        return grey
    if image.has_transparency_data:
        return _on_background(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def to_levels(values: np.ndarray, *, bits: int | None = None) -> np.ndarray:
    """Bring samples of any depth to 0…255, to the nearest level.

    Args:
        values: of any shape; unsigned, signed or floating.
        bits: used of unsigned samples; None where the format does not say. Then the range is the
            smallest usual one that all values fit: of integers 8, 10, 12, 14 or 16 bits, of floats
            0…1 or 0…255; else they are stretched, smallest to largest.

    Returns:
        uint8, the same shape.
    """
    if values.dtype.kind == "f":
        return _from_floats(values)
    if bits == 8 and values.dtype == np.uint8:
        return values
    if bits is None:
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > 65535:
            return _stretched(values.astype(np.float64))
        bits = _bits_used(low, high, values.dtype.itemsize)
    largest = (1 << bits) - 1
    wide = np.uint32 if bits <= 16 else np.uint64
    return ((values.astype(wide) * 255 + largest // 2) // largest).astype(np.uint8)


def _bits_used(low: int, high: int, itemsize: int) -> int:
    """Microscopes, X-ray stations and cameras put 10 to 14 bits into the low end of 16."""
    if itemsize == 1:
        return 8
    if itemsize == 2 and low == high:  # one value says nothing of the range
        return 16
    return next(bits for bits in _USUAL_BITS if high < 1 << bits)


def _on_background(image: Image.Image) -> Image.Image:
    # From the premultiplied modes, Pillow only converts in two steps.
    straight = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    below = Image.new("RGBA", straight.size, (*BACKGROUND, 255))
    return Image.alpha_composite(below, straight).convert("RGB")


def _from_floats(values: np.ndarray) -> np.ndarray:
    """Floats, whose range no format states: 0…1 or 0…255 if it fits, else stretched."""
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

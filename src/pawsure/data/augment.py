"""Pictures changed at random, as another photograph of the same thing might have been.

NumPy and Pillow only, so that stored views (which go through a frozen prefix) and live
training see exactly the same changes.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from pawsure.data.images import RESAMPLE

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601


AUGMENTATION_VERSION = 1
"""Raised when the same strengths and the same chances give another picture."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How strongly pictures are changed; the defaults leave them as they are.

    Attributes:
        crop: least share of the area that a random crop keeps, in (0, 1]; 1: no crop.
        stretch: largest change of a crop's aspect ratio, as a factor of at least 1.
        flip: whether half of the pictures are mirrored.
        brightness: largest share by which it goes up or down, in [0, 1).
        contrast: the same.
        saturation: the same.
        blur: share of pictures that are blurred, in [0, 1].
        erase: share of pictures in which a rectangle is filled with noise, in [0, 1]
            (Zhong et al. 2020, arXiv:1708.04896).
        grey: share of pictures that lose their colour, in [0, 1].
        jpeg: share of pictures that are compressed as JPEG, quality 25 to 95, in [0, 1].
    """

    crop: float = 1.0
    stretch: float = 1.0
    flip: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    blur: float = 0.0
    erase: float = 0.0
    grey: float = 0.0
    jpeg: float = 0.0

    def problem(self) -> str:
        """What is out of its range; nothing if all is well."""
        if not 0 < self.crop <= 1:
            return f"crop must be in (0, 1]; got {self.crop}"
        if not self.stretch >= 1:
            return f"stretch must be 1 or more; got {self.stretch}"
        for name in ("brightness", "contrast", "saturation"):
            if not 0 <= getattr(self, name) < 1:
                return f"{name} must be in [0, 1); got {getattr(self, name)}"
        for name in ("blur", "erase", "grey", "jpeg"):
            if not 0 <= getattr(self, name) <= 1:
                return f"{name} is a share of the pictures, in [0, 1]; got {getattr(self, name)}"
        return ""


def augment(
    picture: np.ndarray, augmentation: Augmentation, rng: np.random.Generator, *, size_px: int
) -> np.ndarray:
    """Change one picture at random.

    The same generator state gives the same picture.

    Args:
        picture: uint8 (H, W, 3).
        augmentation: how strongly.
        rng: where the chances come from.
        size_px: side of the result, in pixels.

    Returns:
        uint8 (size_px, size_px, 3).
    """
    image = random_crop(
        Image.fromarray(picture),
        rng,
        least_area=augmentation.crop,
        stretch=augmentation.stretch,
        size_px=size_px,
    )
    if augmentation.flip and rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < augmentation.blur:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.2) * size_px / 128))
    pixels = _recoloured(np.asarray(image), augmentation, rng)
    if rng.random() < augmentation.erase:
        pixels = _erased(pixels, rng)
    if rng.random() < augmentation.grey:
        pixels = np.asarray(Image.fromarray(pixels).convert("L").convert("RGB"))
    if rng.random() < augmentation.jpeg:
        pixels = np.asarray(recompressed(Image.fromarray(pixels), int(rng.integers(25, 96))))
    return pixels


def random_crop(
    image: Image.Image,
    rng: np.random.Generator,
    *,
    least_area: float,
    stretch: float,
    size_px: int,
) -> Image.Image:
    """A random part of a picture, resized to a square.

    Args:
        image: of any size and mode that can be resized.
        rng: draws area, aspect ratio and place.
        least_area: smallest share of the area that is kept, in (0, 1].
        stretch: largest change of the aspect ratio, a factor of at least 1.
        size_px: side of the result, in pixels.

    Source: Szegedy et al. 2015, arXiv:1409.4842, section 6 (area and aspect ratio at random).
    """
    width, height = image.size
    area = rng.uniform(least_area, 1.0)
    aspect = math.exp(rng.uniform(-1.0, 1.0) * math.log(stretch))
    part_width = width * min(1.0, math.sqrt(area * aspect))
    part_height = height * min(1.0, math.sqrt(area / aspect))
    left = rng.uniform(0.0, width - part_width)
    top = rng.uniform(0.0, height - part_height)
    return image.resize(
        (size_px, size_px), RESAMPLE, box=(left, top, left + part_width, top + part_height)
    )


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    """A picture after JPEG compression, by libjpeg's quality from 1 to 95."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def _recoloured(
    pixels: np.ndarray, augmentation: Augmentation, rng: np.random.Generator
) -> np.ndarray:
    """Saturation, contrast and brightness, in one pass over the pixels."""
    brightness, contrast, saturation = (
        1.0 + rng.uniform(-strength, strength)
        for strength in (augmentation.brightness, augmentation.contrast, augmentation.saturation)
    )
    if brightness == contrast == saturation == 1.0:
        return np.ascontiguousarray(pixels)
    colour = pixels.astype(np.float32)
    grey = (colour @ _LUMA)[..., np.newaxis]
    mean = float(grey.mean())
    # (grey + s (x - grey) - mean) c + mean, all times b
    colour *= saturation * contrast * brightness
    colour += grey * ((1.0 - saturation) * contrast * brightness)
    colour += mean * (1.0 - contrast) * brightness
    return np.clip(colour + 0.5, 0, 255).astype(np.uint8)


def _erased(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A rectangle of 2-20% of the area, filled with noise."""
    height, width = pixels.shape[:2]
    area = rng.uniform(0.02, 0.2) * height * width
    aspect = math.exp(rng.uniform(-1.0, 1.0) * math.log(3.0))
    part_height = min(height, max(1, round(math.sqrt(area * aspect))))
    part_width = min(width, max(1, round(math.sqrt(area / aspect))))
    top = int(rng.integers(0, height - part_height + 1))
    left = int(rng.integers(0, width - part_width + 1))
    pixels = pixels.copy()
    pixels[top : top + part_height, left : left + part_width] = rng.integers(
        0, 256, (part_height, part_width, 3), dtype=np.uint8
    )
    return pixels

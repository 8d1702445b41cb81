"""Pictures changed as another camera, edit or web site would have: what thresholds have to bear.

Unlike `augment`, which helps a network to learn, these changes stand for the pictures of other
people. They are the same for every run: a picture's changes depend on its content alone.

`CORRUPTIONS` change one thing at a time by five strengths, in the manner of Hendrycks and
Dietterich 2019, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations",
arXiv:1903.12261. `changed` changes many things at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from pawsure.data.augment import random_crop, recompressed
from pawsure.data.images import RESAMPLE

ROOM = 1.5
"""Pictures are read this much larger than they are wanted, so that a crop of 44% of the area keeps
every pixel that it had."""

STRENGTHS = (1, 2, 3, 4, 5)

_LEAST_AREA = 0.3
_LARGEST_STRETCH = 1.3
_JPEG = (25, 95)
_ENHANCED = (
    (ImageEnhance.Brightness, 0.4),
    (ImageEnhance.Contrast, 0.4),
    (ImageEnhance.Color, 0.5),
    (ImageEnhance.Sharpness, 1.0),
)


def changed(picture: np.ndarray, rng: np.random.Generator, size_px: int) -> np.ndarray:
    """Change many things of a picture at random: framing, light, colour, sharpness, compression.

    The same generator state gives the same picture.

    Args:
        picture: uint8 (H, W, 3), better `ROOM` times as large as is wanted.
        rng: where the chances come from.
        size_px: side of the result.

    Returns:
        uint8 (size_px, size_px, 3).
    """
    image = random_crop(
        Image.fromarray(picture),
        rng,
        least_area=_LEAST_AREA,
        stretch=_LARGEST_STRETCH,
        size_px=size_px,
    )
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for enhance, strength in _ENHANCED:
        if rng.random() < 0.6:
            image = enhance(image).enhance(1 + rng.uniform(-strength, strength))
    if rng.random() < 0.3:
        image = _blurred(image, rng.uniform(0.13, 0.77))
    if rng.random() < 0.1:
        image = image.convert("L").convert("RGB")
    if rng.random() < 0.7:
        image = recompressed(image, int(rng.integers(*_JPEG, endpoint=True)))
    return np.asarray(image)


def corrupt(picture: np.ndarray, strengths: Sequence[int], size_px: int) -> np.ndarray:
    """Change a picture in every way, one thing at a time; the same call gives the same pictures.

    Args:
        picture: uint8 (H, W, 3), better `ROOM` times as large as is wanted.
        strengths: 1 to 5, for each of `CORRUPTIONS`.
        size_px: side of the results.

    Returns:
        uint8 (C, size_px, size_px, 3), in the order of `CORRUPTIONS`.
    """
    large = Image.fromarray(picture)
    small = large.resize((size_px, size_px), RESAMPLE)
    return np.stack(
        [
            _cropped(large, strength - 1, size_px)
            if kind == "cropped"  # before the resize, so that the part keeps its pixels
            else np.asarray(change(small, strength - 1))
            for (kind, change), strength in zip(CORRUPTIONS.items(), strengths, strict=True)
        ]
    )


def _cropped(image: Image.Image, at: int, size_px: int) -> np.ndarray:
    """The middle of a picture."""
    width, height = image.size
    side = math.sqrt((0.8, 0.65, 0.5, 0.4, 0.3)[at])
    margin_x, margin_y = width * (1 - side) / 2, height * (1 - side) / 2
    box = (margin_x, margin_y, width - margin_x, height - margin_y)
    return np.asarray(image.resize((size_px, size_px), RESAMPLE, box=box))


def _blurred(image: Image.Image, radius: float) -> Image.Image:
    """By a Gaussian with a radius in pixels of a picture of 128."""
    return image.filter(ImageFilter.GaussianBlur(radius * image.width / 128))


def _smaller(image: Image.Image, share: float) -> Image.Image:
    """With as many pixels a side as this share of it, enlarged again."""
    size = max(1, round(image.width * share))
    small = image.resize((size, size), Image.Resampling.BOX)
    return small.resize(image.size, Image.Resampling.BILINEAR)


def _noisy(image: Image.Image, sigma: float) -> Image.Image:
    """With Gaussian noise, always the same."""
    pixels = np.asarray(image, np.float32)
    noisy = pixels + sigma * _noise(pixels.shape)
    return Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8))


@lru_cache(maxsize=1)  # drawing it takes longer than all else that is done to a picture
def _noise(shape: tuple[int, ...]) -> np.ndarray:
    """Of deviation 1, float64."""
    noise = np.random.default_rng(0).normal(size=shape)
    noise.flags.writeable = False
    return noise


CORRUPTIONS: dict[str, Callable[[Image.Image, int], Image.Image]] = {
    "blurred": lambda image, at: _blurred(image, (0.4, 0.8, 1.2, 1.8, 2.5)[at]),
    "darker": lambda image, at: ImageEnhance.Brightness(image).enhance(
        (0.7, 0.55, 0.4, 0.3, 0.2)[at]
    ),
    "brighter": lambda image, at: ImageEnhance.Brightness(image).enhance(
        (1.3, 1.6, 2.0, 2.5, 3.2)[at]
    ),
    "less contrast": lambda image, at: ImageEnhance.Contrast(image).enhance(
        (0.75, 0.55, 0.4, 0.25, 0.15)[at]
    ),
    "noisy": lambda image, at: _noisy(image, (6, 12, 20, 30, 45)[at]),
    "recompressed": lambda image, at: recompressed(image, (50, 30, 20, 12, 7)[at]),
    "smaller": lambda image, at: _smaller(image, (0.6, 0.45, 0.33, 0.25, 0.18)[at]),
    "cropped": lambda image, at: image,  # see `corrupt`
}
"""By name, what changes a picture of the final size; the index of a strength is 0 to 4."""

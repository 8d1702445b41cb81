"""Painting with soft edges: coverage by supersampling, roundness and shadows by blurring.

Everything but coverage is computed at the size of the picture, part by part and only
within a part's bounding box, so that some forty parts cost some tens of milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFilter

from pawsure.sample.shapes import Points, Shape, turn

Field = NDArray[np.float32]
Colour = tuple[float, float, float]  # red, green, blue, 0…1


@dataclass(frozen=True)
class Light:
    """Where the light comes from and what colour it and the shadows have."""

    x: float = -0.5
    y: float = -0.7
    contrast: float = 1.0
    bright: Colour = (1.04, 1.01, 0.96)
    shade: Colour = (0.86, 0.90, 1.0)

    @property
    def depth(self) -> float:
        """How far the light stands in front of the picture."""
        return float(np.sqrt(max(0.15, 1 - self.x**2 - self.y**2)))


@dataclass(frozen=True)
class View:
    """A coordinate system on the picture: turned, scaled, perhaps mirrored."""

    x: float
    y: float
    scale: float
    angle: float = 0.0
    flip: int = 1

    def at(
        self, x: float, y: float, *, scale: float = 1.0, angle: float = 0.0, flip: int = 1
    ) -> View:
        """A coordinate system placed within this one."""
        ((px, py),) = self.to_picture([(x, y)])
        turned = self.angle + self.flip * angle
        return View(px, py, self.scale * scale, turned, self.flip * flip)

    def to_picture(self, points: ArrayLike) -> Points:
        """Own coordinates (N, 2) to pixels."""
        own = np.asarray(points, dtype=np.float64) * (self.flip, 1)
        return turn(own, self.angle) * self.scale + (self.x, self.y)

    def to_own(self, x: Field, y: Field) -> tuple[Field, Field]:
        """Pixel coordinates, arrays that broadcast, to own ones."""
        cos, sin = np.cos(self.angle) / self.scale, np.sin(self.angle) / self.scale
        dx, dy = x - np.float32(self.x), y - np.float32(self.y)
        own_x = self.flip * (np.float32(cos) * dx + np.float32(sin) * dy)
        own_y = np.float32(cos) * dy - np.float32(sin) * dx
        return cast(Field, own_x), cast(Field, own_y)


@dataclass(frozen=True)
class Patch:
    """How much of each pixel a shape covers, within the shape's bounding box."""

    left: int
    top: int
    mask: Field  # (h, w), 0…1

    def grid(self) -> tuple[Field, Field]:
        """Pixel centres: x as (1, w) and y as (h, 1)."""
        h, w = self.mask.shape
        x = np.arange(self.left, self.left + w).astype(np.float32) + np.float32(0.5)
        y = np.arange(self.top, self.top + h).astype(np.float32) + np.float32(0.5)
        return x[None, :], y[:, None]


@dataclass
class Canvas:
    """A picture being painted; `pixels` is float32 (3, H, W), 0…1 sRGB.

    Colour planes come first: the same sum over them takes a sixth of the time.
    """

    width: int
    height: int
    light: Light = field(default_factory=Light)

    def __post_init__(self) -> None:
        """Begin with middle grey."""
        self.pixels = np.full((3, self.height, self.width), 0.5, dtype=np.float32)

    def patch(self, shape: Sequence[Points], *, margin: int = 0) -> Patch | None:
        """Cover a shape given in pixels; None when it lies outside the picture.

        Args:
            shape: polygons whose union is meant.
            margin: pixels beyond the picture's edge that are kept, for blurs.
        """
        corners = np.concatenate(shape) if len(shape) > 1 else shape[0]
        (x0, y0), (x1, y1) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        left, top = max(math.floor(x0) - 1, -margin), max(math.floor(y0) - 1, -margin)
        right = min(math.ceil(x1) + 1, self.width + margin)
        bottom = min(math.ceil(y1) + 1, self.height + margin)
        if right <= left or bottom <= top:
            return None
        return Patch(left, top, _coverage(shape, left, top, right - left, bottom - top))

    def blend(self, patch: Patch, colour: ArrayLike, opacity: Field | float = 1.0) -> None:
        """Lay a colour, (3,) or (3, h, w), over what is there."""
        target, (rows, columns) = self._overlap(patch.left, patch.top, patch.mask.shape)
        if target.size == 0:
            return
        amount = (patch.mask * np.asarray(opacity, dtype=np.float32))[rows, columns]
        paint = planes(colour)
        if paint.shape[1:] != (1, 1):
            paint = paint[:, rows, columns]
        change = paint - target
        change *= amount
        target += change

    def fill(self, shape: Sequence[Points], colour: ArrayLike, opacity: float = 1.0) -> None:
        """Paint a shape given in pixels in one flat colour."""
        patch = self.patch(shape)
        if patch is not None:
            self.blend(patch, colour, opacity)

    def shadow(
        self, patch: Patch, *, dx: float = 0, dy: float = 0, blur: float = 4, strength: float = 0.4
    ) -> None:
        """Darken the picture under a blurred, shifted copy of the patch."""
        step = min(max(int(blur / 2.2), 1), 8)
        pad = int(2 * blur / step) + 2
        roomy = _padded(_reduced(patch.mask, step), pad)
        h, w = roomy.shape
        soft = _grown(_blur(roomy, max(1.0, blur) / step), step, (h * step, w * step))
        left, top = patch.left - pad * step + round(dx), patch.top - pad * step + round(dy)
        target, inside = self._overlap(left, top, soft.shape)
        depth = np.float32(strength) * (1.55 - 0.88 * planes(self.light.shade))
        left_over = depth * soft[inside]
        np.subtract(1, left_over, out=left_over)
        target *= left_over

    def relief(self, mask: Field, roundness: float) -> Field:
        """How bright each pixel of a bulging part is: about 1 where it faces the viewer.

        Args:
            mask: float32 (h, w), the part's coverage.
            roundness: how far in from the edge the surface bends, in pixels.
        """
        step = min(max(int(roundness / 3.2), 1), 6)
        radius = roundness / step
        pad = math.ceil(1.2 * radius)
        small = _padded(_reduced(mask, step), pad)
        height = (1.3 * _blur(small, radius) + 0.5 * _blur(small, radius / 3)) * np.float32(radius)
        slope_y, slope_x = _slopes(height)
        light = self.light
        facing = light.depth - light.x * slope_x - light.y * slope_y
        facing = facing / np.sqrt(1 + slope_x**2 + slope_y**2)
        lit = np.clip(facing / light.depth, 0, 1.6) - 1
        bright = 1 + np.float32(0.42 * light.contrast) * lit
        return _grown(np.ascontiguousarray(bright[pad:-pad, pad:-pad]), step, mask.shape)

    def lit(self, colour: Field, brightness: Field) -> Field:
        """Apply brightness to a colour (3, h, w), with warm lights and cool shadows."""
        level = np.clip((brightness - 0.55) / 0.6, 0, 1)
        shade, bright = planes(self.light.shade), planes(self.light.bright)
        tint = level * (bright - shade)
        tint += shade
        tint *= brightness
        tint *= colour
        return tint

    def blur(self, radius: float) -> None:
        """Put the whole picture out of focus; eight bits are enough for what is left."""
        soft = self.image()
        if radius < 2:
            soft = soft.filter(ImageFilter.GaussianBlur(radius))
        else:  # the same on a quarter of the pixels
            small = soft.reduce(2).filter(ImageFilter.GaussianBlur(radius / 2))
            soft = small.resize(soft.size, Image.Resampling.BICUBIC)
        self.pixels = np.asarray(soft, dtype=np.float32).transpose(2, 0, 1) / np.float32(255)

    def image(self) -> Image.Image:
        """The picture as Pillow's RGB."""
        whole = (np.clip(self.pixels, 0, 1) * 255 + 0.5).astype(np.uint8)
        return Image.fromarray(np.ascontiguousarray(whole.transpose(1, 2, 0)))

    def _overlap(
        self, left: int, top: int, shape: tuple[int, ...]
    ) -> tuple[Field, tuple[slice, slice]]:
        x0, y0 = max(left, 0), max(top, 0)
        x1 = max(x0, min(left + shape[1], self.width))
        y1 = max(y0, min(top + shape[0], self.height))
        inside = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
        return self.pixels[:, y0:y1, x0:x1], inside


def _coverage(shape: Sequence[Points], left: int, top: int, width: int, height: int) -> Field:
    fine = 4 if width * height < 30_000 else 3
    sheet = Image.new("L", (width * fine, height * fine))
    draw = ImageDraw.Draw(sheet)
    for polygon in shape:
        corners = (polygon - (left, top)) * fine - 0.5
        draw.polygon(corners.ravel().tolist(), fill=255)
    return np.asarray(sheet.reduce(fine), dtype=np.float32) / np.float32(255)


def _reduced(values: Field, step: int) -> Field:
    return np.asarray(Image.fromarray(values).reduce(step)) if step > 1 else values


def _grown(values: Field, step: int, shape: tuple[int, ...]) -> Field:
    if step == 1:
        return values
    h, w = shape
    # The last column and row of a reduced copy may stand for fewer pixels than the rest.
    edges = (0, 0, w / step, h / step)
    grown = Image.fromarray(values).resize((w, h), Image.Resampling.BILINEAR, box=edges)
    return np.asarray(grown)


def _padded(values: Field, pad: int) -> Field:
    h, w = values.shape
    roomy = np.zeros((h + 2 * pad, w + 2 * pad), dtype=np.float32)
    roomy[pad : pad + h, pad : pad + w] = values
    return roomy


def _blur(values: Field, radius: float) -> Field:
    """About a Gaussian of deviation radius / 2, by shrinking and growing again.

    Each of the two is a triangular filter n pixels wide, of variance n² / 6.
    """
    n = 0.87 * radius
    if n < 1.2:
        return values
    h, w = values.shape
    small = (max(1, round(w / n)), max(1, round(h / n)))
    shrunk = Image.fromarray(values).resize(small, Image.Resampling.BILINEAR)
    return np.asarray(shrunk.resize((w, h), Image.Resampling.BICUBIC))


def _slopes(height: Field) -> tuple[Field, Field]:
    down, right = np.zeros_like(height), np.zeros_like(height)
    down[1:-1] = (height[2:] - height[:-2]) * 0.5
    right[:, 1:-1] = (height[:, 2:] - height[:, :-2]) * 0.5
    return down, right


def smoothstep(low: float, high: float, values: Field) -> Field:
    """0 below `low`, 1 above `high` (or the reverse when high < low), smooth between."""
    t = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)
    return cast(Field, t * t * (3 - 2 * t))


def planes(colour: ArrayLike) -> Field:
    """A colour as planes, (3, 1, 1) or (3, h, w), that go with arrays (h, w)."""
    values = np.asarray(colour, dtype=np.float32)
    return values.reshape(3, 1, 1) if values.ndim == 1 else values


def mix(first: ArrayLike, second: ArrayLike, amount: Field | float) -> Field:
    """Go from the first colour to the second; amount 0…1, one number or float (h, w).

    Returns:
        float32 (3, h, w), or (3,) when both colours and the amount are plain.
    """
    a, b = np.asarray(first, dtype=np.float32), np.asarray(second, dtype=np.float32)
    share = np.asarray(amount, dtype=np.float32)
    if share.ndim or a.ndim != b.ndim:
        a, b = planes(a), planes(b)
    change = (b - a) * share
    change += a
    return cast(Field, change)


def as_shape(*outlines: Points | Shape) -> Shape:
    """One shape of several outlines and shapes."""
    flat: Shape = []
    for outline in outlines:
        flat.extend(outline if isinstance(outline, list) else [outline])
    return flat

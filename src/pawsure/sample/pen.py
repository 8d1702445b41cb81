"""Draws plain things at a place on a canvas: smooth solids, flat shapes, fine lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from pawsure.sample.canvas import Canvas, Field, Patch, View, as_shape, mix, planes, smoothstep
from pawsure.sample.shapes import Points, Shape, ellipse, limb

DARK = (0.10, 0.08, 0.08)


@dataclass(frozen=True)
class Pen:
    """A canvas and a coordinate system on it; all lengths are in its units."""

    canvas: Canvas
    view: View
    rng: np.random.Generator

    def at(
        self, x: float, y: float, *, scale: float = 1.0, angle: float = 0.0, flip: int = 1
    ) -> Self:
        """The same pen in a coordinate system placed within this one."""
        return replace(self, view=self.view.at(x, y, scale=scale, angle=angle, flip=flip))

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the canvas in own units."""
        return self.canvas.width / self.view.scale, self.canvas.height / self.view.scale

    def grid(self, top: int = 0) -> tuple[Field, Field]:
        """Own coordinates of the canvas's pixels from row `top` down, for an upright view.

        Returns:
            x as float32 (1, width) and y as float32 (height - top, 1).
        """
        unit = np.float32(self.view.scale)
        x = np.arange(self.canvas.width, dtype=np.float32)[None, :] / unit
        return x, np.arange(top, self.canvas.height, dtype=np.float32)[:, None] / unit

    def to_pixels(self, outline: Points | Shape) -> Shape:
        """The outline's polygons on the canvas."""
        return [self.view.to_picture(polygon) for polygon in as_shape(outline)]

    def solid(
        self,
        outline: Points | Shape,
        colour: ArrayLike,
        *,
        roundness: float = 0.1,
        shadow: float = 0.0,
        opacity: float = 1.0,
        gloss: float = 0.0,
    ) -> None:
        """Paint a smooth bulging part: a nose, a tongue, a collar, a cushion.

        Args:
            outline: in own coordinates.
            colour: (3,), 0…1.
            roundness: how far in from the edge the surface bends.
            shadow: strength of the shadow thrown on what is behind.
            opacity: 0…1.
            gloss: strength of the highlight.
        """
        radius = max(1.5, roundness * self.view.scale)
        patch = self.canvas.patch(self.to_pixels(outline), margin=int(radius) + 2)
        if patch is None:
            return
        if shadow:
            self.throw_shadow(patch, shadow)
        bright = self.canvas.relief(patch.mask, radius)
        lit = self.canvas.lit(planes(colour), bright)
        if gloss:
            lit = mix(lit, (1, 1, 1), gloss * smoothstep(1.0, 1.35, bright))
        self.canvas.blend(patch, lit, opacity)

    def throw_shadow(self, patch: Patch, strength: float) -> None:
        """Darken what lies behind the patch, away from the light."""
        light, reach = self.canvas.light, 0.06 * self.view.scale
        self.canvas.shadow(
            patch,
            dx=-light.x * reach,
            dy=max(0.3, -light.y) * reach,
            blur=0.16 * self.view.scale,
            strength=strength,
        )

    def ground_shadow(self, x: float, width: float, *, strength: float = 0.75) -> None:
        """The soft dark place under something that stands at y = 0."""
        spot = ellipse(x, 0.02, width, 0.20)
        patch = self.canvas.patch(self.to_pixels(spot), margin=int(self.view.scale))
        if patch is not None:
            self.canvas.shadow(patch, blur=0.35 * self.view.scale, strength=strength)

    def line(
        self,
        points: ArrayLike,
        width: float | tuple[float, ...],
        colour: ArrayLike = DARK,
        opacity: float = 0.85,
    ) -> None:
        """A fine line; width is one number or one for each point."""
        self.lines([points], width, colour, opacity)

    def lines(
        self,
        paths: Sequence[ArrayLike],
        width: float | tuple[float, ...],
        colour: ArrayLike = DARK,
        opacity: float = 0.85,
    ) -> None:
        """Several fine lines of the same width and colour, at the cost of one."""
        shape: Shape = []
        for points in paths:
            n = len(np.asarray(points))
            radii = [w / 2 for w in (width if isinstance(width, tuple) else (width,) * n)]
            shape.extend(limb(points, radii, joints=False))
        self.flat(shape, colour, opacity)

    def flat(self, outline: Points | Shape, colour: ArrayLike, opacity: float = 1.0) -> None:
        """One even colour."""
        self.canvas.fill(self.to_pixels(outline), colour, opacity)

    def glint(self, x: float, y: float, radius: float, opacity: float = 0.95) -> None:
        """A small reflection of the light."""
        self.flat(ellipse(x, y, radius, radius, steps=14), (1, 1, 1), opacity)

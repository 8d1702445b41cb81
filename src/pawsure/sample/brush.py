"""Paints the parts of one animal that fur grows on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pawsure.sample.canvas import Colour, Field, Patch, as_shape, mix, smoothstep
from pawsure.sample.coat import Coat
from pawsure.sample.pen import Pen
from pawsure.sample.shapes import Points, Shape, furry
from pawsure.sample.texture import curls, hair, smooth_noise


@dataclass(frozen=True)
class Mark:
    """A soft-edged ellipse of another colour on a part, in the part's own coordinates."""

    x: float
    y: float
    rx: float
    ry: float
    colour: Colour
    amount: float = 1.0
    soft: float = 0.35
    angle: float = 0.0

    def cover(self, x: Field, y: Field) -> Field:
        """How much of the mark's colour shows, 0…1, ragged as fur is."""
        cos, sin = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        dx, dy = x - np.float32(self.x), y - np.float32(self.y)
        across, along = (cos * dx + sin * dy) / self.rx, (cos * dy - sin * dx) / self.ry
        ragged = 0.16 * smooth_noise(x, y, size=0.16, seed=self.x * 7 + self.y)
        radius = np.sqrt(across**2 + along**2) + ragged
        return np.float32(self.amount) * smoothstep(1 + self.soft, 1 - self.soft, radius)


@dataclass(frozen=True)
class Brush(Pen):
    """A pen that knows the coat that is being painted."""

    coat: Coat

    def fur(
        self,
        outline: Points | Shape,
        role: str,
        *,
        flow: float | tuple[float, float] = np.pi / 2,
        roundness: float = 0.4,
        tufts: float = 1.0,
        fade: tuple[float, float] | None = None,
        fade_x: tuple[float, float] | None = None,
        shadow: float = 0.3,
        dim: float = 1.0,
        marks: tuple[Mark, ...] = (),
    ) -> None:
        """Paint a part that hair grows on.

        Args:
            outline: in own coordinates; the first polygon's edge gets the tufts.
            role: which part of the coat it wears, see `Coat.colour`.
            flow: angle along which hair lies, or the point that it grows away from.
            roundness: how far in from the edge the surface bends, own units.
            tufts: how ragged the edge is, in hair lengths.
            fade: y at which the part is invisible, and y at which it is whole.
            fade_x: the same for x.
            shadow: strength of the shadow that it throws on what is behind it.
            dim: brightness, below 1 for parts on the far side.
            marks: laid over the coat, in order.
        """
        patch = self._furry_patch(as_shape(outline), tufts, roundness)
        if patch is None:
            return
        canvas, scale = self.canvas, self.view.scale
        if shadow:
            self.throw_shadow(patch, shadow)
        px, py = patch.grid()
        x, y = self.view.to_own(px, py)
        colour = self.coat.colour(role, x, y)
        for mark in (m for m in marks if m.amount):
            colour = mix(colour, mark.colour, mark.cover(x, y))
        bright = canvas.relief(patch.mask, max(2.0, roundness * scale))
        bright = bright * (1 + self._hair(px, py, flow)) * np.float32(dim)
        opacity: Field | float = 1.0
        if fade is not None:
            opacity = opacity * smoothstep(*fade, y)
        if fade_x is not None:
            opacity = opacity * smoothstep(*fade_x, x)
        canvas.blend(patch, canvas.lit(colour, bright), opacity)

    def _furry_patch(self, shape: Shape, tufts: float, roundness: float) -> Patch | None:
        pixels = self.to_pixels(shape)
        length = tufts * (0.02 + 0.08 * self.coat.length) * self.view.scale
        if tufts:
            spacing = max(1.8, (0.035 + 0.03 * self.coat.length) * self.view.scale)
            pixels[0] = furry(pixels[0], self.rng, length=max(0.5, length), spacing=spacing)
        return self.canvas.patch(pixels, margin=int(roundness * self.view.scale) + 4)

    def _hair(self, px: Field, py: Field, flow: float | tuple[float, float]) -> Field:
        amount = np.float32(0.075 + 0.115 * self.coat.length)
        if self.coat.curly:
            return amount * np.float32(1.2) * curls(px, py, seed=self.coat.seed)
        if isinstance(flow, tuple):
            ((cx, cy),) = self.view.to_picture([flow])
            dx, dy = px - np.float32(cx), py - np.float32(cy)
            along = np.sqrt(dx**2 + dy**2)
            across = np.arctan2(dy, dx) * np.float32(0.55 * self.view.scale)
        else:
            angle = self.view.angle + (flow if self.view.flip > 0 else np.pi - flow)
            cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
            # A slow wave keeps long parallel hair from looking combed.
            wave = 3 * smooth_noise(px, py, size=40, seed=self.coat.seed)
            along, across = cos * px + sin * py, cos * py - sin * px + wave
        return amount * hair(along, across, seed=self.coat.seed)

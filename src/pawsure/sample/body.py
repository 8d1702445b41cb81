"""Parts of bodies that the poses are put together from.

The brush's origin is on the ground under the animal; one unit is half the width of the head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pawsure.sample import cat, dog
from pawsure.sample.brush import Brush, Mark
from pawsure.sample.build import Build
from pawsure.sample.face import Look, collar
from pawsure.sample.pen import DARK
from pawsure.sample.shapes import ellipse, limb

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Animal:
    """One cat or dog about to be painted."""

    kind: str
    build: Build
    look: Look
    collar: bool
    side: bool  # the head is seen from the side
    roll: float  # of the head, radians


def paint_head(brush: Brush, animal: Animal, x: float, y: float, scale: float = 1.0) -> None:
    """The head with its skull's middle at (x, y)."""
    head = brush.at(x, y, scale=scale * animal.build.head, angle=animal.roll)
    painter = cat if animal.kind == "cat" else dog
    if animal.side:
        painter.side_head(head, animal.build, animal.look)
    else:
        painter.front_head(head, animal.build, animal.look)


def paint_tail(brush: Brush, build: Build, points: list[Point], thickness: float = 0.17) -> None:
    """A tail along the points, from the root to where it would end at length 1."""
    if build.tail == "short":
        points = points[:2]
    reach = np.asarray(points, dtype=np.float64)
    reach = reach[0] + (reach - reach[0]) * build.tail_length
    n = len(reach)
    shape = {
        "long": np.linspace(1.0, 0.62, n),
        "curled": np.linspace(1.3, 1.0, n),
        "short": np.linspace(1.1, 0.7, n),
        "bushy": 1.0 + 1.2 * np.sin(np.linspace(0.15, 2.9, n)),
    }[build.tail]
    radii = (thickness * shape * (1 + 0.5 * build.hair)).tolist()
    flow = float(np.arctan2(*(reach[-1] - reach[0])[::-1]))
    tufts = 1.6 if build.tail in ("bushy", "curled") else 1.0
    brush.fur(limb(reach, radii), "tail", flow=flow, roundness=0.17, tufts=tufts, shadow=0.35)


def paint_leg(
    brush: Brush,
    build: Build,
    points: list[Point],
    radii: tuple[float, ...],
    *,
    dim: float = 1.0,
    melt: float = 0.5,
    paw: float = 0.0,
) -> None:
    """A leg along the points, hip to paw; its first `melt` share fades into the body.

    Args:
        brush: of the body.
        build: thickness of legs.
        points: from hip to ankle.
        radii: one for each point.
        dim: brightness, below 1 on the far side.
        melt: height over which the leg grows out of the body, own units; 0 for none.
        paw: how far the paw points to the right; 0 seen from the front.
    """
    thick = [r * build.leg_width for r in radii]
    top, (x, y) = points[0][1], points[-1]
    fade = (top - 0.1, top + melt) if melt else None
    brush.fur(limb(points, thick), "leg", roundness=0.16, fade=fade, dim=dim,
              shadow=0.0 if melt else 0.25)  # fmt: skip
    paint_paw(brush, x + 0.6 * paw * thick[-1], y + 0.02, 1.35 * thick[-1] + 0.04, paw, dim)


def paint_paw(brush: Brush, x: float, y: float, size: float, side: float, dim: float = 1.0) -> None:
    """A paw with toes, centred at (x, y); `side` is -1…1, how far it points left or right."""
    long = size * (1.0 + 0.25 * abs(side))
    shape = ellipse(x, y, long, 0.68 * size)
    brush.fur(shape, "paw", roundness=0.13, shadow=0.25, dim=dim, tufts=0.6)
    toes = (0.35, 0.7) if side > 0 else (-0.35, 0.35) if side == 0 else (-0.7, -0.35)
    gaps = [[(x + t * long, y + 0.08 * size), (x + t * long * 0.95, y + 0.5 * size)] for t in toes]
    brush.lines(gaps, 0.03, DARK, 0.45)


def chest_mark(brush: Brush, x: float, y: float, rx: float, ry: float) -> tuple[Mark, ...]:
    """The pale patch on a chest, if the coat has one."""
    coat = brush.coat
    return (Mark(x, y, rx, ry, coat.pale, coat.pale_chest, soft=0.4),)


def paint_front_neck(brush: Brush, animal: Animal, x: float, top: float) -> None:
    """A neck seen from the front, over shoulders whose upper edge is at `top`, and its collar."""
    build = animal.build
    neck = limb([(x, top + 0.35), (x * 1.1, top - 0.45)], [0.58, 0.52])
    brush.fur(neck, "chest", roundness=0.4, tufts=1.6, shadow=0.0, fade=(top + 0.9, top + 0.3))
    if animal.collar:
        band = [(x - 0.52, top - 0.10), (x - 0.25, top + 0.07), (x, top + 0.12),
                (x + 0.25, top + 0.07), (x + 0.52, top - 0.10)]  # fmt: skip
        collar(brush, band, 0.11 + 0.02 * build.leg_width, brush.coat)


def paint_side_neck(brush: Brush, animal: Animal, low: Point, high: Point) -> None:
    """A neck seen from the side, from the shoulders up to the head, and its collar."""
    neck = limb([low, high], [0.60, 0.50])
    brush.fur(neck, "body", flow=2.0, roundness=0.4,
              tufts=1.3, shadow=0.0, fade=(low[1] + 0.55, low[1] + 0.1))  # fmt: skip
    if animal.collar:
        along = np.subtract(high, low) / np.hypot(*np.subtract(high, low))
        middle = np.add(low, high) / 2 + along * 0.05
        across = np.array([along[1], -along[0]]) * -0.54
        band = [middle - across, middle + along * -0.10, middle + across * 0.8 + along * -0.06]
        collar(brush, [(float(x), float(y)) for x, y in band], 0.12, brush.coat)


def paint_reaching_leg(
    brush: Brush, build: Build, start: Point, end: float, y: float, dim: float
) -> None:
    """A fore leg that lies along the ground, from `start` to the paw at (end, y)."""
    radii = [r * build.leg_width for r in (0.30, 0.20, 0.17)]
    shape = limb([start, ((start[0] + end) / 2, y - 0.10), (end, y)], radii)
    fade = (start[0] - 0.2, start[0] + 0.3) if dim == 1.0 else None
    brush.fur(shape, "leg", flow=0.0, roundness=0.16, shadow=0.3 if dim < 1 else 0.0,
              fade_x=fade, dim=dim)  # fmt: skip
    paint_paw(brush, end + 0.08, y + 0.01, 0.24 * build.leg_width, 1.0, dim)

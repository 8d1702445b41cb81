"""What cats' and dogs' faces share: eyes, ears that stand or fold, whiskers, collars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pawsure.sample.brush import Brush
from pawsure.sample.build import Build
from pawsure.sample.canvas import mix, planes, smoothstep
from pawsure.sample.coat import PINK, Coat
from pawsure.sample.pen import DARK
from pawsure.sample.shapes import Points, curve, ellipse, mirror


@dataclass(frozen=True)
class Look:
    """What a head is doing."""

    yaw: float = 0.0  # -1 looks fully left of the viewer … 1 right
    pitch: float = 0.0  # -1 up … 1 down
    closed: bool = False
    pupil: float = 0.5  # 0 a slit … 1 wide open
    open_mouth: bool = False
    gaze: float = 0.0  # where the eyes look, -1…1


def eye(
    brush: Brush, build: Build, look: Look, *, outline: Points, iris: float, slit: bool
) -> None:
    """One eye about the brush's origin, seen through the lids' outline.

    Args:
        brush: set at the eye's centre.
        build: gives the colour.
        look: pupil, gaze, and whether the lids are closed.
        outline: the opening between the lids.
        iris: its radius.
        slit: whether the pupil narrows to a vertical slit or to a disc.
    """
    if look.closed:
        low = outline[outline[:, 1] >= 0]
        low = low[np.argsort(low[:, 0])]
        brush.line(low * (1, 0.5) + (0, 0.3 * iris), 0.16 * iris + 0.018, DARK, 0.8)
        return
    brush.flat(outline * 1.17 + (0, -0.012), DARK, 0.92)
    canvas, view = brush.canvas, brush.view
    patch = canvas.patch([view.to_picture(outline)])
    if patch is None:
        return
    x, y = view.to_own(*patch.grid())
    x = x - np.float32(look.gaze * 0.25 * iris)
    radius = np.sqrt(x**2 + y**2) / np.float32(iris)
    edge = max(0.10, 1.2 / (view.scale * iris))
    white = mix((0.93, 0.91, 0.88), (0.75, 0.70, 0.68), smoothstep(0.9, 1.6, radius))
    tone = (0.62 + 0.5 * smoothstep(-0.7, 0.8, y / iris)) * (1.12 - 0.45 * radius**3)
    colour = np.clip(planes(build.iris) * tone, 0, 1)
    colour = mix(colour, white, smoothstep(1.0 - edge, 1.0 + edge, radius))
    width = (0.24 + 0.56 * look.pupil) if slit else 0.52 + 0.12 * look.pupil
    height = 0.82 if slit else width
    pupil = np.sqrt((x / (width * iris)) ** 2 + (y / (height * iris)) ** 2)
    colour = mix(colour, (0.04, 0.04, 0.05), smoothstep(1.0 + edge, 1.0 - edge, pupil))
    lid = smoothstep(-0.25, -1.0, y / iris)
    canvas.blend(patch, colour * (1 - 0.55 * lid))
    side = 1 if canvas.light.x * view.flip > 0 else -1
    brush.glint(side * 0.30 * iris, -0.34 * iris, 0.20 * iris)
    brush.glint(-side * 0.34 * iris, 0.38 * iris, 0.10 * iris, 0.55)


def pointed_ear(
    brush: Brush,
    build: Build,
    *,
    width: float,
    height: float,
    round_tip: float,
    in_front: bool = False,
) -> None:
    """An ear that stands, its base about the brush's origin, its outer side to the right.

    Args:
        brush: set at the base; its x axis along the base.
        build: leans and sizes it.
        width: of the base.
        height: above the base.
        round_tip: 0 sharp … 1 round.
        in_front: whether its base melts into the head that it is painted on.
    """
    w, h = width * build.ear_size, height * build.ear_size
    tip = 0.04 + 0.10 * round_tip
    outline = curve(
        [(-0.42 * w, 0.25), (-0.42 * w, -0.35 * h), (-tip * w + 0.04, -0.96 * h),
         (tip * w + 0.06, -h), (0.14 * w + tip * w, -0.90 * h), (0.46 * w, -0.35 * h),
         (0.42 * w, 0.25)]
    )  # fmt: skip
    fade, shadow = ((0.24, -0.12), 0.0) if in_front else (None, 0.25)
    brush.fur(outline, "ear", flow=-np.pi / 2, roundness=0.16, shadow=shadow, fade=fade)
    low = -0.10 if in_front else 0.12
    inner = curve(
        [(-0.28 * w, low), (-0.22 * w, -0.35 * h), (0.05, -0.80 * h), (0.26 * w, -0.3 * h),
         (0.32 * w, low)]
    )  # fmt: skip
    pink = mix(PINK, brush.coat.dark, 0.45 if sum(brush.coat.skin) < 1 else 0.1)
    brush.solid(inner, mix(pink, (0.25, 0.16, 0.15), 0.15), roundness=0.22, opacity=0.9)
    _ear_hair(brush, w, h, low)


def _ear_hair(brush: Brush, w: float, h: float, low: float) -> None:
    paths = []
    for offset in np.linspace(-0.3, 0.25, 5):
        reach = brush.rng.uniform(0.35, 0.6) * h + 0.1
        x = offset * w
        paths.append([(x, low), (x * 0.9 + 0.05, -0.5 * reach), (x + 0.1, -reach)])
    colour = mix(brush.coat.pale, brush.coat.base, 0.35)
    brush.lines(paths, (0.07, 0.05, 0.008), colour, 0.6)


def ears_both_sides(
    build: Build, look: Look, across: float, up: float
) -> list[tuple[float, float, int, float]]:
    """Where two ears stand on a head seen from the front: x, y, flip, angle for each."""
    return [
        (side * across * (1 - 0.08 * abs(look.yaw)) - 0.06 * look.yaw, up + 0.08 * look.pitch, side,
         build.ear_spread + 0.30)
        for side in (-1, 1)
    ]  # fmt: skip


def both_sides(points: list[tuple[float, float]]) -> Points:
    """A closed outline from its right half, top to bottom."""
    right = np.asarray(points, dtype=np.float64)
    left = mirror(right)[::-1]
    if right[-1, 0] == 0:
        left = left[1:]
    if right[0, 0] == 0:
        left = left[:-1]
    return curve(np.concatenate([right, left]))


def collar(brush: Brush, points: list[tuple[float, float]], width: float, style: Coat) -> None:
    """A band round the neck along the points, with a tag at its middle."""
    hue = brush.rng.integers(len(COLLARS))
    colour = COLLARS[hue]
    brush.line(points, width * 1.25, (0.05, 0.05, 0.06), 0.35)
    brush.line(points, width, colour, 1.0)
    brush.line([(x, y - 0.25 * width) for x, y in points], 0.2 * width, (1, 1, 1), 0.22)
    x, y = points[len(points) // 2]
    metal = (0.88, 0.74, 0.32) if style.seed % 2 < 1 else (0.78, 0.80, 0.84)
    tag = ellipse(x, y + 0.9 * width, 0.8 * width, 0.8 * width)
    brush.solid(tag, metal, roundness=0.08, gloss=0.8)


COLLARS = (
    (0.75, 0.16, 0.16), (0.16, 0.36, 0.68), (0.13, 0.50, 0.36), (0.85, 0.55, 0.15),
    (0.45, 0.22, 0.55), (0.15, 0.15, 0.17), (0.90, 0.45, 0.60), (0.25, 0.65, 0.70),
)  # fmt: skip

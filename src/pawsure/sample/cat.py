"""A cat's head, from the front (turned up to three quarters) and from the side.

The brush's origin is the middle of the skull; one unit is half the width of the head.
"""

from __future__ import annotations

import numpy as np

from pawsure.sample.brush import Brush, Mark
from pawsure.sample.build import Build
from pawsure.sample.canvas import mix
from pawsure.sample.face import Look, both_sides, ears_both_sides, eye, pointed_ear
from pawsure.sample.pen import DARK
from pawsure.sample.shapes import Points, curve, ellipse, mirror, turn


def front_head(brush: Brush, build: Build, look: Look) -> None:
    """Paint a cat's head that looks towards the viewer."""
    w = build.head_width
    folded = build.ear == "folded"
    if not folded:
        for x, y, side, lean in ears_both_sides(build, look, 0.60 * w, -0.56):
            ear = brush.at(x, y, angle=side * lean, flip=side)
            pointed_ear(ear, build, width=0.78, height=0.86, round_tip=0.3)
    brush.fur(_skull(w, build.cheek), "head", flow=(0.5 * look.yaw, 0.15), roundness=0.55,
              shadow=0.45, marks=_markings(brush, look))  # fmt: skip
    if folded:
        for x, y, side, lean in ears_both_sides(build, look, 0.52 * w, -0.66):
            _folded_ear(brush.at(x, y, angle=side * lean * 0.6, flip=side), build)
    muzzle = brush.at(0.46 * look.yaw, 0.22 * look.pitch - 0.04)
    _bridge(muzzle)
    _eyes(brush, build, look)
    _muzzle(muzzle, build, look)


def _skull(w: float, cheek: float) -> Points:
    return both_sides(
        [(0, -0.80), (0.42 * w, -0.79), (0.78 * w, -0.52), (0.97 * w, -0.05),
         ((0.95 + cheek) * w, 0.34), (0.66 * w, 0.68), (0.30 * w, 0.86), (0, 0.90)]
    )  # fmt: skip


def _markings(brush: Brush, look: Look) -> tuple[Mark, ...]:
    coat, dx = brush.coat, 0.4 * look.yaw
    return (
        Mark(dx, 0.38, 0.62, 0.55, coat.dark, coat.mask),
        Mark(dx, 0.55, 0.52, 0.38, coat.pale, coat.pale_muzzle),
        Mark(0.7 * dx, -0.2, 0.16, 0.75, coat.pale, coat.blaze, soft=0.5),
    )


def _folded_ear(brush: Brush, build: Build) -> None:
    s = build.ear_size
    outline = curve(
        [(-0.34, 0.02), (-0.10, -0.26 * s), (0.26, -0.20 * s), (0.42 * s, 0.10),
         (0.40 * s, 0.36 * s), (0.12, 0.26)]
    )  # fmt: skip
    brush.fur(outline, "ear", flow=np.pi / 3, roundness=0.2, shadow=0.5)


def _eyes(brush: Brush, build: Build, look: Look) -> None:
    for side in (-1, 1):
        near = 1 + 0.22 * side * -look.yaw
        x = side * build.eye_gap * (1 - 0.10 * abs(look.yaw)) + 0.30 * look.yaw
        lids = _lids(build.eye * near, build.eye * 0.92)
        there = brush.at(x, -0.06 + 0.14 * look.pitch, flip=side, angle=0.14 * side)
        eye(there, build, look, outline=lids, iris=build.eye * 1.14, slit=True)


def _lids(rx: float, ry: float) -> Points:
    """Rounded almond, its outer corner to the right and raised."""
    return curve(
        [(-1.08 * rx, 0.30 * ry), (-0.55 * rx, -0.66 * ry), (0.15 * rx, -0.92 * ry),
         (0.85 * rx, -0.48 * ry), (1.05 * rx, -0.10 * ry), (0.72 * rx, 0.62 * ry),
         (0.0, 0.95 * ry), (-0.66 * rx, 0.75 * ry)]
    )  # fmt: skip


def _muzzle(brush: Brush, build: Build, look: Look) -> None:
    reach = 0.85 + 0.35 * build.snout
    width = build.snout_width
    brush.fur(ellipse(0, 0.66, 0.22, 0.17), "muzzle", roundness=0.15, shadow=0.1)
    if look.open_mouth:
        brush.flat(ellipse(0, 0.60, 0.15, 0.15), (0.35, 0.10, 0.12))
        brush.solid(ellipse(0, 0.66, 0.10, 0.09), (0.88, 0.52, 0.54), roundness=0.06)
    for side in (-1, 1):
        puff = ellipse(side * 0.19 * width, 0.46, 0.25 * width, 0.19 * reach, side * 0.15)
        brush.fur(puff, "muzzle", flow=(0.0, 0.30), roundness=0.16, tufts=0.5, shadow=0.16,
                  marks=(Mark(0, 0.45, 0.6, 0.4, brush.coat.dark, brush.coat.mask),))  # fmt: skip
    _nose_and_mouth(brush)
    _whiskers(brush)


def _bridge(brush: Brush) -> None:
    """The ridge from between the eyes to the nose; under the eyes, which it would cut."""
    bridge = curve([(-0.13, -0.05), (0.13, -0.05), (0.17, 0.28), (0, 0.36), (-0.17, 0.28)])
    marks = (
        Mark(0, 0.3, 0.4, 0.5, brush.coat.dark, brush.coat.mask),
        Mark(0, 0.1, 0.16, 0.75, brush.coat.pale, brush.coat.blaze, soft=0.5),
    )
    brush.fur(bridge, "head", flow=-np.pi / 2, roundness=0.15, tufts=0, shadow=0,
              fade=(-0.1, 0.15), marks=marks)  # fmt: skip


def _nose_and_mouth(brush: Brush) -> None:
    nose = curve([(-0.125, 0.245), (0, 0.225), (0.125, 0.245), (0.075, 0.335), (0, 0.375),
                  (-0.075, 0.335)])  # fmt: skip
    brush.flat(nose * (1.12, 1.0) + (0, 0.012), DARK, 0.45)
    brush.solid(nose, brush.coat.skin, roundness=0.07, gloss=0.35)
    brush.line([(0, 0.37), (0, 0.45)], 0.028)
    smile = [(0, 0.45), (0.10, 0.53), (0.22, 0.52), (0.30, 0.45)]
    brush.lines([smile, mirror(smile)], (0.03, 0.03, 0.026, 0.012))


def _whiskers(brush: Brush) -> None:
    dark = sum(brush.coat.pale) > 2.6 and brush.canvas.pixels.mean() > 0.62
    colour = (0.25, 0.22, 0.2) if dark else (0.98, 0.97, 0.95)
    paths = []
    for side, i in ((side, i) for side in (-1, 1) for i in range(4)):
        angle = (i - 1.3) * 0.20 + brush.rng.normal(0, 0.05)
        length = brush.rng.uniform(0.85, 1.2)
        path = turn([(0.0, 0.0), (0.5 * length, -0.07), (length, 0.05)], angle)
        paths.append((path + (0.28, 0.43 + 0.03 * i)) * (side, 1))
    brush.lines(paths, (0.022, 0.016, 0.004), colour, 0.75)


def side_head(brush: Brush, build: Build, look: Look) -> None:
    """Paint a cat's head that looks to the right."""
    s = 0.06 + 0.22 * build.snout
    coat = brush.coat
    marks = (
        Mark(0.75, 0.2, 0.55, 0.5, coat.dark, coat.mask),
        Mark(0.65, 0.55, 0.5, 0.4, coat.pale, coat.pale_muzzle),
    )
    far, near = brush.at(0.22, -0.55, angle=0.10), brush.at(-0.16, -0.50, angle=-0.12)
    if build.ear != "folded":
        pointed_ear(far, build, width=0.60, height=0.74, round_tip=0.3)
    head = curve(
        [(-0.80, 0.10), (-0.72, -0.42), (-0.30, -0.78), (0.20, -0.76), (0.52, -0.46),
         (0.68 + 0.4 * s, -0.04), (0.76 + s, 0.16), (0.78 + s, 0.36), (0.68 + s, 0.58),
         (0.42, 0.74), (0.0, 0.80), (-0.50, 0.62 + build.cheek)]
    )  # fmt: skip
    brush.fur(head, "head", flow=(0.9, 0.15), roundness=0.5, shadow=0.4, marks=marks)
    if build.ear == "folded":
        _folded_ear(brush.at(-0.05, -0.50, angle=-0.2), build)
    else:
        pointed_ear(near, build, width=0.70, height=0.78, round_tip=0.3, in_front=True)
    puff = ellipse(0.50 + s, 0.39, 0.30, 0.20, 0.15)
    brush.fur(puff, "muzzle", flow=np.pi, roundness=0.2, tufts=0.3, shadow=0.0, marks=marks[:1],
              fade_x=(0.2 + s, 0.5 + s))  # fmt: skip
    _side_face(brush, build, look, s)


def _side_face(brush: Brush, build: Build, look: Look, s: float) -> None:
    lids = curve([(-0.20, 0.06), (-0.08, -0.16), (0.10, -0.17), (0.17, 0.0), (0.12, 0.15),
                  (-0.08, 0.15)]) * (build.eye / 0.235)  # fmt: skip
    eye(brush.at(0.42, -0.12), build, look, outline=lids, iris=build.eye * 1.0, slit=True)
    nose = curve([(0.68 + s, 0.13), (0.78 + s, 0.15), (0.80 + s, 0.23), (0.73 + s, 0.27)])
    brush.solid(nose, brush.coat.skin, roundness=0.06, gloss=0.3)
    brush.line([(0.76 + s, 0.27), (0.72 + s, 0.38), (0.55 + s, 0.47), (0.38 + s, 0.46)], 0.03)
    colour = mix((0.98, 0.97, 0.95), brush.coat.pale, 0.2)
    paths = []
    for i in range(4):
        path = turn([(0, 0), (0.4, 0.03), (brush.rng.uniform(0.7, 1.0), 0.14)], 0.5 - 0.22 * i)
        paths.append(path + (0.60 + s, 0.36))
    brush.lines(paths, (0.02, 0.014, 0.004), colour, 0.75)

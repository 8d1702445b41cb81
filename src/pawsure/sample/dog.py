"""A dog's head, from the front (turned up to three quarters) and from the side.

The brush's origin is the middle of the skull; one unit is half the width of the head.
"""

from __future__ import annotations

import numpy as np

from pawsure.sample.brush import Brush, Mark
from pawsure.sample.build import Build
from pawsure.sample.canvas import Field, mix
from pawsure.sample.coat import DARK_SKIN
from pawsure.sample.face import Look, both_sides, ears_both_sides, eye, pointed_ear
from pawsure.sample.pen import DARK
from pawsure.sample.shapes import Points, curve, ellipse, mirror

TONGUE = (0.90, 0.50, 0.53)
MOUTH = (0.30, 0.09, 0.10)


def front_head(brush: Brush, build: Build, look: Look) -> None:
    """Paint a dog's head that looks towards the viewer."""
    w = build.head_width
    ears = ears_both_sides(build, look, 0.62 * w, -0.56)
    if build.ear == "pointed":
        for x, y, side, lean in ears:
            ear = brush.at(x, y, angle=side * (lean - 0.04), flip=side)
            pointed_ear(ear, build, width=0.62, height=0.95, round_tip=0.9)
    brush.fur(_skull(w, build), "head", flow=(0.5 * look.yaw, 0.1), roundness=0.55, shadow=0.45,
              marks=_markings(brush, look))  # fmt: skip
    if build.ear != "pointed":
        for x, y, side, lean in ears:
            _hanging_ear(brush.at(x, y, angle=side * (lean - 0.25), flip=side), build)
    _brows_and_eyes(brush, build, look)
    _muzzle(brush.at(0.58 * look.yaw, 0.30 * look.pitch + 0.04 * build.snout), build, look)


def _skull(w: float, build: Build) -> Points:
    jowl = 0.05 * (1 - build.snout)
    return both_sides(
        [(0, -0.86), (0.40 * w, -0.83), (0.74 * w, -0.58), (0.86 * w, -0.10),
         ((0.83 + build.cheek) * w, 0.26), ((0.62 + jowl) * w, 0.62), (0.36 * w, 0.92), (0, 1.0)]
    )  # fmt: skip


def _markings(brush: Brush, look: Look) -> tuple[Mark, ...]:
    coat, dx = brush.coat, 0.45 * look.yaw
    return (
        Mark(dx, 0.35, 0.66, 0.62, coat.dark, coat.mask),
        Mark(dx, 0.62, 0.60, 0.48, coat.pale, coat.pale_muzzle),
        Mark(0.7 * dx, -0.2, 0.15, 0.8, coat.pale, coat.blaze, soft=0.5),
    )


def _hanging_ear(brush: Brush, build: Build) -> None:
    """An ear set on at the origin that folds over at once and hangs to the right."""
    s = build.ear_size
    drop = {"folded": 0.42, "floppy": 0.90, "long": 1.35}[build.ear] * s
    wide = {"folded": 0.46, "floppy": 0.46, "long": 0.44}[build.ear] * s
    outline = curve(
        [(-0.26, -0.10), (0.0, -0.26), (0.26, -0.20), (0.20 + wide, 0.14 * drop),
         (0.16 + wide, 0.66 * drop), (0.20 + 0.3 * wide, drop), (-0.02 + 0.1 * wide, 0.80 * drop),
         (-0.04, 0.36 * drop)]
    )  # fmt: skip
    long_hair = 1.6 if build.hair > 0.5 else 1.0
    brush.fur(outline, "ear", flow=np.pi / 2 - 0.1, roundness=0.26, tufts=long_hair, shadow=0.5)


def _brows_and_eyes(brush: Brush, build: Build, look: Look) -> None:
    for side in (-1, 1):
        near = 1 + 0.22 * side * -look.yaw
        x = side * build.eye_gap * (1 - 0.10 * abs(look.yaw)) + 0.34 * look.yaw
        y = -0.14 + 0.16 * look.pitch
        socket = ellipse(x, y - 0.02, 0.27 * near, 0.23)
        if not look.closed:
            brush.fur(socket, "head", flow=-np.pi / 2, roundness=0.18, tufts=0, shadow=0.0, dim=0.9,
                      fade=(y + 0.20, y - 0.05), marks=_markings(brush, look))  # fmt: skip
        if brush.coat.mask > 0 or brush.coat.pattern == "saddle":
            brow = ellipse(x, y - 0.27, 0.10, 0.06)
            brush.fur(brow, "muzzle", roundness=0.06, tufts=0.6, shadow=0)
        lids = _lids(build.eye * near, build.eye)
        there = brush.at(x, y, flip=side, angle=0.10 * side)
        eye(there, build, look, outline=lids, iris=build.eye * 0.95, slit=False)


def _lids(rx: float, ry: float) -> Points:
    """Round, a little pulled down at the outer corner to the right."""
    return curve(
        [(-1.12 * rx, 0.22 * ry), (-0.60 * rx, -0.62 * ry), (0.05 * rx, -0.90 * ry),
         (0.78 * rx, -0.55 * ry), (1.12 * rx, 0.18 * ry), (0.60 * rx, 0.70 * ry),
         (-0.05 * rx, 0.86 * ry), (-0.70 * rx, 0.66 * ry)]
    )  # fmt: skip


def _muzzle(brush: Brush, build: Build, look: Look) -> None:
    w, reach = build.snout_width * (1.08 - 0.16 * build.snout), build.snout
    low = 0.62 + 0.14 * reach
    coat = brush.coat
    marks = (
        Mark(0, 0.5, 0.7, 0.7, coat.dark, coat.mask),
        Mark(0, -0.1, 0.13, 0.7, coat.pale, coat.blaze, soft=0.5),
    )
    if look.open_mouth:
        _open_mouth(brush, w, low)
    else:
        brush.fur(ellipse(0, low + 0.16, 0.26 * w, 0.16), "muzzle", roundness=0.15, marks=marks)
    bridge = curve([(-0.15, -0.18), (0.15, -0.18), (0.26 * w, 0.24), (0.20 * w, 0.52),
                    (-0.20 * w, 0.52), (-0.26 * w, 0.24)])  # fmt: skip
    for side in (-1, 1):
        lip = curve([(0.02, 0.24), (0.24 * w, 0.24), (0.43 * w, low - 0.16), (0.38 * w, low + 0.08),
                     (0.16 * w, low + 0.12), (0.0, low - 0.04)]) * (side, 1)  # fmt: skip
        brush.fur(lip, "muzzle", flow=(0.0, 0.1), roundness=0.20, tufts=0.7, shadow=0.28,
                  marks=marks)  # fmt: skip
    brush.fur(bridge, "muzzle" if coat.pale_muzzle else "head", flow=-np.pi / 2, roundness=0.24,
              tufts=0, shadow=0, fade=(-0.2, 0.16), marks=marks)  # fmt: skip
    _nose(brush, w)
    _closed_lips(brush, w, low)


def _open_mouth(brush: Brush, w: float, low: float) -> None:
    jaw = ellipse(0, low + 0.22, 0.30 * w, 0.26)
    brush.fur(jaw, "muzzle", roundness=0.14, shadow=0.35)
    brush.flat(ellipse(0, low + 0.12, 0.24 * w, 0.24), MOUTH)
    tongue = curve([(-0.15 * w, low), (0.15 * w, low), (0.16 * w, low + 0.36),
                    (0.0, low + 0.50), (-0.16 * w, low + 0.36)])  # fmt: skip
    brush.solid(tongue, TONGUE, roundness=0.10, gloss=0.25)
    brush.line([(0, low + 0.1), (0, low + 0.38)], (0.03, 0.01), (0.62, 0.28, 0.32), 0.6)


def _nose(brush: Brush, w: float) -> None:
    wide = 0.21 * (0.9 + 0.1 * w)
    nose = curve([(-wide, 0.20), (-0.6 * wide, 0.095), (0, 0.08), (0.6 * wide, 0.095), (wide, 0.20),
                  (0.62 * wide, 0.31), (0, 0.37), (-0.62 * wide, 0.31)])  # fmt: skip
    brush.flat(nose * (1.06, 1) + (0, 0.012), DARK, 0.4)
    brush.solid(nose, _nose_colour(brush), roundness=0.12, gloss=0.55)
    holes = [ellipse(side * 0.52 * wide, 0.245, 0.30 * wide, 0.035, -0.5 * side, steps=14)
             for side in (-1, 1)]  # fmt: skip
    brush.flat(holes, (0.03, 0.02, 0.02), 0.85)
    brush.flat(ellipse(-0.15 * wide, 0.135, 0.42 * wide, 0.022, steps=16), (1, 1, 1), 0.35)


def _closed_lips(brush: Brush, w: float, low: float) -> None:
    brush.line([(0, 0.36), (0, low - 0.03)], 0.026)
    lip = np.array([(0, low - 0.03), (0.15 * w, low + 0.11), (0.33 * w, low + 0.09),
                    (0.42 * w, low - 0.06)])  # fmt: skip
    brush.lines([lip, mirror(lip)], (0.03, 0.036, 0.03, 0.012))
    dots = [(side * (0.14 + 0.07 * i) * w, 0.46 + 0.05 * (i % 2)) for side in (-1, 1)
            for i in range(4)]  # fmt: skip
    _whisker_dots(brush, dots)


def _nose_colour(brush: Brush) -> Field:
    """Black, or liver brown where a cat of the same coat would have a pink nose."""
    return mix(brush.coat.skin, DARK_SKIN, 0.6)


def _whisker_dots(brush: Brush, dots: list[tuple[float, float]]) -> None:
    brush.flat([ellipse(x, y, 0.012, 0.012, steps=8) for x, y in dots], DARK, 0.5)


def side_head(brush: Brush, build: Build, look: Look) -> None:
    """Paint a dog's head that looks to the right."""
    n = 0.20 + 0.66 * build.snout  # how far the snout stands out before the brow
    coat = brush.coat
    marks = (
        Mark(0.55 + n, 0.2, 0.8, 0.55, coat.dark, coat.mask),
        Mark(0.60 + n, 0.56, 0.75, 0.36, coat.pale, coat.pale_muzzle),
    )
    if build.ear == "pointed":
        pointed_ear(brush.at(0.10, -0.52, angle=0.02), build, width=0.5, height=0.9, round_tip=0.9)
    _jaw(brush, look, n, marks)
    head = curve(
        [(-0.78, 0.12), (-0.70, -0.42), (-0.28, -0.74), (0.20, -0.72), (0.50, -0.46),
         (0.66, -0.20), (0.46 + n, -0.14), (0.62 + n, -0.05), (0.66 + n, 0.24), (0.58 + n, 0.50),
         (0.50 + 0.4 * n, 0.56), (0.30, 0.64), (-0.05, 0.72), (-0.50, 0.66)]
    )  # fmt: skip
    brush.fur(head, "head", flow=(1.2, 0.1), roundness=0.45, shadow=0.4, marks=marks)
    lip = curve([(0.52, 0.10), (0.40 + n, 0.06), (0.58 + n, 0.14), (0.64 + n, 0.30),
                 (0.54 + n, 0.50), (0.42 + 0.5 * n, 0.52), (0.40, 0.44)])  # fmt: skip
    brush.fur(lip, "muzzle" if coat.pale_muzzle else "head", flow=np.pi, roundness=0.22, tufts=0,
              shadow=0.0, fade_x=(0.35, 0.62), marks=marks)  # fmt: skip
    _side_ear(brush, build)
    _side_face(brush, build, look, n)


def _jaw(brush: Brush, look: Look, n: float, marks: tuple[Mark, ...]) -> None:
    drop = 0.24 if look.open_mouth else 0.06
    jaw = curve([(0.0, 0.50), (0.35 + 0.9 * n, 0.44 + drop), (0.46 + n, 0.54 + drop),
                 (0.25 + 0.7 * n, 0.66 + drop), (0.0, 0.76)])  # fmt: skip
    brush.fur(jaw, "muzzle", flow=np.pi, roundness=0.15, shadow=0.3, marks=marks)
    if look.open_mouth:
        inside = curve([(0.2, 0.50), (0.46 + n, 0.46), (0.40 + 0.9 * n, 0.68), (0.25, 0.60)])
        brush.flat(inside, MOUTH)
        tongue = curve([(0.25, 0.56), (0.38 + 0.8 * n, 0.56), (0.46 + n, 0.78), (0.44 + n, 1.02),
                        (0.26 + n, 0.96), (0.16 + 0.8 * n, 0.70)])  # fmt: skip
        brush.solid(tongue, TONGUE, roundness=0.08, gloss=0.25)


def _side_ear(brush: Brush, build: Build) -> None:
    if build.ear == "pointed":
        ear = brush.at(-0.24, -0.46, angle=-0.16)
        pointed_ear(ear, build, width=0.56, height=0.88, round_tip=0.9, in_front=True)
    else:
        _hanging_ear(brush.at(-0.22, -0.40, angle=0.42), build)


def _side_face(brush: Brush, build: Build, look: Look, n: float) -> None:
    e = build.eye / 0.155
    lids = curve([(-0.13, 0.03), (-0.04, -0.11), (0.08, -0.10), (0.13, 0.03), (0.04, 0.10),
                  (-0.07, 0.09)]) * e  # fmt: skip
    eye(brush.at(0.40, -0.18), build, look, outline=lids, iris=build.eye * 0.85, slit=False)
    nose = curve([(0.50 + n, -0.15), (0.62 + n, -0.17), (0.73 + n, -0.09), (0.74 + n, 0.05),
                  (0.63 + n, 0.13), (0.54 + n, 0.02)])  # fmt: skip
    brush.solid(nose, _nose_colour(brush), roundness=0.10, gloss=0.55)
    brush.flat(ellipse(0.68 + n, 0.01, 0.045, 0.022, -0.4, steps=12), (0.03, 0.02, 0.02), 0.85)
    brush.line(
        [(0.65 + n, 0.12), (0.63 + n, 0.38), (0.52 + n, 0.49), (0.36 + 0.6 * n, 0.51),
         (0.30 + 0.2 * n, 0.52), (0.26, 0.45)],
        (0.02, 0.03, 0.038, 0.036, 0.03, 0.012),
    )  # fmt: skip
    _whisker_dots(brush, [(0.30 + 0.6 * n + 0.07 * i, 0.26 + 0.05 * (i % 2)) for i in range(5)])

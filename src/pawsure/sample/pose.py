"""Whole animals: where body, legs, tail and head go in each pose.

The brush's origin is on the ground under the animal, or the middle of the skull in a
portrait; one unit is half the width of the head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from pawsure.sample.body import (
    Animal,
    Point,
    chest_mark,
    paint_front_neck,
    paint_head,
    paint_leg,
    paint_paw,
    paint_reaching_leg,
    paint_side_neck,
    paint_tail,
)
from pawsure.sample.brush import Brush
from pawsure.sample.build import Build
from pawsure.sample.face import collar
from pawsure.sample.shapes import curve, ellipse, limb


@dataclass(frozen=True)
class Pose:
    """How to paint a pose and how much room it takes, in brush units about the origin."""

    paint: Callable[[Brush, Animal], None]
    left: float
    top: float
    right: float
    bottom: float
    face: Point  # about where the face is, so that nothing hides it


def sit_front(brush: Brush, animal: Animal) -> None:
    """Sits and faces the viewer."""
    build = animal.build
    wide, tall = 0.92 + 0.08 * build.leg_width, -1.55 - 0.65 * build.leg_length
    lean = 0.25 * animal.look.yaw
    brush.ground_shadow(0.0, 1.3)
    side = 1 if brush.rng.random() < 0.5 else -1
    paint_tail(brush, build, _sitting_tail(animal.kind, side))
    for s in (-1, 1):
        brush.fur(ellipse(s * 0.66 * wide, -0.44, 0.50, 0.44), "body", roundness=0.3)
        paint_paw(brush, s * 0.84 * wide, -0.10, 0.25, s * 0.5)
    torso = curve(
        [(lean, tall - 0.35), (0.46 + lean, tall - 0.1), (0.66 * wide + 0.5 * lean, tall + 0.55),
         (0.70 * wide, -0.75), (0.60 * wide, -0.2), (0, -0.12), (-0.60 * wide, -0.2),
         (-0.70 * wide, -0.75), (-0.66 * wide + 0.5 * lean, tall + 0.55),
         (-0.46 + lean, tall - 0.1)]
    )  # fmt: skip
    brush.fur(torso, "body", roundness=0.6, shadow=0.4,
              marks=chest_mark(brush, 0.7 * lean, tall + 0.55, 0.42, 0.75))  # fmt: skip
    for s in (-1, 1):
        hip = (s * 0.30 + 0.4 * lean, tall + 0.75)
        paint_leg(brush, build, [hip, (s * 0.31, -0.7), (s * 0.30, -0.14)], (0.27, 0.21, 0.18))
    paint_front_neck(brush, animal, lean, tall)
    paint_head(brush, animal, 1.2 * lean, tall - 0.55 - 0.25 * build.neck)


def _sitting_tail(kind: str, side: int) -> list[Point]:
    if kind == "cat":
        points = [(0.5, -0.25), (1.15, -0.14), (1.55, -0.32), (1.62, -0.75), (1.45, -1.05)]
    else:
        points = [(0.55, -0.40), (1.15, -0.50), (1.50, -0.85), (1.55, -1.25)]
    return [(side * x, y) for x, y in points]


def sit_side(brush: Brush, animal: Animal) -> None:
    """Sits, its body turned to the right."""
    build = animal.build
    tall = -1.45 - 0.7 * build.leg_length
    brush.ground_shadow(-0.1, 1.4)
    if animal.kind == "cat":
        paint_tail(brush, build, [(-0.9, -0.25), (-1.45, -0.12), (-1.95, -0.25), (-2.1, -0.6)])
    else:
        paint_tail(brush, build, [(-0.95, -0.30), (-1.5, -0.35), (-1.9, -0.75), (-2.0, -1.2)])
    paint_leg(brush, build, [(0.42, tall + 0.8), (0.40, -0.7), (0.44, -0.16)], (0.26, 0.2, 0.17),
         dim=0.8, melt=0.0, paw=0.8)  # fmt: skip
    torso = curve(
        [(0.10, tall - 0.25), (0.62, tall - 0.2), (0.92, tall + 0.45), (0.80, -1.0), (0.45, -0.45),
         (-0.2, -0.12), (-0.85, -0.14), (-1.10, -0.50), (-0.98, -1.05), (-0.55, -1.65)]
    )  # fmt: skip
    brush.fur(torso, "body", flow=1.9, roundness=0.6, shadow=0.4,
              marks=chest_mark(brush, 0.8, tall + 0.5, 0.35, 0.8))  # fmt: skip
    brush.fur(ellipse(-0.42, -0.56, 0.62, 0.52, -0.3), "body", flow=1.2, roundness=0.4,
              shadow=0.30, fade=(-1.25, -0.8))  # fmt: skip
    paint_paw(brush, 0.10, -0.10, 0.30, 1.0)
    paint_leg(brush, build, [(0.58, tall + 0.7), (0.62, -0.75), (0.66, -0.14)], (0.30, 0.22, 0.18),
         paw=0.8)  # fmt: skip
    top = tall - 0.35 - 0.35 * build.neck
    paint_side_neck(brush, animal, (0.28, tall + 0.15), (0.50, top + 0.1))
    paint_head(brush, animal, 0.55, top - 0.15)


def stand(brush: Brush, animal: Animal) -> None:
    """Stands or walks, seen from the right-hand side."""
    build = animal.build
    is_cat = animal.kind == "cat"
    leg, deep = 1.25 * build.leg_length, 1.05 * build.body_depth
    back, half = -(leg + deep), 1.45 * build.body_length
    stride = brush.rng.uniform(-0.3, 0.3)
    brush.ground_shadow(0.0, half + 0.6)
    paint_tail(brush, build, _standing_tail(animal, -half, back + 0.22))
    _hind_leg(brush, build, -half + 0.62, leg, -stride, 0.78)
    _fore_leg(brush, build, half - 0.25, leg, stride, 0.78)
    tuck = 0.22 if is_cat else 0.12 + 0.35 * (1 - build.leg_width)
    torso = curve(
        [(-half + 0.15, back + 0.08), (0.0, back + (0.10 if is_cat else 0.06)), (half - 0.5, back),
         (half, back + 0.20), (half + 0.12, back + 0.6 * deep), (half - 0.25, -leg + 0.08),
         (0.0, -leg + 0.02), (-half + 0.75, -leg - tuck), (-half + 0.1, -leg - 0.05),
         (-half - 0.12, back + 0.55 * deep)]
    )  # fmt: skip
    brush.fur(torso, "body", flow=0.25, roundness=0.55, shadow=0.35,
              marks=chest_mark(brush, half, -leg - 0.1, 0.6, 0.5))  # fmt: skip
    _hind_leg(brush, build, -half + 0.36, leg, stride, 1.0)
    _fore_leg(brush, build, half - 0.45, leg, -stride, 1.0)
    rise = (0.25 if is_cat else 0.55) + 0.25 * build.neck
    x, y = half + (0.42 if is_cat else 0.40), back - rise
    paint_side_neck(brush, animal, (half - 0.42, back + 0.42), (x - 0.12, y + 0.12))
    paint_head(brush, animal, x + 0.05, y, 0.92)


def _standing_tail(animal: Animal, x: float, y: float) -> list[Point]:
    if animal.build.tail == "curled":
        return [(x, y), (x - 0.35, y - 0.35), (x - 0.15, y - 0.75), (x + 0.25, y - 0.62),
                (x + 0.22, y - 0.35)]  # fmt: skip
    if animal.kind == "cat":
        return [(x, y), (x - 0.45, y - 0.10), (x - 0.75, y - 0.65), (x - 0.72, y - 1.25),
                (x - 0.95, y - 1.55)]  # fmt: skip
    return [(x, y), (x - 0.5, y + 0.05), (x - 0.95, y - 0.20), (x - 1.25, y - 0.65)]


def _hind_leg(brush: Brush, build: Build, x: float, leg: float, stride: float, dim: float) -> None:
    hip = (x, -leg - 0.45)
    knee = (x + 0.14 + 0.4 * stride, -0.62 * leg)
    hock, foot = (x - 0.20 + stride, -0.32 * leg), (x - 0.06 + stride, -0.13)
    paint_leg(brush, build, [hip, knee, hock, foot], (0.50, 0.30, 0.165, 0.15), dim=dim, paw=0.9,
         melt=0.5 if dim == 1.0 else 0.0)  # fmt: skip


def _fore_leg(brush: Brush, build: Build, x: float, leg: float, stride: float, dim: float) -> None:
    points = [(x, -leg - 0.35), (x - 0.04 + 0.5 * stride, -0.52 * leg), (x + stride, -0.13)]
    paint_leg(brush, build, points, (0.32, 0.20, 0.155), dim=dim, paw=0.9,
         melt=0.5 if dim == 1.0 else 0.0)  # fmt: skip


def lie_side(brush: Brush, animal: Animal) -> None:
    """Lies along the ground with its head up."""
    build = animal.build
    half = 1.35 + 0.35 * build.body_length
    deep = 1.15 * build.body_depth
    brush.ground_shadow(0.0, half + 0.5)
    paint_tail(brush, build, [(-half + 0.1, -0.25), (-half - 0.5, -0.14), (-half - 0.9, -0.18),
                         (-half - 1.2, -0.4)])  # fmt: skip
    paint_reaching_leg(brush, build, (half - 0.55, -0.42), half + 0.75, -0.20, 0.8)
    torso = curve(
        [(-half, -0.35), (-half + 0.15, -0.9 * deep), (-half + 0.8, -deep - 0.05), (0.0, -deep),
         (half - 0.75, -deep - 0.25), (half - 0.1, -deep + 0.05), (half + 0.05, -0.6),
         (half - 0.35, -0.12), (0, -0.06), (-half + 0.5, -0.06)]
    )  # fmt: skip
    brush.fur(torso, "body", flow=0.3, roundness=0.55, shadow=0.4,
              marks=chest_mark(brush, half - 0.05, -0.7, 0.4, 0.6))  # fmt: skip
    brush.fur(ellipse(-half + 0.68, -0.50, 0.68, 0.50, -0.15), "body", flow=1.0, roundness=0.4,
              shadow=0.25, fade=(-1.2, -0.7))  # fmt: skip
    paint_paw(brush, -half + 1.35, -0.10, 0.28, 1.0)
    paint_reaching_leg(brush, build, (half - 0.35, -0.38), half + 0.55, -0.12, 1.0)
    top = -deep - 0.55 - 0.25 * build.neck
    paint_side_neck(brush, animal, (half - 0.50, -deep + 0.10), (half - 0.22, top + 0.2))
    paint_head(brush, animal, half - 0.12, top)


def lie_front(brush: Brush, animal: Animal) -> None:
    """Lies and faces the viewer, paws out in front."""
    build = animal.build
    lean = 0.3 * animal.look.yaw
    brush.ground_shadow(0.0, 1.7)
    side = 1 if brush.rng.random() < 0.5 else -1
    curl = [(1.1, -0.3), (1.65, -0.14), (2.0, -0.3), (2.1, -0.65)]
    paint_tail(brush, build, [(side * x, y) for x, y in curl])
    back = ellipse(-0.5 * lean, -0.80, 1.28 * build.body_length, 0.78 * build.body_depth)
    brush.fur(back, "body", flow=(0.0, -1.2), roundness=0.6, shadow=0.35)
    for s in (-1, 1):
        brush.fur(ellipse(s * 1.0, -0.42, 0.48, 0.40), "body", roundness=0.3, shadow=0.3)
    chest = ellipse(lean, -0.78, 0.80, 0.72)
    brush.fur(chest, "body", roundness=0.5, shadow=0.35, tufts=1.4,
              marks=chest_mark(brush, lean, -0.6, 0.5, 0.6))  # fmt: skip
    for s in (-1, 1):
        points = [(s * 0.42 + 0.5 * lean, -0.62), (s * 0.44, -0.30), (s * 0.42, -0.14)]
        paint_leg(brush, build, points, (0.27, 0.24, 0.20), melt=0.35)
    paint_head(brush, animal, 1.2 * lean, -1.25 - 0.3 * build.neck)


def sleep(brush: Brush, animal: Animal) -> None:
    """Curled up with its eyes closed, tail round the front."""
    build = animal.build
    brush.ground_shadow(0.0, 1.75)
    back = curve(
        [(-1.55, -0.30), (-1.45, -0.85), (-0.85, -1.28), (0.0, -1.36), (0.85, -1.15), (1.4, -0.65),
         (1.35, -0.18), (0.5, -0.05), (-0.8, -0.05)]
    )  # fmt: skip
    brush.fur(back, "body", flow=(0.2, -0.2), roundness=0.7, shadow=0.3)
    brush.fur(ellipse(-0.72, -0.52, 0.66, 0.46, -0.2), "body", flow=0.6, roundness=0.4, shadow=0.3)
    paint_tail(brush, build, [(-1.35, -0.42), (-1.0, -0.16), (-0.3, -0.12), (0.25, -0.14)], 0.19)
    closed = replace(animal.look, closed=True, open_mouth=False, pitch=0.3)
    resting = replace(animal, look=closed, roll=0.28 + animal.roll, side=False)
    paint_head(brush, resting, 0.72, -0.62 if animal.kind == "cat" else -0.80, 0.88)
    paint_paw(brush, 0.55, -0.06, 0.25, 0.5)


def portrait(brush: Brush, animal: Animal) -> None:
    """Head and shoulders, facing the viewer."""
    lean = 0.2 * animal.look.yaw
    w = 1.0 + 0.1 * animal.build.leg_width
    shoulders = curve(
        [(-lean, 0.25), (0.62 - lean, 0.45), (0.95 * w - lean, 1.3), (1.15 * w - lean, 2.6),
         (1.1 * w, 4.0), (-1.1 * w, 4.0), (-1.15 * w - lean, 2.6), (-0.95 * w - lean, 1.3),
         (-0.62 - lean, 0.45)]
    )  # fmt: skip
    brush.fur(shoulders, "body", roundness=0.7, shadow=0.35, tufts=1.3,
              marks=chest_mark(brush, 0.3 * lean, 1.7, 0.6, 0.9))  # fmt: skip
    if animal.collar:
        band = [(-0.72 - lean, 0.78), (-0.4 - lean, 1.02), (-0.6 * lean, 1.10),
                (0.4 - lean, 1.02), (0.72 - lean, 0.78)]  # fmt: skip
        collar(brush, band, 0.15, brush.coat)
    paint_head(brush, animal, 0.0, 0.0)


def portrait_side(brush: Brush, animal: Animal) -> None:
    """Head and neck, seen from the side."""
    spine = [(-0.25, 0.15), (-0.55, 1.2), (-0.75, 2.6), (-0.8, 4.0)]
    neck = limb(spine, [0.60, 0.72, 1.05, 1.3])
    brush.fur(neck, "body", flow=1.8, roundness=0.6, shadow=0.35, tufts=1.3,
              marks=chest_mark(brush, 0.2, 1.6, 0.5, 1.0))  # fmt: skip
    if animal.collar:
        collar(brush, [(-1.18, 0.90), (-0.6, 1.12), (0.12, 1.06)], 0.15, brush.coat)
    paint_head(brush, replace(animal, side=True), 0.0, 0.0)


POSES: dict[str, Pose] = {
    "sit_front": Pose(sit_front, -1.7, -4.0, 1.7, 0.2, (0, -2.9)),
    "sit_side": Pose(sit_side, -2.0, -4.0, 1.9, 0.2, (0.6, -2.9)),
    "stand": Pose(stand, -2.5, -4.1, 2.9, 0.2, (1.8, -2.9)),
    "lie_side": Pose(lie_side, -2.6, -3.1, 2.9, 0.2, (1.6, -1.9)),
    "lie_front": Pose(lie_front, -1.9, -2.7, 1.9, 0.2, (0, -1.5)),
    "sleep": Pose(sleep, -1.8, -1.7, 1.8, 0.2, (0.7, -0.6)),
    "portrait": Pose(portrait, -1.4, -1.5, 1.4, 1.7, (0, 0)),
    "portrait_side": Pose(portrait_side, -1.4, -1.5, 1.7, 1.7, (0.4, 0)),
}

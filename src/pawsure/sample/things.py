"""Drawn things that are neither cat nor dog; they stand at y = 0, about two units tall."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pawsure.sample.canvas import mix
from pawsure.sample.palette import GLASS, WOOD, hue
from pawsure.sample.pen import DARK, Pen
from pawsure.sample.shapes import box, curve, ellipse, limb, mirror


def car(pen: Pen) -> None:
    """A small car from the side."""
    body = hue(pen.rng)
    pen.ground_shadow(0, 1.7)
    roof = curve([(-0.95, -0.75), (-0.62, -1.25), (0.0, -1.36), (0.55, -1.25), (1.0, -0.75)])
    pen.solid(roof, body, roundness=0.2)
    window = curve([(-0.72, -0.80), (-0.50, -1.14), (0.0, -1.22), (0.46, -1.14), (0.76, -0.80)])
    pen.solid(window, GLASS, roundness=0.1, gloss=0.4)
    pen.line([(0.02, -1.24), (0.04, -0.78)], 0.08, body, 1.0)
    shell = curve([(-1.62, -0.30), (-1.58, -0.70), (-1.0, -0.82), (0.95, -0.82), (1.50, -0.66),
                   (1.66, -0.34), (1.50, -0.22), (-1.45, -0.20)])  # fmt: skip
    pen.solid(shell, body, roundness=0.25, gloss=0.3)
    for x in (-0.92, 0.95):
        pen.solid(ellipse(x, -0.28, 0.33, 0.33), (0.13, 0.13, 0.14), roundness=0.1)
        pen.solid(ellipse(x, -0.28, 0.17, 0.17), (0.75, 0.76, 0.78), roundness=0.08, gloss=0.5)
    pen.solid(ellipse(1.50, -0.52, 0.10, 0.13), (0.99, 0.94, 0.70), roundness=0.05, gloss=0.5)


def cup(pen: Pen) -> None:
    """A cup with a handle."""
    colour = hue(pen.rng)
    pen.ground_shadow(0, 1.0)
    handle = limb([(0.62, -1.25), (1.15, -1.2), (1.15, -0.65), (0.55, -0.45)], [0.11] * 4)
    pen.solid(handle, colour, roundness=0.1)
    wall = curve([(-0.80, -1.55), (-0.72, -0.5), (-0.5, -0.08), (0, -0.02), (0.5, -0.08),
                  (0.72, -0.5), (0.80, -1.55), (0, -1.42)])  # fmt: skip
    pen.solid(wall, colour, roundness=0.45, gloss=0.35)
    for y in (-1.0, -0.8):
        pen.line([(-0.74, y), (0, y + 0.12), (0.74, y)], 0.07, mix(colour, (1, 1, 1), 0.6), 0.8)
    pen.solid(ellipse(0, -1.54, 0.80, 0.17), mix(colour, (1, 1, 1), 0.3), roundness=0.05)
    pen.solid(ellipse(0, -1.52, 0.68, 0.12), (0.30, 0.18, 0.11), roundness=0.05)


def tree(pen: Pen) -> None:
    """A tree with a round crown, or a fir."""
    green = mix((0.24, 0.45, 0.22), hue(pen.rng), pen.rng.uniform(0, 0.45))
    pen.ground_shadow(0, 0.9)
    pen.solid(limb([(0, 0), (0.03, -0.6), (0, -1.3)], [0.20, 0.14, 0.12]), WOOD, roundness=0.15)
    if pen.rng.random() < 0.4:
        for y, w in ((-0.45, 0.95), (-1.05, 0.75), (-1.6, 0.52)):
            tier = curve([(0, y - 0.95), (0.5 * w, y - 0.4), (w, y), (0, y + 0.12), (-w, y),
                          (-0.5 * w, y - 0.4)])  # fmt: skip
            pen.solid(tier, green, roundness=0.3, shadow=0.4)
        return
    for i in range(9):
        angle = 2 * np.pi * i / 9 + pen.rng.uniform(-0.2, 0.2)
        reach = 0.52 if i % 3 else 0.12
        x, y = 1.15 * reach * np.cos(angle), -1.65 + reach * np.sin(angle)
        size = pen.rng.uniform(0.36, 0.52)
        pen.solid(ellipse(x, y, size, 0.9 * size), green, roundness=0.25, shadow=0.25)


def house(pen: Pen) -> None:
    """A house with a door and windows."""
    wall, roof = mix(hue(pen.rng), (1, 1, 1), 0.45), hue(pen.rng)
    pen.ground_shadow(0, 1.4)
    pen.solid(box(-1.05, -1.15, 1.05, 0), wall, roundness=0.12)
    pen.solid(box(0.45, -2.0, 0.72, -1.4), (0.55, 0.33, 0.27), roundness=0.1)
    slope = np.array([(-1.3, -1.1), (0, -2.05), (1.3, -1.1)])
    pen.solid(slope, roof, roundness=0.15, shadow=0.4)
    pen.solid(box(-0.22, -0.75, 0.22, 0), WOOD, roundness=0.06)
    pen.glint(0.13, -0.36, 0.035, 0.8)
    for x in (-0.65, 0.65):
        pen.solid(box(x - 0.22, -0.85, x + 0.22, -0.42), (0.95, 0.95, 0.93), roundness=0.05)
        pen.solid(box(x - 0.17, -0.80, x + 0.17, -0.47), GLASS, roundness=0.05, gloss=0.3)
        pen.lines([[(x, -0.80), (x, -0.47)], [(x - 0.17, -0.63), (x + 0.17, -0.63)]], 0.04,
                  (0.95, 0.95, 0.93), 1.0)  # fmt: skip


def ball(pen: Pen) -> None:
    """A ball with bands or patches."""
    colour, second = hue(pen.rng), mix(hue(pen.rng), (1, 1, 1), 0.5)
    pen.ground_shadow(0, 0.9)
    pen.solid(ellipse(0, -0.9, 0.9, 0.9), colour, roundness=0.55, gloss=0.25)
    for tilt in pen.rng.uniform(-0.5, 0.5, 2) + (0.0, 1.5):
        band = [(0.88 * np.cos(t), -0.9 + 0.28 * np.sin(t)) for t in np.linspace(0.1, 3.04, 7)]
        turned = pen.at(0, -0.9, angle=float(tilt)).at(0, 0.9)
        turned.line(band, 0.13, second, 0.75)
    pen.flat(ellipse(-0.34, -1.28, 0.22, 0.13, -0.6), (1, 1, 1), 0.45)


def fish(pen: Pen) -> None:
    """A fish, swimming in the air if need be."""
    colour, second = hue(pen.rng), hue(pen.rng)
    pen.ground_shadow(0, 1.0, strength=0.35)
    fin = curve([(-0.85, -1.0), (-1.45, -1.5), (-1.35, -1.0), (-1.45, -0.5)])
    pen.solid(fin, second, roundness=0.12)
    pen.solid(curve([(-0.3, -1.45), (0.1, -1.9), (0.5, -1.75), (0.4, -1.4)]), second, roundness=0.1)
    body = curve([(1.25, -0.98), (0.75, -1.42), (0.0, -1.56), (-0.7, -1.25), (-1.0, -1.0),
                  (-0.7, -0.75), (0.0, -0.46), (0.75, -0.58)])  # fmt: skip
    pen.solid(body, colour, roundness=0.4, gloss=0.3)
    for i in range(12):
        x, y = -0.5 + 0.25 * (i // 3), -1.2 + 0.22 * (i % 3) + 0.05 * (i // 3 % 2)
        pen.line([(x, y - 0.09), (x + 0.08, y), (x, y + 0.09)], 0.03, mix(colour, DARK, 0.5), 0.6)
    pen.solid(curve([(0.1, -0.85), (-0.3, -0.62), (0.05, -0.68)]), second, roundness=0.06)
    pen.flat(ellipse(0.80, -1.12, 0.13, 0.13), (0.97, 0.96, 0.92))
    pen.flat(ellipse(0.83, -1.12, 0.075, 0.075), DARK)
    pen.glint(0.80, -1.16, 0.03)
    pen.line([(1.22, -0.94), (1.08, -0.88), (1.0, -0.90)], 0.03)


def bird(pen: Pen) -> None:
    """A small round bird."""
    colour, belly = hue(pen.rng), mix(hue(pen.rng), (1, 1, 1), 0.6)
    pen.ground_shadow(0.0, 0.7)
    pen.lines([[(-0.1, -0.35), (-0.12, 0)], [(0.18, -0.35), (0.2, 0)]], 0.06, (0.75, 0.5, 0.2), 1.0)
    pen.solid(limb([(-0.5, -0.7), (-1.35, -0.45)], [0.16, 0.10]), mix(colour, DARK, 0.3))
    body = curve([(0.75, -1.25), (0.55, -1.68), (0.15, -1.70), (-0.25, -1.2), (-0.75, -0.75),
                  (-0.45, -0.35), (0.15, -0.25), (0.65, -0.6)])  # fmt: skip
    pen.solid(body, colour, roundness=0.4)
    pen.solid(ellipse(0.28, -0.68, 0.36, 0.40, 0.4), belly, roundness=0.3, opacity=0.85)
    wing = curve([(0.15, -1.05), (-0.15, -0.55), (-0.85, -0.50), (-0.5, -0.95), (-0.15, -1.15)])
    pen.solid(wing, mix(colour, DARK, 0.25), roundness=0.15, shadow=0.35)
    pen.solid(np.array([(0.70, -1.46), (1.02, -1.33), (0.71, -1.25)]), (0.92, 0.66, 0.2))
    pen.flat(ellipse(0.50, -1.42, 0.075, 0.075), DARK)
    pen.glint(0.475, -1.45, 0.025)


def flower(pen: Pen) -> None:
    """A flower in a pot."""
    colour, pot = hue(pen.rng), (0.72, 0.40, 0.27)
    pen.ground_shadow(0, 0.7)
    stem = [(0, -0.5), (0.06, -1.0), (0, -1.5)]
    pen.solid(limb(stem, [0.05] * 3), (0.28, 0.52, 0.24), roundness=0.05)
    for side in (-1, 1):
        leaf = curve([(0, 0), (0.3, -0.24), (0.62, -0.22), (0.38, 0.02)]) * (side, 1) + (0, -0.7)
        pen.solid(leaf, (0.30, 0.55, 0.25), roundness=0.08)
    pen.solid(np.array([(-0.5, -0.62), (0.5, -0.62), (0.36, 0), (-0.36, 0)]), pot, roundness=0.2)
    pen.solid(box(-0.56, -0.74, 0.56, -0.54), pot, roundness=0.08, shadow=0.4)
    petals = int(pen.rng.integers(5, 9))
    for t in np.linspace(0, 2 * np.pi, petals, endpoint=False):
        petal = ellipse(0.36 * np.cos(t), -1.6 + 0.36 * np.sin(t), 0.30, 0.17, float(t))
        pen.solid(petal, colour, roundness=0.1, shadow=0.2)
    pen.solid(ellipse(0, -1.6, 0.2, 0.2), (0.85, 0.62, 0.18), roundness=0.12, shadow=0.3)


def chair(pen: Pen) -> None:
    """A wooden chair with a cushion."""
    wood, cloth = mix(WOOD, hue(pen.rng), 0.3), hue(pen.rng)
    pen.ground_shadow(0, 0.9)
    for x, low, dim in ((-0.42, -0.12, 0.5), (0.62, -0.12, 0.5), (-0.62, 0, 0), (0.42, 0, 0)):
        leg = box(x - 0.06, -0.95, x + 0.06, low)
        pen.solid(leg, mix(wood, DARK, dim), roundness=0.06)
    for x in (-0.46, 0.58):
        pen.solid(box(x - 0.06, -2.05, x + 0.06, -0.9), wood, roundness=0.06)
    for y in (-1.95, -1.62, -1.3):
        pen.solid(box(-0.46, y, 0.58, y + 0.14), wood, roundness=0.06, shadow=0.2)
    seat = np.array([(-0.72, -0.86), (0.52, -0.86), (0.70, -1.08), (-0.50, -1.08)])
    pen.solid(curve(seat), cloth, roundness=0.1, shadow=0.35)


def boat(pen: Pen) -> None:
    """A sailing boat."""
    hull, sail = hue(pen.rng), mix(hue(pen.rng), (1, 1, 1), 0.65)
    pen.ground_shadow(0, 1.3, strength=0.5)
    pen.solid(box(-0.05, -2.05, 0.03, -0.5), WOOD, roundness=0.04)
    large = curve([(0.08, -1.95), (0.55, -1.3), (1.0, -0.68), (0.08, -0.68)])
    pen.solid(large, sail, roundness=0.25)
    small = curve([(-0.12, -1.7), (-0.5, -1.2), (-0.85, -0.7), (-0.12, -0.7)])
    pen.solid(small, sail, roundness=0.2)
    keel = curve([(-1.25, -0.55), (0, -0.50), (1.35, -0.60), (0.95, -0.08), (0, 0.0),
                  (-0.85, -0.08)])  # fmt: skip
    pen.solid(keel, hull, roundness=0.25, gloss=0.2)
    pen.line([(-1.12, -0.40), (0, -0.36), (1.18, -0.43)], 0.06, (0.97, 0.96, 0.92), 0.9)


def balloon(pen: Pen) -> None:
    """A balloon on a string."""
    colour = hue(pen.rng)
    pen.ground_shadow(0, 0.5, strength=0.4)
    pen.line([(0, -0.75), (0.12, -0.5), (-0.1, -0.25), (0.05, 0)], 0.025, (0.3, 0.3, 0.3), 0.8)
    pen.solid(np.array([(0, -0.86), (0.09, -0.72), (-0.09, -0.72)]), colour)
    skin = curve([(0, -2.15), (0.5, -1.98), (0.68, -1.55), (0.42, -1.08), (0, -0.82),
                  (-0.42, -1.08), (-0.68, -1.55), (-0.5, -1.98)])  # fmt: skip
    pen.solid(skin, colour, roundness=0.5, gloss=0.3)
    pen.flat(ellipse(-0.28, -1.78, 0.12, 0.20, 0.5), (1, 1, 1), 0.55)


def mushroom(pen: Pen) -> None:
    """A mushroom with spots."""
    cap = hue(pen.rng)
    pen.ground_shadow(0, 0.8)
    stalk = curve([(-0.24, -0.9), (0.24, -0.9), (0.36, -0.1), (0, 0), (-0.36, -0.1)])
    pen.solid(stalk, (0.95, 0.91, 0.82), roundness=0.25)
    pen.solid(ellipse(0, -0.92, 0.82, 0.18), (0.86, 0.79, 0.68), roundness=0.1)
    dome = curve([(-1.08, -0.92), (-0.86, -1.45), (0, -1.80), (0.86, -1.45), (1.08, -0.92),
                  (0, -0.82)])  # fmt: skip
    pen.solid(dome, cap, roundness=0.4, gloss=0.25)
    at = ((-0.55, -1.2, 0.14), (0.05, -1.48, 0.17), (0.58, -1.2, 0.13), (-0.1, -1.08, 0.1))
    spots = [ellipse(x, y, r, 0.8 * r) for x, y, r in at]
    pen.solid(spots, (0.97, 0.96, 0.92), roundness=0.06)


def snowman(pen: Pen) -> None:
    """Three balls of snow with buttons, eyes and a carrot: round, pale and with a face."""
    pen.ground_shadow(0, 0.9)
    snow = (0.93, 0.95, 0.98)
    for y, r in ((-0.52, 0.62), (-1.25, 0.46), (-1.82, 0.33)):
        pen.solid(ellipse(0, y, r, 0.95 * r), snow, roundness=0.3, shadow=0.3)
    eyes = ellipse(0.12, -1.90, 0.045, 0.045, steps=12)
    buttons = [ellipse(0, y, 0.05, 0.05, steps=12) for y in (-1.4, -1.2)]
    pen.flat([eyes, mirror(eyes), *buttons], DARK, 0.95)
    pen.solid(np.array([(0, -1.83), (0.38, -1.77), (0, -1.75)]), (0.92, 0.52, 0.18))
    pen.line([(-0.36, -1.56), (0, -1.46), (0.36, -1.56)], 0.15, hue(pen.rng), 1.0)


THINGS: tuple[Callable[[Pen], None], ...] = (
    car, cup, tree, house, ball, fish, bird, flower, chair, boat, balloon, mushroom, snowman,
)  # fmt: skip

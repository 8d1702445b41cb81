"""What comes between the viewer and the animal: leaves, grass, boxes, cushions, slats."""

from __future__ import annotations

import numpy as np

from pawsure.sample.canvas import View, mix
from pawsure.sample.palette import WOOD, hue
from pawsure.sample.pen import Pen
from pawsure.sample.shapes import Shape, box, curve, ellipse, limb
from pawsure.sample.things import ball, cup, flower

SHARES = (0.30, 0.25, 0.18, 0.12, 0.15)  # in the order of the list in `occlude`


def occlude(pen: Pen, face: tuple[float, float], clear: float) -> None:
    """Hide a part of the picture, never most of the face.

    Args:
        pen: in pixels.
        face: where the face's middle is.
        clear: how far about it must stay in view.
    """
    ways = (_low_edge, _leaves, _grass, _side, _thing)
    ways[pen.rng.choice(len(ways), p=SHARES)](pen, face, clear)


def _low_edge(pen: Pen, face: tuple[float, float], clear: float) -> None:
    """The rim of a table, a box, or a cushion across the lower edge."""
    canvas, rng = pen.canvas, pen.rng
    w, h = canvas.width, canvas.height
    top = max(h * rng.uniform(0.70, 0.86), face[1] + clear)
    tilt, colour = rng.uniform(-0.05, 0.05) * w, hue(pen.rng)
    kind = rng.integers(3)
    if kind == 0:
        pen.solid(np.array([(-9, top + tilt), (w + 9, top - tilt), (w + 9, h + 9), (-9, h + 9)]),
                  WOOD, roundness=6, shadow=0)  # fmt: skip
        pen.line([(-9, top + tilt + 3), (w + 9, top - tilt + 3)], 3, (1, 0.95, 0.85), 0.25)
    elif kind == 1:
        left = rng.uniform(-0.1, 0.4) * w
        card = np.array([(left, top), (left + 0.65 * w, top + tilt), (left + 0.62 * w, h + 9),
                         (left + 0.03 * w, h + 9)])  # fmt: skip
        pen.solid(card, (0.72, 0.56, 0.38), roundness=8)
        flap = np.array([(left, top), (left + 0.65 * w, top + tilt),
                         (left + 0.70 * w, top + 0.08 * h),
                         (left - 0.05 * w, top + 0.08 * h)])  # fmt: skip
        pen.solid(flap, (0.78, 0.62, 0.44), roundness=4)
    else:
        left = rng.uniform(-0.3, 0.5) * w
        pillow = curve([(left, h + 20), (left + 0.02 * w, top + 8), (left + 0.35 * w, top),
                        (left + 0.72 * w, top + 10), (left + 0.75 * w, h + 20)])  # fmt: skip
        pen.solid(pillow, colour, roundness=0.12 * h)


def _leaves(pen: Pen, face: tuple[float, float], clear: float) -> None:
    """A plant that leans in from the side away from the face."""
    canvas, rng = pen.canvas, pen.rng
    w, h = canvas.width, canvas.height
    left = face[0] > w / 2
    root = np.array([-0.05 * w if left else 1.05 * w, h * rng.uniform(0.6, 1.1)])
    green = mix((0.24, 0.46, 0.24), hue(pen.rng), 0.2)
    for _ in range(rng.integers(5, 10)):
        reach = rng.uniform(0.35, 0.65) * min(w, h)
        angle = rng.uniform(-1.4, -0.1)
        direction = np.array([np.cos(angle) * (1 if left else -1), np.sin(angle)])
        tip = root + reach * direction
        if np.hypot(*(tip - face)) < clear:
            tip = root + 0.5 * reach * direction
        middle = (root + tip) / 2 + rng.normal(0, 0.05, 2) * reach
        stalk = np.stack([root, middle, tip])
        leaf = limb(stalk, [2.0, 0.085 * reach, 1.0])
        colour = np.clip(green * rng.uniform(0.8, 1.25), 0, 1)
        pen.solid(leaf, colour, roundness=0.06 * reach)
        pen.line(stalk, 1.2, np.clip(colour * 1.3, 0, 1), 0.5)


def _grass(pen: Pen, face: tuple[float, float], clear: float) -> None:
    """Tall blades along the lower edge."""
    canvas, rng = pen.canvas, pen.rng
    w, h = canvas.width, canvas.height
    room = min(0.35 * h, h - face[1] - 0.6 * clear)
    green = np.asarray(mix((0.36, 0.54, 0.24), hue(pen.rng), 0.15))
    for tone in (0.7, 0.95, 1.2):
        shape: Shape = []
        for x in rng.uniform(-5, w + 5, 26):
            tall = max(8.0, room) * rng.uniform(0.4, 1.0)
            lean = rng.normal(0, 0.25) * tall
            shape += limb([(x, h + 4), (x + 0.3 * lean, h - 0.55 * tall), (x + lean, h - tall)],
                          [0.006 * w + 1, 0.005 * w + 0.7, 0.2], steps=4, joints=False)  # fmt: skip
        pen.flat(shape, np.clip(green * tone, 0, 1), 0.95)


def _side(pen: Pen, face: tuple[float, float], clear: float) -> None:
    """A door frame or a curtain on the side away from the face."""
    canvas, rng = pen.canvas, pen.rng
    w, h = canvas.width, canvas.height
    wide = min(w * rng.uniform(0.12, 0.30), max(face[0], w - face[0]) - clear)
    left = face[0] > w / 2
    if rng.random() < 0.5:
        x0, x1 = (-9, wide) if left else (w - wide, w + 9)
        pen.solid(box(x0, -9, x1, h + 9), mix(WOOD, hue(pen.rng), 0.4), roundness=5, shadow=0.0)
        return
    colour = hue(pen.rng)
    for i in range(4):
        x = wide * (3 - i) / 4 if left else w - wide * (4 - i) / 4
        lean = 0.1 * wide * np.sin(2.0 * i)
        fold = curve([(x, -9), (x + wide / 4 + 3, -9), (x + wide / 4 + lean + 3, h + 9),
                      (x + lean, h + 9)], steps=2)  # fmt: skip
        pen.solid(fold, colour, roundness=0.12 * wide)


def _thing(pen: Pen, face: tuple[float, float], clear: float) -> None:
    """A ball, a cup or a flower in front, low and beside the face."""
    canvas, rng = pen.canvas, pen.rng
    w, h = canvas.width, canvas.height
    left = face[0] > w / 2
    size = 0.14 * min(w, h) * rng.uniform(0.8, 1.3)
    x = w * (rng.uniform(0.05, 0.30) if left else rng.uniform(0.70, 0.95))
    spot = Pen(canvas, View(x, h * rng.uniform(0.93, 1.05), size), rng)
    (ball, cup, flower)[rng.integers(3)](spot)


def dapple(pen: Pen) -> Shape:
    """Outlines of the shadows of leaves, in pixels, over the whole picture."""
    canvas, rng = pen.canvas, pen.rng
    at = rng.uniform((0, 0), (canvas.width, canvas.height), (22, 2))
    size = 0.10 * min(canvas.width, canvas.height)
    return [ellipse(x, y, size * rng.uniform(0.5, 1.4), size * rng.uniform(0.3, 0.8),
                    rng.uniform(0, 3)) for x, y in at]  # fmt: skip

"""Where the animals and things are: rooms, meadows, studios, cloth, clutter.

Chosen and painted before anything is known about what will stand there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pawsure.sample.canvas import Canvas, View, mix, smoothstep
from pawsure.sample.indoors import indoors
from pawsure.sample.outdoors import outdoors
from pawsure.sample.palette import FLOORS, SKIES, WALLS, any_of, hue, varied
from pawsure.sample.pen import Pen
from pawsure.sample.shapes import box, ellipse
from pawsure.sample.texture import hair, smooth_noise
from pawsure.sample.things import THINGS, ball


def paint_scene(canvas: Canvas, rng: np.random.Generator) -> float:
    """Fill the canvas with a background.

    Returns:
        How high its floor reaches, as a share of the height counted from the top: about
        where feet stand is halfway from there to the lower edge.
    """
    unit = min(canvas.width, canvas.height)
    pen = Pen(canvas, View(0, 0, unit), rng)
    painters = (indoors, outdoors, studio, cloth, clutter)
    painter = painters[rng.choice(len(painters), p=(0.32, 0.30, 0.14, 0.12, 0.12))]
    horizon = painter(pen)
    if rng.random() < 0.35:
        canvas.blur(unit * rng.uniform(0.005, 0.016))
    return horizon


def studio(pen: Pen) -> float:
    """A smooth backdrop, perhaps with discs of light out of focus."""
    rng, (width, height) = pen.rng, pen.size
    first, second = any_of(WALLS + FLOORS, rng), any_of(WALLS + SKIES, rng)
    x, y = pen.grid()
    angle = rng.uniform(0, 2 * np.pi)
    along = (x / width - 0.5) * np.float32(np.cos(angle)) + (y / height - 0.5) * np.float32(
        np.sin(angle)
    )
    pen.canvas.pixels[:] = mix(first, second, smoothstep(-0.6, 0.6, along))
    if rng.random() < 0.55:
        for _ in range(rng.integers(5, 16)):
            r = rng.uniform(0.03, 0.13)
            disc = ellipse(rng.uniform(0, width), rng.uniform(0, height), r, r, steps=30)
            pen.flat(disc, mix(hue(pen.rng), (1, 1, 0.95), 0.5), float(rng.uniform(0.12, 0.4)))
    return 0.7


def cloth(pen: Pen) -> float:
    """A blanket or a plank wall seen straight on: plaid, stripes, weave or grain."""
    rng = pen.rng
    x, y = pen.grid()
    first, second = any_of(WALLS + FLOORS, rng), varied(hue(pen.rng), rng)
    size, seed, kind = rng.uniform(0.12, 0.3), rng.uniform(0, 99), rng.integers(4)
    turn = np.float32(rng.choice([0.0, 0.35, -0.5]))
    u, v = x + turn * y, y - turn * x
    wave = np.float32(2 * np.pi / size)
    if kind == 0:
        amount = 0.35 * (np.sin(wave * u) > 0) + 0.35 * (np.sin(wave * v) > 0)
    elif kind == 1:
        amount = 0.7 * smoothstep(-0.15, 0.15, np.sin(wave * u + 0.0 * v))
    elif kind == 2:
        knit = np.sin(wave * 4 * u + 1.5 * np.abs(np.sin(wave * 4 * v)))
        amount = 0.3 + 0.25 * knit
    else:
        board = np.floor(v / size)
        grain = hair(u * 180, v * 160 + 57 * board, seed=seed)
        amount = 0.35 + 0.2 * grain + 0.15 * np.sin(board * 12.9898)
        first, second = any_of(FLOORS, rng), (0.25, 0.17, 0.12)
    folds = 1 + 0.16 * smooth_noise(u, v * np.float32(0.4), size=0.4, seed=seed)
    weave = 1 + 0.05 * smooth_noise(x, y, size=0.012, seed=seed)
    pen.canvas.pixels[:] = np.clip(mix(first, second, amount) * folds * weave, 0, 1)
    return 0.75


def clutter(pen: Pen) -> float:
    """A surface strewn with toys, boxes and balls."""
    rng, (width, height) = pen.rng, pen.size
    horizon = indoors(pen) if rng.random() < 0.5 else cloth(pen)
    for y in np.sort(rng.uniform(0.25, 1.05, int(rng.integers(6, 12)))) * height:
        size = float(rng.uniform(0.07, 0.17))
        spot = pen.at(float(rng.uniform(0, width)), float(y), scale=size,
                      angle=float(rng.normal(0, 0.12)))  # fmt: skip
        _toy(spot)
    return horizon


def _toy(pen: Pen) -> None:
    choices: tuple[Callable[[Pen], None], ...] = (*THINGS[:2], ball, *THINGS[7:9], _crate, _crate)
    choices[pen.rng.integers(len(choices))](pen)


def _crate(pen: Pen) -> None:
    colour, w = hue(pen.rng), pen.rng.uniform(0.6, 1.2)
    pen.ground_shadow(0, w)
    pen.solid(box(-w, -1.2, w, 0), colour, roundness=0.12)
    lid = np.array([(-w, -1.2), (w, -1.2), (w + 0.3, -1.5), (-w + 0.3, -1.5)])
    pen.solid(lid, mix(colour, (1, 1, 1), 0.25), roundness=0.05)

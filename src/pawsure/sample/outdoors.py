"""Open ground under a sky. One unit is the picture's shorter side."""

from __future__ import annotations

import numpy as np

from pawsure.sample.canvas import Colour, Field, mix, planes, smoothstep
from pawsure.sample.palette import GROUNDS, SKIES, any_of, hue, varied
from pawsure.sample.pen import Pen
from pawsure.sample.shapes import Shape, box, curve, ellipse
from pawsure.sample.texture import cloudy_noise, smooth_noise


def outdoors(pen: Pen) -> float:
    """Sky, hills, and grass, sand, snow, leaves or pavement."""
    rng, (_, height) = pen.rng, pen.size
    horizon = float(rng.uniform(0.32, 0.66))
    sky = any_of(SKIES, rng)
    x, y = pen.grid()
    low = mix(sky, (0.99, 0.96, 0.90), 0.6)
    pen.canvas.pixels[:] = mix(sky, low, np.clip(y / (horizon * height), 0, 1))
    if rng.random() < 0.7:
        cloud = cloudy_noise(x, y * 2.2, size=0.5, seed=rng.uniform(0, 99))
        pen.canvas.pixels[:] = mix(pen.canvas.pixels, (0.99, 0.99, 1.0),
                                   0.75 * smoothstep(0.05, 0.6, cloud))  # fmt: skip
    ground = any_of(GROUNDS, rng)
    _hills(pen, horizon * height, mix(ground, sky, 0.45))
    if rng.random() < 0.6:
        for _ in range(rng.integers(1, 5)):
            _far_tree(pen, horizon * height)
    if rng.random() < 0.25:
        _fence(pen, horizon * height)
    _field(pen, horizon, ground)
    return horizon


def _hills(pen: Pen, y: float, colour: Field) -> None:
    rng, (width, _) = pen.rng, pen.size
    for layer in range(rng.integers(1, 3)):
        xs = np.linspace(-0.2, width + 0.2, 7)
        tops = y - rng.uniform(0.0, 0.22, 7) * (1.2 - 0.6 * layer)
        ridge = curve(np.stack([xs, tops], axis=1), closed=False)
        hill = np.concatenate([ridge, [(width + 0.2, y + 0.1), (-0.2, y + 0.1)]])
        pen.solid(hill, colour * (1 - 0.12 * layer), roundness=0.06)


def _far_tree(pen: Pen, y: float) -> None:
    rng, (width, _) = pen.rng, pen.size
    size = rng.uniform(0.08, 0.2)
    spot = pen.at(float(rng.uniform(0, width)), y + 0.02, scale=float(size))
    green = mix(varied((0.26, 0.42, 0.24), rng), (0.75, 0.45, 0.2), 0.6 * (rng.random() < 0.3))
    spot.solid(box(-0.1, -0.9, 0.1, 0.1), (0.36, 0.27, 0.2))
    for _ in range(3):
        dx, dy = rng.uniform(-0.4, 0.4), rng.uniform(-1.6, -0.9)
        spot.solid(ellipse(dx, dy, 0.55, 0.5), green, roundness=0.3)


def _fence(pen: Pen, y: float) -> None:
    width, _ = pen.size
    colour = any_of(((0.90, 0.88, 0.84), (0.50, 0.38, 0.28)), pen.rng)
    posts: Shape = [box(x, y - 0.20, x + 0.045, y + 0.05) for x in np.arange(-0.02, width, 0.11)]
    rails: Shape = [box(-0.1, y - h, width + 0.1, y - h + 0.025) for h in (0.15, 0.06)]
    pen.solid([*rails, *posts], colour, roundness=0.015, shadow=0.03)


def _field(pen: Pen, horizon: float, colour: Colour) -> None:
    rng, (width, height) = pen.rng, pen.size
    top = int(horizon * pen.canvas.height)
    x, y = pen.grid(top)
    near = np.maximum(y - np.float32(horizon * height), 0) / np.float32(height * (1 - horizon))
    seed = rng.uniform(0, 99)
    grain = smooth_noise(x / (0.35 + near), np.sqrt(near + 0.02) * 3, size=0.035, seed=seed)
    tone = 0.12 * grain + 0.12 * cloudy_noise(x, y * 2.5, size=0.4, seed=seed + 3)
    pen.canvas.pixels[:, top:] = planes(colour) * (0.85 + 0.25 * near) * (1 + tone)
    green = colour[1] > colour[0] and colour[1] > colour[2] + 0.1
    if green:
        _blades(pen, colour, int(rng.integers(60, 140)), horizon * height, height, 0.05)
    if green and rng.random() < 0.4:
        at = rng.uniform((0, horizon * height), (width, height), (24, 2))
        petals: Shape = [ellipse(px, py, 0.011, 0.009, steps=8) for px, py in at]
        pen.flat(petals, mix(hue(pen.rng), (1, 1, 1), 0.4), 0.9)


def _blades(pen: Pen, colour: Colour, count: int, top: float, bottom: float, length: float) -> None:
    """Blades of grass, some lighter and some darker than the colour."""
    rng, (width, _) = pen.rng, pen.size
    for tone in (0.75, 1.22):
        shape: Shape = []
        for _ in range(count // 2):
            x, share = rng.uniform(-0.02, width + 0.02), rng.uniform(0.03, 1)
            y = top + share * (bottom - top)
            lean, tall = rng.normal(0, 0.4), length * (0.4 + 0.8 * share) * rng.uniform(0.6, 1.3)
            wide = 0.10 * tall
            tip = (x + lean * tall, y - tall)
            shape.append(np.array([(x - wide, y), (x + 0.2 * lean * tall, y - 0.6 * tall), tip,
                                   (x + wide, y)]))  # fmt: skip
        pen.flat(shape, np.clip(np.asarray(colour) * tone, 0, 1), 0.8)

"""Rooms: a wall, a floor, and some furniture. One unit is the picture's shorter side."""

from __future__ import annotations

import numpy as np

from pawsure.sample.canvas import Colour, mix, planes, smoothstep
from pawsure.sample.palette import FLOORS, WALLS, WOOD, any_of, hue, varied
from pawsure.sample.pen import Pen
from pawsure.sample.shapes import Shape, box, curve, ellipse, limb
from pawsure.sample.texture import cloudy_noise, hair, smooth_noise
from pawsure.sample.things import flower


def indoors(pen: Pen) -> float:
    """A wall, a floor, and some furniture."""
    rng, (_, height) = pen.rng, pen.size
    horizon = float(rng.uniform(0.50, 0.78))
    wall = any_of(WALLS, rng)
    x, y = pen.grid()
    fall = 1.08 - 0.22 * y / height + 0.05 * cloudy_noise(x, y, size=0.8, seed=rng.uniform(0, 99))
    pen.canvas.pixels[:] = planes(wall) * fall
    if rng.random() < 0.45:
        _wallpaper(pen, wall, horizon)
    _floor(pen, horizon, any_of(FLOORS, rng))
    pieces = (_window, _picture, _shelf, _lamp, _sofa, _pot_plant, _curtain, _door)
    for i in rng.permutation(len(pieces))[: rng.integers(1, 4)]:
        pieces[i](pen, horizon * height)
    if rng.random() < 0.35:
        _rug(pen, horizon)
    return horizon


def _wallpaper(pen: Pen, wall: Colour, horizon: float) -> None:
    rng, (width, height) = pen.rng, pen.size
    tint = mix(wall, (1, 1, 1) if rng.random() < 0.5 else (0.2, 0.2, 0.3), 0.25)
    gap = rng.uniform(0.08, 0.2)
    if rng.random() < 0.5:
        lefts = np.arange(0, width, gap)
        marks: Shape = [box(x, 0, x + gap * 0.4, horizon * height) for x in lefts]
    else:
        marks = [
            ellipse(i + (gap / 2 if row % 2 else 0), j, gap * 0.14, gap * 0.14, steps=10)
            for row, j in enumerate(np.arange(0, horizon * height, gap))
            for i in np.arange(0, width, gap)
        ]
    pen.flat(marks, tint, 0.5)


def _floor(pen: Pen, horizon: float, colour: Colour) -> None:
    rng, (width, height) = pen.rng, pen.size
    top = int(horizon * pen.canvas.height)
    x, y = pen.grid(top)
    depth = (y - horizon * height) / (height - horizon * height)
    kind = rng.integers(3)
    seed = rng.uniform(0, 99)
    if kind == 0:  # planks that run towards the viewer
        lane = (x - width / 2) / (0.55 + depth) * 7
        tone = 0.10 * np.sin(np.floor(lane) * 12.9898 + seed) - 0.18 * smoothstep(
            0.06, 0.0, lane - np.floor(lane)
        )
        tone = tone + 0.08 * hair(np.broadcast_to(y * 400, lane.shape), lane * 18, seed=seed)
    elif kind == 1:  # carpet
        tone = 0.10 * smooth_noise(x, y, size=0.012, seed=seed) + 0.05 * cloudy_noise(
            x, y, size=0.3, seed=seed
        )
    else:  # tiles
        across, along = (x - width / 2) / (0.5 + depth) * 4, 6 * depth / (0.5 + depth)
        edge = np.minimum(across - np.floor(across), along - np.floor(along))
        check = (np.floor(across) + np.floor(along)) % 2
        tone = 0.12 * check - 0.15 * smoothstep(0.06, 0.0, edge)
    shade = (0.86 + 0.22 * depth) * (1 + tone)
    pen.canvas.pixels[:, top:] = planes(colour) * shade
    skirting = box(-0.1, horizon * height - 0.045, width + 0.1, horizon * height + 0.004)
    pen.solid(skirting, mix(colour, (0.97, 0.95, 0.92), 0.75), roundness=0.01, shadow=0.02)


def _window(pen: Pen, floor: float) -> None:
    rng, (width, _) = pen.rng, pen.size
    w, h = rng.uniform(0.35, 0.6), rng.uniform(0.30, 0.5)
    x, y = rng.uniform(-0.1, max(0.0, width - w)), rng.uniform(-0.05, max(0.0, floor - h - 0.1))
    frame = (0.95, 0.94, 0.91)
    pen.solid(box(x, y, x + w, y + h), frame, roundness=0.01, shadow=0.02)
    sky = any_of(((0.66, 0.82, 0.95), (0.95, 0.80, 0.62), (0.30, 0.36, 0.52)), rng)
    pen.flat(box(x + 0.02, y + 0.02, x + w - 0.02, y + h - 0.02), sky)
    hill = curve([(x + 0.02, y + h - 0.02), (x + 0.02, y + 0.72 * h), (x + 0.5 * w, y + 0.6 * h),
                  (x + w - 0.02, y + 0.75 * h), (x + w - 0.02, y + h - 0.02)], steps=4)  # fmt: skip
    pen.flat(hill, mix((0.35, 0.52, 0.34), sky, 0.3))
    pen.lines([[(x + w / 2, y), (x + w / 2, y + h)], [(x, y + h / 2), (x + w, y + h / 2)]], 0.022,
              frame, 1.0)  # fmt: skip


def _picture(pen: Pen, floor: float) -> None:
    rng, (width, _) = pen.rng, pen.size
    w, h = rng.uniform(0.18, 0.34, 2)
    x, y = rng.uniform(0.02, max(0.05, width - w)), rng.uniform(0.03, max(0.05, floor - h - 0.2))
    pen.solid(box(x, y, x + w, y + h), mix(WOOD, hue(pen.rng), 0.3), roundness=0.012, shadow=0.03)
    pen.flat(box(x + 0.02, y + 0.02, x + w - 0.02, y + h - 0.02), (0.94, 0.92, 0.87))
    for _ in range(3):
        r = rng.uniform(0.02, 0.3 * min(w, h))
        spot = ellipse(rng.uniform(x + 0.07, x + w - 0.07), rng.uniform(y + 0.07, y + h - 0.07),
                       min(r, 0.05), min(r, 0.05))  # fmt: skip
        pen.flat(spot, hue(pen.rng), 0.8)


def _shelf(pen: Pen, floor: float) -> None:
    rng, (width, _) = pen.rng, pen.size
    x, y = rng.uniform(0, width * 0.6), rng.uniform(0.22, max(0.25, floor - 0.15))
    at, end = x, x + rng.uniform(0.3, 0.6)
    while at < end:
        w, h = rng.uniform(0.025, 0.06), rng.uniform(0.11, 0.18)
        pen.solid(box(at, y - h, at + w, y), hue(pen.rng), roundness=0.012)
        at += w + 0.004
    pen.solid(box(x - 0.03, y, end + 0.05, y + 0.025), WOOD, roundness=0.01, shadow=0.06)


def _lamp(pen: Pen, floor: float) -> None:
    rng, (width, height) = pen.rng, pen.size
    x, top = rng.uniform(0.1, max(0.2, width - 0.1)), rng.uniform(0.02, 0.2)
    canvas = pen.canvas
    gx, gy = pen.grid()
    glow = np.exp(-((gx - np.float32(x)) ** 2 + (gy - np.float32(top + 0.1)) ** 2) / 0.12)
    canvas.pixels += planes((0.30, 0.24, 0.12)) * glow
    pen.solid(box(x - 0.01, top + 0.1, x + 0.01, floor + 0.1 * (height - floor)), (0.3, 0.28, 0.26),
              roundness=0.01)  # fmt: skip
    shade = np.array([(x - 0.07, top), (x + 0.07, top), (x + 0.13, top + 0.18),
                      (x - 0.13, top + 0.18)])  # fmt: skip
    pen.solid(shade, mix(hue(pen.rng), (1, 0.96, 0.82), 0.6), roundness=0.05)


def _sofa(pen: Pen, floor: float) -> None:
    rng, (width, height) = pen.rng, pen.size
    colour, x = hue(pen.rng), rng.uniform(-0.3, 0.4 * width)
    w, low = rng.uniform(0.9, 1.4), floor + 0.35 * (height - floor)
    seat, back = floor - 0.08, floor - 0.36
    pen.solid(_cushion(x, back, x + w, low), colour, roundness=0.07, shadow=0.1)
    for i in range(2):
        left = x + 0.10 + i * (w - 0.2) / 2
        pen.solid(_cushion(left, seat, left + (w - 0.2) / 2, low - 0.05),
                  mix(colour, (1, 1, 1), 0.08), roundness=0.05, shadow=0.05)  # fmt: skip
    for left in (x - 0.06, x + w - 0.1):
        pen.solid(_cushion(left, seat - 0.10, left + 0.16, low + 0.01), colour, roundness=0.06,
                  shadow=0.06)  # fmt: skip


def _cushion(x0: float, y0: float, x1: float, y1: float) -> Shape:
    r = 0.2 * min(x1 - x0, y1 - y0)
    return [
        curve([(x0, y0 + r), (x0 + r, y0), (x1 - r, y0), (x1, y0 + r), (x1, y1 - r), (x1 - r, y1),
               (x0 + r, y1), (x0, y1 - r)], steps=5)
    ]  # fmt: skip


def _pot_plant(pen: Pen, floor: float) -> None:
    rng, (width, _) = pen.rng, pen.size
    spot = pen.at(float(rng.uniform(0.05, width - 0.05)), floor + 0.06, scale=rng.uniform(0.2, 0.3))
    if rng.random() < 0.3:
        flower(spot)
        return
    green = varied((0.28, 0.48, 0.26), rng)
    for t in rng.uniform(-1.1, 1.1, 9):
        reach = rng.uniform(1.0, 1.7)
        tip = (reach * np.sin(t), -0.5 - reach * np.cos(t))
        path = [(0, -0.4), (0.6 * tip[0], -0.5 + 0.65 * (tip[1] + 0.5)), tip]
        spot.solid(limb(path, [0.05, 0.15, 0.01]), varied(green, rng, 0.03), roundness=0.1)
    pot = np.array([(-0.42, -0.62), (0.42, -0.62), (0.3, 0.1), (-0.3, 0.1)])
    spot.solid(pot, hue(pen.rng), roundness=0.2, shadow=0.3)


def _curtain(pen: Pen, floor: float) -> None:
    rng, (width, _) = pen.rng, pen.size
    colour, w = hue(pen.rng), rng.uniform(0.12, 0.25)
    left = -0.02 if rng.random() < 0.5 else width - w + 0.02
    folds = 4
    for i in range(folds):
        x = left + i * w / folds
        fold = box(x, -0.1, x + w / folds + 0.01, floor + 0.05)
        pen.solid(fold, colour, roundness=0.03, shadow=0.03)


def _door(pen: Pen, floor: float) -> None:
    rng, (width, _) = pen.rng, pen.size
    x, colour = rng.uniform(0, 0.7 * width), any_of(FLOORS + WALLS, rng)
    pen.solid(box(x - 0.03, floor - 0.93, x + 0.41, floor), (0.93, 0.91, 0.88), roundness=0.01)
    pen.solid(box(x, floor - 0.9, x + 0.38, floor), colour, roundness=0.015, shadow=0.02)
    for y in (floor - 0.80, floor - 0.40):
        pen.solid(box(x + 0.06, y, x + 0.32, y + 0.32), colour, roundness=0.02, shadow=0.03)
    pen.solid(ellipse(x + 0.345, floor - 0.43, 0.014, 0.014), (0.85, 0.75, 0.4), gloss=0.8)


def _rug(pen: Pen, horizon: float) -> None:
    rng, (width, height) = pen.rng, pen.size
    y = (horizon + 0.55 * (1 - horizon)) * height
    ry = 0.36 * (1 - horizon) * height
    colour, x = hue(pen.rng), rng.uniform(0.35, 0.65) * width
    for share, tone in ((1.0, 0.0), (0.82, 0.5), (0.66, 0.15)):
        pen.flat(ellipse(x, y, share * 0.5, share * ry), mix(colour, (0.95, 0.92, 0.85), tone))

"""Where the animals and things are: rooms, meadows, studios, cloth, clutter.

Chosen and painted before anything is known about what will stand there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pawsure.data.sample.canvas import Canvas, Colour, Field, View, mix, planes, smoothstep
from pawsure.data.sample.pen import Pen
from pawsure.data.sample.shapes import Shape, box, curve, ellipse, limb
from pawsure.data.sample.texture import cloudy_noise, hair, smooth_noise
from pawsure.data.sample.things import THINGS, WOOD, ball, flower, hue

WALLS: tuple[Colour, ...] = (
    (0.86, 0.82, 0.74), (0.72, 0.78, 0.76), (0.62, 0.70, 0.80), (0.80, 0.66, 0.58),
    (0.55, 0.62, 0.55), (0.88, 0.86, 0.86), (0.46, 0.42, 0.50), (0.78, 0.72, 0.50),
    (0.36, 0.45, 0.50), (0.82, 0.70, 0.72),
)  # fmt: skip
FLOORS: tuple[Colour, ...] = (
    (0.58, 0.42, 0.28), (0.70, 0.56, 0.40), (0.42, 0.31, 0.24), (0.62, 0.60, 0.58),
    (0.50, 0.40, 0.42), (0.74, 0.68, 0.60), (0.35, 0.40, 0.46),
)  # fmt: skip


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


def _size(pen: Pen) -> tuple[float, float]:
    return pen.canvas.width / pen.view.scale, pen.canvas.height / pen.view.scale


def _grid(pen: Pen, top: int = 0) -> tuple[Field, Field]:
    canvas, unit = pen.canvas, np.float32(pen.view.scale)
    x = np.arange(canvas.width, dtype=np.float32)[None, :] / unit
    return x, np.arange(top, canvas.height, dtype=np.float32)[:, None] / unit


def _varied(colour: Colour, rng: np.random.Generator, spread: float = 0.06) -> Colour:
    red, green, blue = np.clip(np.asarray(colour) + rng.normal(0, spread, 3), 0.05, 0.98).tolist()
    return red, green, blue


def _any(colours: tuple[Colour, ...], rng: np.random.Generator) -> Colour:
    return _varied(colours[rng.integers(len(colours))], rng)


def indoors(pen: Pen) -> float:
    """A wall, a floor, and some furniture."""
    rng, (_, height) = pen.rng, _size(pen)
    horizon = float(rng.uniform(0.50, 0.78))
    wall = _any(WALLS, rng)
    x, y = _grid(pen)
    fall = 1.08 - 0.22 * y / height + 0.05 * cloudy_noise(x, y, size=0.8, seed=rng.uniform(0, 99))
    pen.canvas.pixels[:] = planes(wall) * fall
    if rng.random() < 0.45:
        _wallpaper(pen, wall, horizon)
    _floor(pen, horizon, _any(FLOORS, rng))
    pieces = (_window, _picture, _shelf, _lamp, _sofa, _pot_plant, _curtain, _door)
    for i in rng.permutation(len(pieces))[: rng.integers(1, 4)]:
        pieces[i](pen, horizon * height)
    if rng.random() < 0.35:
        _rug(pen, horizon)
    return horizon


def _wallpaper(pen: Pen, wall: Colour, horizon: float) -> None:
    rng, (width, height) = pen.rng, _size(pen)
    tint = mix(wall, (1, 1, 1) if rng.random() < 0.5 else (0.2, 0.2, 0.3), 0.25)
    gap = rng.uniform(0.08, 0.2)
    if rng.random() < 0.5:
        marks: Shape = [box(x, 0, x + gap * 0.4, horizon * height) for x in np.arange(0, width, gap)]
    else:
        marks = [
            ellipse(i + (gap / 2 if row % 2 else 0), j, gap * 0.14, gap * 0.14, steps=10)
            for row, j in enumerate(np.arange(0, horizon * height, gap))
            for i in np.arange(0, width, gap)
        ]
    pen.flat(marks, tint, 0.5)


def _floor(pen: Pen, horizon: float, colour: Colour) -> None:
    rng, (width, height) = pen.rng, _size(pen)
    top = int(horizon * pen.canvas.height)
    x, y = _grid(pen, top)
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
    rng, (width, _) = pen.rng, _size(pen)
    w, h = rng.uniform(0.35, 0.6), rng.uniform(0.30, 0.5)
    x, y = rng.uniform(-0.1, max(0.0, width - w)), rng.uniform(-0.05, max(0.0, floor - h - 0.1))
    frame = (0.95, 0.94, 0.91)
    pen.solid(box(x, y, x + w, y + h), frame, roundness=0.01, shadow=0.02)
    sky = _any(((0.66, 0.82, 0.95), (0.95, 0.80, 0.62), (0.30, 0.36, 0.52)), rng)
    pen.flat(box(x + 0.02, y + 0.02, x + w - 0.02, y + h - 0.02), sky)
    hill = curve([(x + 0.02, y + h - 0.02), (x + 0.02, y + 0.72 * h), (x + 0.5 * w, y + 0.6 * h),
                  (x + w - 0.02, y + 0.75 * h), (x + w - 0.02, y + h - 0.02)], steps=4)  # fmt: skip
    pen.flat(hill, mix((0.35, 0.52, 0.34), sky, 0.3))
    pen.lines([[(x + w / 2, y), (x + w / 2, y + h)], [(x, y + h / 2), (x + w, y + h / 2)]], 0.022,
              frame, 1.0)  # fmt: skip


def _picture(pen: Pen, floor: float) -> None:
    rng, (width, _) = pen.rng, _size(pen)
    w, h = rng.uniform(0.18, 0.34, 2)
    x, y = rng.uniform(0.02, max(0.05, width - w)), rng.uniform(0.03, max(0.05, floor - h - 0.2))
    pen.solid(box(x, y, x + w, y + h), mix(WOOD, hue(pen), 0.3), roundness=0.012, shadow=0.03)
    pen.flat(box(x + 0.02, y + 0.02, x + w - 0.02, y + h - 0.02), (0.94, 0.92, 0.87))
    for _ in range(3):
        r = rng.uniform(0.02, 0.3 * min(w, h))
        spot = ellipse(rng.uniform(x + 0.07, x + w - 0.07), rng.uniform(y + 0.07, y + h - 0.07),
                       min(r, 0.05), min(r, 0.05))  # fmt: skip
        pen.flat(spot, hue(pen), 0.8)


def _shelf(pen: Pen, floor: float) -> None:
    rng, (width, _) = pen.rng, _size(pen)
    x, y = rng.uniform(0, width * 0.6), rng.uniform(0.22, max(0.25, floor - 0.15))
    at, end = x, x + rng.uniform(0.3, 0.6)
    while at < end:
        w, h = rng.uniform(0.025, 0.06), rng.uniform(0.11, 0.18)
        pen.solid(box(at, y - h, at + w, y), hue(pen), roundness=0.012)
        at += w + 0.004
    pen.solid(box(x - 0.03, y, end + 0.05, y + 0.025), WOOD, roundness=0.01, shadow=0.06)


def _lamp(pen: Pen, floor: float) -> None:
    rng, (width, height) = pen.rng, _size(pen)
    x, top = rng.uniform(0.1, max(0.2, width - 0.1)), rng.uniform(0.02, 0.2)
    canvas = pen.canvas
    gx, gy = _grid(pen)
    glow = np.exp(-((gx - np.float32(x)) ** 2 + (gy - np.float32(top + 0.1)) ** 2) / 0.12)
    canvas.pixels += planes((0.30, 0.24, 0.12)) * glow
    pen.solid(box(x - 0.01, top + 0.1, x + 0.01, floor + 0.1 * (height - floor)), (0.3, 0.28, 0.26),
              roundness=0.01)  # fmt: skip
    shade = np.array([(x - 0.07, top), (x + 0.07, top), (x + 0.13, top + 0.18), (x - 0.13, top + 0.18)])
    pen.solid(shade, mix(hue(pen), (1, 0.96, 0.82), 0.6), roundness=0.05)


def _sofa(pen: Pen, floor: float) -> None:
    rng, (width, height) = pen.rng, _size(pen)
    colour, x = hue(pen), rng.uniform(-0.3, 0.4 * width)
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
    rng, (width, _) = pen.rng, _size(pen)
    spot = pen.at(float(rng.uniform(0.05, width - 0.05)), floor + 0.06, scale=rng.uniform(0.2, 0.3))
    if rng.random() < 0.3:
        flower(spot)
        return
    green = _varied((0.28, 0.48, 0.26), rng)
    for t in rng.uniform(-1.1, 1.1, 9):
        reach = rng.uniform(1.0, 1.7)
        tip = (reach * np.sin(t), -0.5 - reach * np.cos(t))
        path = [(0, -0.4), (0.6 * tip[0], -0.5 + 0.65 * (tip[1] + 0.5)), tip]
        spot.solid(limb(path, [0.05, 0.15, 0.01]), _varied(green, rng, 0.03), roundness=0.1)
    pot = np.array([(-0.42, -0.62), (0.42, -0.62), (0.3, 0.1), (-0.3, 0.1)])
    spot.solid(pot, hue(pen), roundness=0.2, shadow=0.3)


def _curtain(pen: Pen, floor: float) -> None:
    rng, (width, _) = pen.rng, _size(pen)
    colour, w = hue(pen), rng.uniform(0.12, 0.25)
    left = -0.02 if rng.random() < 0.5 else width - w + 0.02
    folds = 4
    for i in range(folds):
        x = left + i * w / folds
        fold = box(x, -0.1, x + w / folds + 0.01, floor + 0.05)
        pen.solid(fold, colour, roundness=0.03, shadow=0.03)


def _door(pen: Pen, floor: float) -> None:
    rng, (width, _) = pen.rng, _size(pen)
    x, colour = rng.uniform(0, 0.7 * width), _any(FLOORS + WALLS, rng)
    pen.solid(box(x - 0.03, floor - 0.93, x + 0.41, floor), (0.93, 0.91, 0.88), roundness=0.01)
    pen.solid(box(x, floor - 0.9, x + 0.38, floor), colour, roundness=0.015, shadow=0.02)
    for y in (floor - 0.80, floor - 0.40):
        pen.solid(box(x + 0.06, y, x + 0.32, y + 0.32), colour, roundness=0.02, shadow=0.03)
    pen.solid(ellipse(x + 0.345, floor - 0.43, 0.014, 0.014), (0.85, 0.75, 0.4), gloss=0.8)


def _rug(pen: Pen, horizon: float) -> None:
    rng, (width, height) = pen.rng, _size(pen)
    y = (horizon + 0.55 * (1 - horizon)) * height
    ry = 0.36 * (1 - horizon) * height
    colour, x = hue(pen), rng.uniform(0.35, 0.65) * width
    for share, tone in ((1.0, 0.0), (0.82, 0.5), (0.66, 0.15)):
        pen.flat(ellipse(x, y, share * 0.5, share * ry), mix(colour, (0.95, 0.92, 0.85), tone))


def outdoors(pen: Pen) -> float:
    """Sky, hills, and grass, sand, snow, leaves or pavement."""
    rng, (width, height) = pen.rng, _size(pen)
    horizon = float(rng.uniform(0.32, 0.66))
    sky = _any(SKIES, rng)
    x, y = _grid(pen)
    low = mix(sky, (0.99, 0.96, 0.90), 0.6)
    pen.canvas.pixels[:] = mix(sky, low, np.clip(y / (horizon * height), 0, 1))
    if rng.random() < 0.7:
        cloud = cloudy_noise(x, y * 2.2, size=0.5, seed=rng.uniform(0, 99))
        pen.canvas.pixels[:] = mix(pen.canvas.pixels, (0.99, 0.99, 1.0),
                                   0.75 * smoothstep(0.05, 0.6, cloud))  # fmt: skip
    ground = _any(GROUNDS, rng)
    _hills(pen, horizon * height, mix(ground, sky, 0.45))
    if rng.random() < 0.6:
        for _ in range(rng.integers(1, 5)):
            _far_tree(pen, horizon * height)
    if rng.random() < 0.25:
        _fence(pen, horizon * height)
    _field(pen, horizon, ground)
    return horizon


SKIES: tuple[Colour, ...] = (
    (0.46, 0.68, 0.90), (0.60, 0.74, 0.86), (0.86, 0.62, 0.50), (0.70, 0.72, 0.76), (0.45, 0.48, 0.66),
)  # fmt: skip
GROUNDS: tuple[Colour, ...] = (
    (0.38, 0.55, 0.24), (0.46, 0.60, 0.30), (0.30, 0.46, 0.26), (0.82, 0.72, 0.52),
    (0.90, 0.93, 0.96), (0.66, 0.42, 0.22), (0.56, 0.55, 0.54), (0.55, 0.52, 0.28),
)  # fmt: skip


def _hills(pen: Pen, y: float, colour: Field) -> None:
    rng, (width, _) = pen.rng, _size(pen)
    for layer in range(rng.integers(1, 3)):
        xs = np.linspace(-0.2, width + 0.2, 7)
        tops = y - rng.uniform(0.0, 0.22, 7) * (1.2 - 0.6 * layer)
        ridge = curve(np.stack([xs, tops], axis=1), closed=False)
        hill = np.concatenate([ridge, [(width + 0.2, y + 0.1), (-0.2, y + 0.1)]])
        pen.solid(hill, colour * (1 - 0.12 * layer), roundness=0.06)


def _far_tree(pen: Pen, y: float) -> None:
    rng, (width, _) = pen.rng, _size(pen)
    size = rng.uniform(0.08, 0.2)
    spot = pen.at(float(rng.uniform(0, width)), y + 0.02, scale=float(size))
    green = mix(_varied((0.26, 0.42, 0.24), rng), (0.75, 0.45, 0.2), 0.6 * (rng.random() < 0.3))
    spot.solid(box(-0.1, -0.9, 0.1, 0.1), (0.36, 0.27, 0.2))
    for _ in range(3):
        dx, dy = rng.uniform(-0.4, 0.4), rng.uniform(-1.6, -0.9)
        spot.solid(ellipse(dx, dy, 0.55, 0.5), green, roundness=0.3)


def _fence(pen: Pen, y: float) -> None:
    width, _ = _size(pen)
    colour = _any(((0.90, 0.88, 0.84), (0.50, 0.38, 0.28)), pen.rng)
    posts: Shape = [box(x, y - 0.20, x + 0.045, y + 0.05) for x in np.arange(-0.02, width, 0.11)]
    rails: Shape = [box(-0.1, y - h, width + 0.1, y - h + 0.025) for h in (0.15, 0.06)]
    pen.solid([*rails, *posts], colour, roundness=0.015, shadow=0.03)


def _field(pen: Pen, horizon: float, colour: Colour) -> None:
    rng, (width, height) = pen.rng, _size(pen)
    top = int(horizon * pen.canvas.height)
    x, y = _grid(pen, top)
    near = (y - horizon * height) / (height * (1 - horizon))
    seed = rng.uniform(0, 99)
    grain = smooth_noise(x / (0.35 + near), np.sqrt(near + 0.02) * 3, size=0.035, seed=seed)
    tone = 0.12 * grain + 0.12 * cloudy_noise(x, y * 2.5, size=0.4, seed=seed + 3)
    pen.canvas.pixels[:, top:] = planes(colour) * (0.85 + 0.25 * near) * (1 + tone)
    green = colour[1] > colour[0] and colour[1] > colour[2] + 0.1
    if green:
        blades(pen, colour, int(rng.integers(60, 140)), horizon * height, height, 0.05)
    if green and rng.random() < 0.4:
        at = rng.uniform((0, horizon * height), (width, height), (24, 2))
        petals: Shape = [ellipse(px, py, 0.011, 0.009, steps=8) for px, py in at]
        pen.flat(petals, mix(hue(pen), (1, 1, 1), 0.4), 0.9)


def blades(
    pen: Pen, colour: Colour, count: int, top: float, bottom: float, length: float
) -> None:
    """Blades of grass, some lighter and some darker than the colour."""
    rng, (width, _) = pen.rng, _size(pen)
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


def studio(pen: Pen) -> float:
    """A smooth backdrop, perhaps with discs of light out of focus."""
    rng, (width, height) = pen.rng, _size(pen)
    first, second = _any(WALLS + FLOORS, rng), _any(WALLS + SKIES, rng)
    x, y = _grid(pen)
    angle = rng.uniform(0, 2 * np.pi)
    along = (x / width - 0.5) * np.float32(np.cos(angle)) + (y / height - 0.5) * np.float32(
        np.sin(angle)
    )
    pen.canvas.pixels[:] = mix(first, second, smoothstep(-0.6, 0.6, along))
    if rng.random() < 0.55:
        for _ in range(rng.integers(5, 16)):
            r = rng.uniform(0.03, 0.13)
            disc = ellipse(rng.uniform(0, width), rng.uniform(0, height), r, r, steps=30)
            pen.flat(disc, mix(hue(pen), (1, 1, 0.95), 0.5), float(rng.uniform(0.12, 0.4)))
    return 0.7


def cloth(pen: Pen) -> float:
    """A blanket or a plank wall seen straight on: plaid, stripes, weave or grain."""
    rng = pen.rng
    x, y = _grid(pen)
    first, second = _any(WALLS + FLOORS, rng), _varied(hue(pen), rng)
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
        first, second = _any(FLOORS, rng), (0.25, 0.17, 0.12)
    folds = 1 + 0.16 * smooth_noise(u, v * 0.4, size=0.4, seed=seed)
    weave = 1 + 0.05 * smooth_noise(x, y, size=0.012, seed=seed)
    pen.canvas.pixels[:] = np.clip(mix(first, second, amount) * folds * weave, 0, 1)
    return 0.75


def clutter(pen: Pen) -> float:
    """A surface strewn with toys, boxes and balls."""
    rng, (width, height) = pen.rng, _size(pen)
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
    colour, w = hue(pen), pen.rng.uniform(0.6, 1.2)
    pen.ground_shadow(0, w)
    pen.solid(box(-w, -1.2, w, 0), colour, roundness=0.12)
    lid = np.array([(-w, -1.2), (w, -1.2), (w + 0.3, -1.5), (-w + 0.3, -1.5)])
    pen.solid(lid, mix(colour, (1, 1, 1), 0.25), roundness=0.05)

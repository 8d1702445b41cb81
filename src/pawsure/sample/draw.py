"""Composes one picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from PIL import Image

from pawsure.sample.body import Animal
from pawsure.sample.brush import Brush
from pawsure.sample.build import random_build
from pawsure.sample.canvas import Canvas, View
from pawsure.sample.coat import random_coat
from pawsure.sample.face import Look
from pawsure.sample.foreground import occlude
from pawsure.sample.lighting import expose, random_light
from pawsure.sample.pen import Pen
from pawsure.sample.pose import POSES
from pawsure.sample.scene import paint_scene
from pawsure.sample.things import THINGS

Kind = Literal["cat", "dog", "neither"]
KINDS: tuple[Kind, ...] = ("cat", "dog", "neither")

# Rises with every change that alters a drawing, so that figures can name what they are of.
SAMPLE_VERSION = 1
POSE_SHARES = (0.21, 0.12, 0.15, 0.10, 0.10, 0.05, 0.20, 0.07)  # in the order of POSES


def draw_picture(kind: Kind, rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Draw one picture of a cat, of a dog, or of neither.

    Args:
        kind: what it shows.
        rng: decides everything else.
        size: width and height in pixels, 32 or more each.

    Returns:
        An RGB picture of that size.

    Raises:
        ValueError: the kind is none of the three, or the size is too small.
    """
    if kind not in KINDS:
        raise ValueError(f"There is no kind {kind!r}; the kinds are {', '.join(KINDS)}.")
    width, height = size
    if min(width, height) < 32:
        raise ValueError(f"A picture is at least 32 pixels wide and high, not {width}x{height}.")
    canvas = Canvas(width, height, random_light(rng))
    horizon = paint_scene(canvas, rng)
    if kind == "neither":
        _thing(canvas, rng, horizon)
    else:
        _animal(kind, canvas, rng, horizon)
    expose(canvas, rng)
    return canvas.image()


def draw_neither(rng: np.random.Generator, size_px: int | tuple[int, int]) -> Image.Image:
    """Draw a thing that is neither cat nor dog, such as a car, a cup or a bird.

    Args:
        rng: decides what and how.
        size_px: width and height in pixels, or one number for both.
    """
    size = (size_px, size_px) if isinstance(size_px, int) else size_px
    return draw_picture("neither", rng, size)


def _animal(kind: str, canvas: Canvas, rng: np.random.Generator, horizon: float) -> None:
    names = list(POSES)
    pose = POSES[names[rng.choice(len(names), p=POSE_SHARES)]]
    build = random_build(kind, rng)
    coat = random_coat(rng, length=build.hair, curly=build.curly)
    animal = Animal(
        kind=kind,
        build=build,
        look=Look(
            yaw=float(rng.uniform(-0.85, 0.85)),
            pitch=float(rng.uniform(-0.35, 0.45)),
            closed=bool(rng.random() < 0.04),
            pupil=float(rng.random()),
            open_mouth=bool(rng.random() < (0.08 if kind == "cat" else 0.35)),
            gaze=float(rng.uniform(-0.6, 0.6)),
        ),
        collar=bool(rng.random() < 0.3),
        side=bool(rng.random() < 0.26),
        roll=float(rng.normal(0, 0.1)),
    )
    room = (pose.left, pose.top, pose.right, pose.bottom)
    fill = (0.85, 1.2) if pose.bottom > 1 else (0.70, 1.15)
    view = _with_face(canvas, _place(canvas, rng, horizon, room, fill), pose.face)
    pose.paint(Brush(canvas, view, rng, coat), animal)
    if rng.random() < 0.34:
        ((x, y),) = view.to_picture([pose.face])
        occlude(Pen(canvas, View(0, 0, 1), rng), (float(x), float(y)), 0.8 * view.scale)


def _thing(canvas: Canvas, rng: np.random.Generator, horizon: float) -> None:
    view = _place(canvas, rng, horizon, (-1.5, -2.1, 1.5, 0.1), fill=(0.5, 1.0))
    THINGS[rng.integers(len(THINGS))](Pen(canvas, view, rng))
    if rng.random() < 0.25:
        middle = view.to_picture([(0, -1)])[0]
        occlude(Pen(canvas, View(0, 0, 1), rng), (float(middle[0]), float(middle[1])), view.scale)


def _place(
    canvas: Canvas,
    rng: np.random.Generator,
    horizon: float,
    room: tuple[float, float, float, float],
    fill: tuple[float, float],
) -> View:
    """Find a place whose feet are on the ground and which is in the picture for the most part.

    Args:
        canvas: gives the size.
        rng: chooses size, place, side and tilt.
        horizon: where the floor begins, a share of the height.
        room: left, top, right, bottom about the origin, in units of what is placed.
        fill: least and greatest share of the picture's size that it takes.
    """
    left, top, right, bottom = room
    flip = 1 if rng.random() < 0.5 else -1
    if flip < 0:
        left, right = -right, -left
    share = rng.uniform(*fill)
    scale = share * min(canvas.width / (right - left), canvas.height / (bottom - top))
    free_x = canvas.width - scale * (right - left)
    x = -scale * left + free_x * rng.uniform(0.1, 0.9)
    free_y = canvas.height - scale * (bottom - top)
    ground = canvas.height * (horizon + (1 - horizon) * rng.uniform(0.45, 0.95))
    lowest, highest = canvas.height - scale * bottom, -scale * top
    y = float(np.clip(ground, min(lowest, highest), max(lowest, highest)))
    if bottom > 1:  # head and shoulders are cut off by the lower edge, wherever the floor is
        y = canvas.height - scale * bottom + max(0.0, free_y) * 0.2 * rng.random()
    return View(float(x), y, float(scale), float(rng.normal(0, 0.04)), flip)


def _with_face(canvas: Canvas, view: View, face: tuple[float, float]) -> View:
    """Move the view so that the frame's edge cuts off no more than the rim of the face."""
    ((x, y),) = view.to_picture([face]).tolist()
    room = 1.2 * view.scale
    dx = min(max(x, min(room, canvas.width / 2)), max(canvas.width - room, canvas.width / 2)) - x
    dy = min(max(y, min(room, canvas.height / 2)), max(canvas.height - room, canvas.height / 2)) - y
    return replace(view, x=view.x + dx, y=view.y + dy)

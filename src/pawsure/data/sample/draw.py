"""Composes one picture, and writes a folder of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from pawsure.data.files import atomic_folder
from pawsure.data.sample.body import Animal
from pawsure.data.sample.brush import Brush
from pawsure.data.sample.build import random_build
from pawsure.data.sample.canvas import Canvas, View
from pawsure.data.sample.coat import random_coat
from pawsure.data.sample.face import Look
from pawsure.data.sample.foreground import occlude
from pawsure.data.sample.lighting import expose, random_light
from pawsure.data.sample.pen import Pen
from pawsure.data.sample.pose import POSES
from pawsure.data.sample.scene import paint_scene
from pawsure.data.sample.things import THINGS
from pawsure.errors import SourceError
from pawsure.progress import NO_PROGRESS, Progress

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


@dataclass(frozen=True)
class _File:
    """One picture of the data set: everything about it follows from seed, kind and index."""

    kind: Kind
    index: int
    seed: int

    def write(self, folder: Path) -> None:
        rng = np.random.default_rng([self.seed, KINDS.index(self.kind), self.index])
        picture = draw_picture(self.kind, rng, _random_size(rng))
        name = f"{self.kind}-{self.index:04d}"
        if rng.random() < 0.05:
            picture.save(folder / f"{name}.png", compress_level=3)
            return
        quality = int(rng.integers(72, 95))
        if rng.random() < 0.08:
            save_turned(picture, folder / f"{name}.jpg", quality, rng)
        else:
            picture.save(folder / f"{name}.jpg", quality=quality)


# EXIF orientation, and what undoes it: the picture is stored turned the other way.
_TURNS = (
    (3, Image.Transpose.ROTATE_180),
    (6, Image.Transpose.ROTATE_90),
    (8, Image.Transpose.ROTATE_270),
)
_ORIENTATION = 0x0112


def save_turned(picture: Image.Image, path: Path, quality: int, rng: np.random.Generator) -> None:
    """Save a JPEG turned, with the EXIF orientation that turns it back."""
    orientation, turn = _TURNS[rng.integers(len(_TURNS))]
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    picture.transpose(turn).save(path, quality=quality, exif=exif)


def _random_size(rng: np.random.Generator) -> tuple[int, int]:
    """Sides of 180 to 320 pixels; portrait, landscape and square alike."""
    width, height = rng.integers(180, 321, 2).tolist()
    return width, height


def draw_sample(
    folder: Path | str,
    *,
    seed: int = 0,
    count: int = 480,
    progress: Progress | None = None,
) -> None:
    """Write the sample data set: folders `cat` and `dog` of drawn pictures.

    The same seed gives the same pictures; a greater count adds to them and changes none.
    Either the whole folder appears or nothing does.

    Args:
        folder: to be made; it must not exist, or be empty.
        seed: 0 or greater.
        count: pictures in all, half of them cats (one more when odd).
        progress: told of every picture.

    Raises:
        SourceError: the folder holds something already.
        ValueError: seed or count is negative.
    """
    if seed < 0 or count < 0:
        raise ValueError(f"Seed and count are 0 or greater, not {seed} and {count}.")
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise SourceError(f"{folder} holds something already; name a new folder for the sample.")
    files = [_File("dog" if i % 2 else "cat", i // 2, seed) for i in range(count)]
    with atomic_folder(folder) as temporary:
        _write(files, temporary, progress or NO_PROGRESS)


def _write(files: list[_File], folder: Path, progress: Progress) -> None:
    for kind in ("cat", "dog"):
        (folder / kind).mkdir()
    progress.start("Drawing the sample", len(files))
    for file in files:
        file.write(folder / file.kind)
        progress.advance()
    progress.finish()

"""What light, lens and sensor do to the whole picture."""

from __future__ import annotations

import numpy as np

from pawsure.sample.canvas import Canvas, Field, Light, View, planes, smoothstep
from pawsure.sample.foreground import dapple
from pawsure.sample.pen import Pen


def random_light(rng: np.random.Generator) -> Light:
    """Light from above, more or less from one side, more or less harsh."""
    return Light(
        x=float(rng.uniform(-0.75, 0.75)),
        y=float(rng.uniform(-0.75, -0.35)),
        contrast=float(rng.uniform(0.8, 1.25)),
        bright=(1.04, 1.01, 0.96) if rng.random() < 0.65 else (1.0, 1.01, 1.03),
        shade=(0.86, 0.90, 1.0) if rng.random() < 0.65 else (0.97, 0.90, 0.86),
    )


def expose(canvas: Canvas, rng: np.random.Generator) -> None:
    """Shadows across the picture, vignette, exposure, cast, blur, noise: some of them."""
    if rng.random() < 0.25:
        _cast_shadow(canvas, rng)
    if rng.random() < 0.5:
        _vignette(canvas, rng.uniform(0.1, 0.45))
    if rng.random() < 0.3:
        _flare(canvas, rng)
    _tone(canvas, rng)
    if rng.random() < 0.14:
        _blur(canvas, rng)
    if rng.random() < 0.45:
        _noise(canvas, rng, rng.uniform(0.004, 0.026))


def _grid(canvas: Canvas) -> tuple[Field, Field]:
    x = np.linspace(0, 1, canvas.width, dtype=np.float32)[None, :]
    return x, np.linspace(0, 1, canvas.height, dtype=np.float32)[:, None]


def _cast_shadow(canvas: Canvas, rng: np.random.Generator) -> None:
    x, y = _grid(canvas)
    angle = rng.uniform(0, 2 * np.pi)
    along = (x - 0.5) * np.float32(np.cos(angle)) + (y - 0.5) * np.float32(np.sin(angle))
    kind = rng.integers(3)
    if kind == 0:  # the edge of something large
        at = rng.uniform(-0.25, 0.25)
        amount = smoothstep(at - 0.06, at + 0.06, along)
    elif kind == 1:  # blinds
        amount = smoothstep(-0.3, 0.3, np.sin(along * np.float32(rng.uniform(25, 50))))
    else:  # leaves
        pen = Pen(canvas, View(0, 0, 1), rng)
        patch = canvas.patch([*dapple(pen), np.array([(0, 0), (1, 0), (0, 1)])])
        if patch is None:
            return
        canvas.shadow(patch, blur=0.035 * canvas.width, strength=rng.uniform(0.25, 0.5))
        return
    tint = 1 - planes(canvas.light.shade) * 0.8
    canvas.pixels *= 1 - np.float32(rng.uniform(0.15, 0.38)) * (0.7 + tint) * amount


def _vignette(canvas: Canvas, strength: float) -> None:
    x, y = _grid(canvas)
    far = (x - 0.5) ** 2 + (y - 0.5) ** 2
    canvas.pixels *= 1 - np.float32(2 * strength) * smoothstep(0.08, 0.62, far)


def _flare(canvas: Canvas, rng: np.random.Generator) -> None:
    x, y = _grid(canvas)
    cx, cy = (0.0 if canvas.light.x < 0 else 1.0), rng.uniform(-0.1, 0.3)
    glow = np.exp(-((x - np.float32(cx)) ** 2 + (y - np.float32(cy)) ** 2) / 0.25)
    warm = planes((0.28, 0.22, 0.12)) * np.float32(rng.uniform(0.5, 1.3))
    canvas.pixels += warm * glow


def _tone(canvas: Canvas, rng: np.random.Generator) -> None:
    """Exposure in stops, contrast about the middle, and the light's colour."""
    warm, green = rng.normal(0, 0.055), rng.normal(0, 0.02)
    gain = 2.0 ** np.clip(rng.normal(0, 0.27), -0.55, 0.5)
    balance = planes((1 + warm, 1 + green, 1 - warm)) * np.float32(gain)
    contrast = np.float32(rng.uniform(0.86, 1.15))
    lifted = (canvas.pixels * balance - 0.45) * contrast + 0.45
    # A soft shoulder, so that bright fur keeps some of its drawing.
    canvas.pixels = np.where(lifted > 0.8, 1 - 0.2 * np.exp((0.8 - lifted) / 0.2), lifted)


def _blur(canvas: Canvas, rng: np.random.Generator) -> None:
    reach = rng.uniform(0.7, 2.0)
    if rng.random() < 0.6:
        canvas.blur(0.6 * reach)
        return
    # A moved camera: the mean of a few shifted copies.
    angle, steps = rng.uniform(0, np.pi), np.linspace(-1.6, 1.6, 5) * reach
    shifts = [(round(s * np.sin(angle)), round(s * np.cos(angle))) for s in steps]
    pad = 6
    roomy = np.pad(canvas.pixels, ((0, 0), (pad, pad), (pad, pad)), mode="edge")
    h, w = canvas.height, canvas.width
    copies = [roomy[:, pad + dy : pad + dy + h, pad + dx : pad + dx + w] for dy, dx in shifts]
    canvas.pixels = sum(copies[1:], start=copies[0]) / np.float32(len(copies))


def _noise(canvas: Canvas, rng: np.random.Generator, strength: float) -> None:
    grain = rng.standard_normal(canvas.pixels.shape[1:], dtype=np.float32)
    canvas.pixels = canvas.pixels + np.float32(strength) * grain

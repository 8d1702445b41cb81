"""Outlines as arrays of points: curves, ellipses, tapered limbs, furry edges.

Points are float64 (N, 2), x to the right and y downwards, in whatever unit the caller
draws in. A shape is a list of such polygons, of which the union is meant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Points = NDArray[np.float64]
Shape = list[Points]


def curve(points: ArrayLike, *, closed: bool = True, steps: int = 8) -> Points:
    """A smooth curve through the points (uniform Catmull-Rom spline).

    Args:
        points: float (N, 2), at least two.
        closed: whether the curve returns to its first point.
        steps: points drawn between each given one and the next.

    Returns:
        float (N * steps, 2) when closed, else ((N - 1) * steps + 1, 2).
    """
    given = np.asarray(points, dtype=np.float64)
    if closed:
        knots = np.concatenate([given[-1:], given, given[:2]])
    else:
        knots = np.concatenate([2 * given[:1] - given[1:2], given, 2 * given[-1:] - given[-2:-1]])
    weights = _spline_weights(steps)
    spans = len(knots) - 3
    flat = sum(weights[:, i] * knots[i : i + spans, None] for i in range(4)).reshape(-1, 2)
    return flat if closed else np.concatenate([flat, given[-1:]])


@lru_cache(maxsize=8)
def _spline_weights(steps: int) -> Points:
    """How much each of four knots counts at each step: float64 (steps, 4, 1)."""
    t = np.arange(steps) / steps
    share = [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2]
    return np.stack(share, axis=1)[..., None] / 2


def ellipse(
    x: float, y: float, rx: float, ry: float, angle: float = 0.0, steps: int = 36
) -> Points:
    """An ellipse about (x, y), its axes turned by `angle` radians."""
    return turn(_circle(steps) * (rx, ry), angle) + (x, y)


@lru_cache(maxsize=32)
def _circle(steps: int) -> Points:
    t = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    return np.stack([np.cos(t), np.sin(t)], axis=1)


def box(x0: float, y0: float, x1: float, y1: float) -> Points:
    """An upright rectangle between two corners."""
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], dtype=np.float64)


def turn(points: ArrayLike, angle: float) -> Points:
    """Turn the points about the origin by `angle` radians (clockwise as seen, y is down)."""
    given = np.asarray(points, dtype=np.float64)
    if not angle:
        return given
    cos, sin = math.cos(angle), math.sin(angle)
    turned = np.empty_like(given)
    turned[:, 0] = cos * given[:, 0] - sin * given[:, 1]
    turned[:, 1] = sin * given[:, 0] + cos * given[:, 1]
    return turned


def mirror(points: ArrayLike) -> Points:
    """Swap left and right about x = 0."""
    return np.asarray(points, dtype=np.float64) * (-1, 1)


def limb(
    points: ArrayLike, radii: Sequence[float], *, steps: int = 6, joints: bool = True
) -> Shape:
    """A tube of changing thickness with round ends: a leg, a tail, a whisker.

    Args:
        points: float (N, 2), the line that it follows, N at least two.
        radii: N half thicknesses.
        steps: points drawn between each given one and the next.
        joints: whether sharp bends are to stay filled; fine lines need it not.
    """
    line = curve(points, closed=False, steps=steps)
    at = np.arange(len(line)) / steps
    radius = np.interp(at, np.arange(len(radii)), radii)[:, None]
    along = _direction(line)
    across = along[:, ::-1] * (-1, 1)
    start = line[0] + radius[0] * (-_CAP[0] * across[0] - _CAP[1] * along[0])
    end = line[-1] + radius[-1] * (_CAP[0] * across[-1] + _CAP[1] * along[-1])
    outline = np.concatenate([line + across * radius, end, (line - across * radius)[::-1], start])
    if not joints:
        return [outline]
    # A sharp bend makes the outline cross itself, which a polygon filler leaves empty.
    discs = line[2:-2:3, None] + _circle(16) * radius[2:-2:3, None]
    return [outline, *discs]


_HALF_TURN = np.linspace(0, np.pi, 8)[1:-1, None]
_CAP = np.cos(_HALF_TURN), np.sin(_HALF_TURN)


def _direction(line: Points) -> Points:
    """Unit vectors along a line, one at each of its points."""
    along = np.empty_like(line)
    along[1:-1] = line[2:] - line[:-2]
    along[0], along[-1] = line[1] - line[0], line[-1] - line[-2]
    along /= np.maximum(np.hypot(along[:, :1], along[:, 1:]), 1e-9)
    return along


def furry(
    outline: Points,
    rng: np.random.Generator,
    *,
    length: float,
    spacing: float,
    lean: float = 0.6,
) -> Points:
    """Make the edge of a closed outline a row of tufts.

    Args:
        outline: float (N, 2), closed, in either sense.
        rng: decides the length of each tuft.
        length: how far tufts stand out, in the unit of the points.
        spacing: distance between tufts, in the same unit.
        lean: how far a tuft's tip is carried along the edge, in tuft lengths.
    """
    if _signed_area(outline) < 0:
        outline = outline[::-1]
    closed = np.concatenate([outline, outline[:1]])
    step = np.hypot(*np.diff(closed, axis=0).T)
    travelled = np.concatenate([[0.0], np.cumsum(step)])
    tufts = max(6, int(travelled[-1] / max(spacing, 1e-6)))
    at = (np.arange(2 * tufts) + rng.uniform(-0.45, 0.45, 2 * tufts)) * travelled[-1] / (2 * tufts)
    edge = np.empty((2 * tufts, 2))
    edge[:, 0] = np.interp(at, travelled, closed[:, 0])
    edge[:, 1] = np.interp(at, travelled, closed[:, 1])
    along = _direction(edge)
    outwards = along[:, ::-1] * (1, -1)
    out = np.where(np.arange(2 * tufts) % 2, 1.0, -0.25) * rng.uniform(0.1, 1.1, 2 * tufts)
    out = length * out[:, None]
    return edge + out * outwards + lean * np.maximum(out, 0) * along


def _signed_area(outline: Points) -> float:
    x, y = outline[:, 0], outline[:, 1]
    inner = np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])
    return float(inner + x[-1] * y[0] - x[0] * y[-1]) / 2

"""Accuracy against speed as a picture: a small SVG that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from pawsure.wording import count

if TYPE_CHECKING:
    from pawsure.training.compare import Candidate, Comparison

_WIDTH, _HEIGHT = 760, 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 24, 64, 58
_LINE_PX = 15

# Lines and letters take the colour of the text around them, so it suits light and dark pages.
_STYLE = """
.pawsure-plot { color: #1f2328; background: #ffffff; font: 13px system-ui, sans-serif; }
.pawsure-plot .mark { fill: #0969da; stroke: #0969da; }
@media (prefers-color-scheme: dark) {
  .pawsure-plot { color: #e6edf3; background: #0d1117; }
  .pawsure-plot .mark { fill: #4493f8; stroke: #4493f8; }
}
"""


def comparison_svg(comparison: Comparison) -> str:
    """Draw a comparison.

    Speed runs to the right on a logarithmic axis, accuracy upwards with its 95% interval.
    Backbones that nobody beats are filled, and joined by a line.

    Returns:
        The text of an SVG file.
    """
    axes = _Axes(comparison.candidates)
    title = (
        f"Accuracy on {count(comparison.num_pictures, 'picture')} ({comparison.split} split) and "
        "speed, "
        f"at {comparison.image_size} pixels"
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'class="pawsure-plot" fill="currentColor" role="img">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        _text(_LEFT, 26, title, weight=600),
        _text(_LEFT, 46, _subtitle(comparison), opacity=0.7),
        *axes.lines(),
        _front(comparison.candidates, axes),
        *(_mark(one, axes) for one in comparison.candidates),
        *_names(comparison.candidates, axes),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _subtitle(comparison: Comparison) -> str:
    """What the marks mean, and the two that are recommended."""
    best, fast = comparison.most_accurate, comparison.fastest
    chosen = f"Most accurate: {best.title}."
    if fast is not best:
        chosen += f" Fastest that is not significantly worse: {fast.title}."
    return f"{chosen} Filled: none is better at both. Bars: 95% intervals."


class _Axes:
    """From figures to places, in pixels."""

    def __init__(self, candidates: tuple[Candidate, ...]) -> None:
        speeds = [one.pictures_per_s for one in candidates]
        self._slow = math.log10(min(speeds) / 1.25)
        self._fast = math.log10(max(speeds) * 1.25)
        low = min(one.best_interval.low for one in candidates)
        high = max(one.best_interval.high for one in candidates)
        self._step = _nice_step(high - low)
        self._low = math.floor(low / self._step) * self._step
        self._high = math.ceil(high / self._step) * self._step

    def x(self, speed: float) -> float:
        share = (math.log10(speed) - self._slow) / (self._fast - self._slow)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, accuracy: float) -> float:
        share = (accuracy - self._low) / (self._high - self._low)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    def lines(self) -> Iterator[str]:
        """The grid with its numbers, and what the axes are."""
        right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
        for turn in range(round((self._high - self._low) / self._step) + 1):
            accuracy = self._low + turn * self._step
            y = self.y(accuracy)
            yield _line(_LEFT, y, right, y, opacity=0.15)
            yield _text(_LEFT - 8, y + 4, f"{100 * accuracy:.4g}%", anchor="end")
        for speed in _round_numbers(10**self._slow, 10**self._fast):
            x = self.x(speed)
            yield _line(x, _TOP, x, bottom, opacity=0.08)
            yield _text(x, bottom + 20, f"{speed:,}", anchor="middle")
        middle = (_LEFT + right) / 2
        yield _text(middle, _HEIGHT - 12, "pictures a second on this machine", anchor="middle")


def _nice_step(span: float) -> float:
    """1, 2 or 5 times a power of ten that divides a span into four to ten."""
    power = 10 ** math.floor(math.log10(max(span, 1e-3) / 4))
    return next(power * times for times in (1, 2, 5, 10) if span / (power * times) <= 8)


def _round_numbers(low: float, high: float) -> Iterator[int]:
    """1, 2 and 5 times powers of ten between two numbers."""
    for exponent in range(max(math.floor(math.log10(low)), 0), math.ceil(math.log10(high)) + 1):
        for times in (1, 2, 5):
            if low <= times * 10**exponent <= high:
                yield times * 10**exponent


def _front(candidates: tuple[Candidate, ...], axes: _Axes) -> str:
    """A line through those that nobody beats."""
    unbeaten = sorted(
        (axes.x(one.pictures_per_s), axes.y(one.best_accuracy))
        for one in candidates
        if one.is_unbeaten
    )
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in unbeaten)
    return (
        f'<polyline points="{points}" class="mark" style="fill: none" stroke-width="1.5" '
        'stroke-dasharray="2 4" opacity="0.7"/>'
    )


def _mark(one: Candidate, axes: _Axes) -> str:
    """A point with its interval."""
    x, y = axes.x(one.pictures_per_s), axes.y(one.best_accuracy)
    high, low = axes.y(one.best_interval.high), axes.y(one.best_interval.low)
    kind = 'class="mark"' if one.is_unbeaten else 'stroke="currentColor" fill-opacity="0.25"'
    told = f"{one.title}: {one.best_accuracy:.1%}, {one.pictures_per_s:,.0f} pictures a second"
    return (
        f"<g {kind}><title>{escape(told)}</title>"
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{high:.1f}" y2="{low:.1f}" opacity="0.45" '
        f'stroke-width="2"/><circle cx="{x:.1f}" cy="{y:.1f}" r="5.5"/></g>'
    )


def _names(candidates: tuple[Candidate, ...], axes: _Axes) -> Iterator[str]:
    """Names beside the points, on the side with room, moved down where they would overlap."""
    taken: list[tuple[float, float, float]] = []
    for one in sorted(candidates, key=lambda one: -one.best_accuracy):
        x, y = axes.x(one.pictures_per_s), axes.y(one.best_accuracy) + 4
        width = (8.4 if one.is_unbeaten else 7.2) * len(one.title)
        is_left = x + 10 + width > _WIDTH - _RIGHT
        start = x - 10 - width if is_left else x + 10
        while any(
            abs(y - other) < _LINE_PX and start < end and begin < start + width
            for begin, end, other in taken
        ):
            y += _LINE_PX
        taken.append((start, start + width, y))
        yield _text(
            x - 10 if is_left else x + 10,
            y,
            one.title,
            anchor="end" if is_left else "start",
            weight=600 if one.is_unbeaten else 400,
        )


def _line(x1: float, y1: float, x2: float, y2: float, *, opacity: float) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="currentColor" '
        f'opacity="{opacity}"/>'
    )


def _text(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    weight: int = 400,
    opacity: float = 1,
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" '
        f'opacity="{opacity}">{escape(text)}</text>'
    )

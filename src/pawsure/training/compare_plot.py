"""Accuracy against speed as a plot: an SVG file that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pawsure.report.markup import Markup, element
from pawsure.report.plot import Axis, Plot, label, plain_axis
from pawsure.wording import count

if TYPE_CHECKING:
    from pawsure.training.compare import Candidate, Comparison

_WIDTH, _HEIGHT = 760, 460
_LINE_PX = 15

_STYLE = Markup("""
.chart { color: #1f2328; background: #ffffff; font: 13px system-ui, sans-serif; }
.chart text { fill: currentColor; }
.chart .grid, .chart .axis { stroke: currentColor; opacity: 0.15; }
.chart .strong { font-weight: 600; }
.chart .dot { fill: currentColor; stroke: currentColor; }
.chart .whisker { stroke: currentColor; stroke-width: 2; opacity: 0.45; }
.chart .other { fill-opacity: 0.25; }
.chart .best { color: #0969da; }
.chart .line { fill: none; stroke: currentColor; stroke-dasharray: 2 4; opacity: 0.7; }
@media (prefers-color-scheme: dark) {
  .chart { color: #e6edf3; background: #0d1117; }
  .chart .best { color: #4493f8; }
}
""")


def comparison_svg(comparison: Comparison) -> str:
    """Plot accuracy with its 95% interval against speed, on a logarithmic axis.

    Backbones that no other beats on both are highlighted and joined by a line.

    Returns:
        The text of an SVG file.
    """
    candidates = comparison.candidates
    title = (
        f"Accuracy on {count(comparison.num_pictures, 'picture')} ({comparison.split} split) and "
        f"speed, at {comparison.image_size} pixels"
    )
    ends = [end for one in candidates for end in (one.best_interval.low, one.best_interval.high)]
    plot = Plot(
        _speed_axis([one.pictures_per_s for one in candidates]),
        plain_axis("accuracy", ends, most_ticks=8, form=lambda value: f"{100 * value:.4g}%"),
        title=title,
        description="; ".join(map(_tip, candidates)),
        width=_WIDTH,
        height=_HEIGHT,
        top=64,
    )
    best = sorted((one.pictures_per_s, one.best_accuracy) for one in candidates if one.is_unbeaten)
    plot.line([speed for speed, _ in best], [accuracy for _, accuracy in best], "best")
    for one in candidates:
        style, interval = "best" if one.is_unbeaten else "other", one.best_interval
        plot.interval(one.pictures_per_s, interval.low, interval.high, style)
        plot.dot(one.pictures_per_s, one.best_accuracy, style, size=5.5, tip=_tip(one))
    plot.add(*_names(candidates, plot))
    plot.add(
        label(24, 26, title, style="strong"),
        label(24, 46, _subtitle(comparison)),
    )
    return plot.svg(element("style", _STYLE), xmlns="http://www.w3.org/2000/svg") + "\n"


def _subtitle(comparison: Comparison) -> str:
    """The two that are recommended, and what the marks mean."""
    best, fast = comparison.most_accurate, comparison.fastest
    chosen = f"Most accurate: {best.title}."
    if fast is not best:
        chosen += f" Fastest that is not significantly worse: {fast.title}."
    return f"{chosen} Filled: none is better at both. Bars: 95% intervals."


def _speed_axis(speeds: list[float]) -> Axis:
    low, high = min(speeds) / 1.25, max(speeds) * 1.25
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    round_numbers = (times * 10.0**power for power in powers for times in (1, 2, 5))
    return Axis(
        title="pictures per second on this machine",
        low=low,
        high=high,
        ticks=tuple(speed for speed in round_numbers if low <= speed <= high),
        place=math.log10,
    )


def _tip(one: Candidate) -> str:
    return f"{one.title}: {one.best_accuracy:.1%}, {one.pictures_per_s:,.0f} pictures per second"


def _names(candidates: Iterable[Candidate], plot: Plot) -> Iterator[Markup]:
    """Names beside the points, on the side with room, moved down where they would overlap."""
    taken: list[tuple[float, float, float]] = []
    for one in sorted(candidates, key=lambda one: -one.best_accuracy):
        x, y = plot.across(one.pictures_per_s), plot.up(one.best_accuracy) + 4
        width = (8.4 if one.is_unbeaten else 7.2) * len(one.title)
        is_left = x + 10 + width > _WIDTH - 24
        start = x - 10 - width if is_left else x + 10
        while any(
            abs(y - other) < _LINE_PX and start < end and begin < start + width
            for begin, end, other in taken
        ):
            y += _LINE_PX
        taken.append((start, start + width, y))
        yield label(
            x - 10 if is_left else x + 10,
            y,
            one.title,
            anchor="end" if is_left else "start",
            style="strong" if one.is_unbeaten else "words",
        )

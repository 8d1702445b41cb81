"""Charts as inline SVG: axes, and a method for each kind of mark.

The report's charts are 480 units wide and scaled by the page, with text that is legible at 340
pixels on a phone. Colours are CSS classes, so one drawing serves light, dark and print.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pawsure.report.markup import Child, Markup, element, together

WIDTH, HEIGHT = 480, 300
_LEAST_SHOWN = 0.02
_LEAST_SPAN = 1e-3  # of the largest value: a curve that varies less is flat
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 14, 14, 50


def _decimal(value: float) -> str:
    return f"{value:,.6g}"


@dataclass(frozen=True, kw_only=True)
class Axis:
    """From values to positions on an axis.

    Attributes:
        title: what the values are.
        low: its start.
        high: its end.
        ticks: values with a grid line and a number.
        form: from a value to its number.
        place: the scale: the identity, or a logarithm.
    """

    title: str
    low: float
    high: float
    ticks: tuple[float, ...]
    form: Callable[[float], str] = _decimal
    place: Callable[[float], float] = float

    def share(self, value: float) -> float:
        """Position in [0, 1]; values beyond an end are drawn there."""
        low, high = self.place(self.low), self.place(self.high)
        inside = min(max(value, self.low), self.high)
        return (self.place(inside) - low) / (high - low)


def percent_axis(title: str) -> Axis:
    """From 0% to 100%."""
    ticks = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    return Axis(title=title, low=0.0, high=1.0, ticks=ticks, form="{:.0%}".format)


def plain_axis(
    title: str,
    values: Iterable[float],
    *,
    low: float | None = None,
    high: float | None = None,
    most_ticks: int = 6,
    form: Callable[[float], str] = _decimal,
) -> Axis:
    """An axis in round steps that includes all finite values.

    Args:
        title: what the values are.
        values: of any number.
        low: its start; None: the round step below the least value.
        high: its end, likewise.
        most_ticks: at most so many steps.
        form: from a tick to its number.
    """
    finite = [value for value in values if math.isfinite(value)]
    least = low if low is not None else min(finite, default=0.0)
    most = high if high is not None else max(finite, default=1.0)
    # Values that are equal but for rounding still need an axis of some length.
    room = _LEAST_SPAN * (max(abs(least), abs(most)) or 1.0)
    if most - least < room:
        least, most = (least if low is not None else least - room), most + room
    step = _round_step((most - least) / most_ticks)
    # Rounded, or the last tick could be beyond the end by the last bit.
    first = round(math.floor(least / step + 1e-9) * step, 12) if low is None else least
    last = round(math.ceil(most / step - 1e-9) * step, 12) if high is None else most
    last = last if last > first else first + step
    count = math.floor((last - first) / step + 1e-9)
    ticks = tuple(round(first + turn * step, 12) for turn in range(count + 1))
    return Axis(title=title, low=first, high=last, ticks=ticks, form=form)


def log_axis(title: str, values: Iterable[float]) -> Axis:
    """A logarithmic axis with ticks at powers of ten; for values above 0."""
    values = [value for value in values if value > 0 and math.isfinite(value)] or [1.0]
    first, last = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    last = max(last, first + 1)
    step = max(1, math.ceil((last - first) / 6))
    ticks = tuple(10.0**power for power in range(first, last + 1, step))
    return Axis(
        title=title,
        low=10.0**first,
        high=10.0**last,
        ticks=ticks,
        form="{:g}".format,
        place=math.log10,
    )


def share_axis(title: str, values: Iterable[float] = (0.0, 1.0), *, high: float = 1.0) -> Axis:
    """An axis of percentages that ends at `high`.

    It spans at least 2% of that, so that differences of a tenth of a point are not blown up.
    """
    low = min([*values, high * (1 - _LEAST_SHOWN)])
    axis = plain_axis(title, [low, high], most_ticks=5)
    step = axis.ticks[1] - axis.ticks[0]
    decimals = max(0, -math.floor(math.log10(step) + 2 + 1e-9))
    ends = max(0.0, axis.low), min(high, axis.high)
    return Axis(
        title=title,
        low=ends[0],
        high=ends[1],
        ticks=tuple(tick for tick in axis.ticks if ends[0] <= tick <= ends[1]),
        form=lambda value: f"{100 * value:.{decimals}f}%",
    )


def _round_step(least: float) -> float:
    """1, 2 or 5 times a power of ten, at least so large."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * times for times in (1, 2, 5, 10) if power * times >= least * (1 - 1e-9))


class Plot:
    """One chart: call methods for its marks, from back to front, then `svg`.

    Args:
        x: horizontal axis.
        y: vertical axis.
        title: what it shows, for screen readers.
        description: what can be seen in it, for the same.
        width: of the drawing.
        height: of the drawing.
        top: space above the axes.
    """

    def __init__(
        self,
        x: Axis,
        y: Axis,
        *,
        title: str,
        description: str,
        width: int = WIDTH,
        height: int = HEIGHT,
        top: int = _TOP,
    ) -> None:
        self.x, self.y = x, y
        self._title, self._description = title, description
        self._top, self._right, self._bottom = top, width - _RIGHT, height - _BOTTOM
        self._size = width, height
        self._parts: list[Child] = []

    def across(self, value: float) -> float:
        """Units from the left."""
        return round(_LEFT + self.x.share(value) * (self._right - _LEFT), 1)

    def up(self, value: float) -> float:
        """Units from the top."""
        return round(self._bottom - self.y.share(value) * (self._bottom - self._top), 1)

    def add(self, *parts: Child) -> None:
        """Add markup in units of the drawing."""
        self._parts += parts

    def line(
        self, x: Sequence[float], y: Sequence[float], style: str, *, dots: bool = False
    ) -> None:
        """A line through points; it is interrupted where a value is missing."""
        for run in _unbroken(x, y):
            if len(run) > 1:
                self.add(element("polyline", points=self._points(run), class_=f"line {style}"))
            if dots or len(run) == 1:
                for a, b in run:
                    self.dot(a, b, style, size=3 if dots else 4)

    def band(
        self, x: Sequence[float], low: Sequence[float], high: Sequence[float], style: str
    ) -> None:
        """The area between two lines."""
        lower, upper = zip(x, low, strict=True), zip(x, high, strict=True)
        points = self._points([*lower, *reversed(list(upper))])
        self.add(element("polygon", points=points, class_=f"band {style}"))

    def _points(self, points: Iterable[tuple[float, float]]) -> str:
        return " ".join(f"{self.across(a):g},{self.up(b):g}" for a, b in points)

    def dot(self, x: float, y: float, style: str, *, size: float = 4, tip: str = "") -> None:
        """A point with a tooltip."""
        self.add(dot(self.across(x), self.up(y), style, size=size, tip=tip))

    def interval(self, x: float, low: float, high: float, style: str) -> None:
        """A vertical bar from one value to another."""
        self.segment((x, low), (x, high), f"whisker {style}")

    def bar(self, x: tuple[float, float], height: float, style: str, *, tip: str = "") -> None:
        """A bar from the horizontal axis, with a tooltip."""
        left, right = self.across(x[0]), self.across(x[1])
        top = self.up(height)
        self.add(
            element(
                "rect",
                element("title", tip) if tip else None,
                x=round(left + 0.5, 1),
                y=top,
                width=round(max(0.5, right - left - 1), 1),
                height=round(max(0.0, self._bottom - top), 1),
                class_=f"bar {style}",
            )
        )

    def diagonal(self) -> None:
        """A dashed line where both axes have the same value."""
        low, high = max(self.x.low, self.y.low), min(self.x.high, self.y.high)
        self.segment((low, low), (high, high))

    def segment(
        self, start: tuple[float, float], end: tuple[float, float], style: str = "guide"
    ) -> None:
        """A straight line."""
        (x1, y1), (x2, y2) = start, end
        self.add(line(self.across(x1), self.up(y1), self.across(x2), self.up(y2), style))

    def upright(self, x: float, words: str) -> None:
        """A line over the whole height, with words at its top on the side with more room."""
        self.segment((x, self.y.low), (x, self.y.high), "mark")
        is_left = self.x.share(x) > 0.6
        place = self.across(x) + (-6 if is_left else 6)
        self.add(label(place, self._top + 11, words, anchor="end" if is_left else "start"))

    def words(self, x: float, y: float, text: str) -> None:
        """Words at a point."""
        self.add(label(self.across(x), self.up(y), text))

    def svg(self, *before: Child, **attributes: str) -> Markup:
        """The finished chart; `before` and `attributes` as for `drawing`."""
        width, height = self._size
        return drawing(
            width,
            height,
            *before,
            self._grid(),
            self._parts,
            title=self._title,
            description=self._description,
            **attributes,
        )

    def _grid(self) -> Markup:
        right, bottom = self._right, self._bottom
        return together(
            [line(_LEFT, self.up(tick), right, self.up(tick), "grid") for tick in self.y.ticks],
            line(_LEFT, bottom, right, bottom, "axis"),
            [
                label(_LEFT - 8, self.up(tick) + 4.5, self.y.form(tick), anchor="end", style="tick")
                for tick in self.y.ticks
            ],
            [
                label(
                    self.across(tick), bottom + 19, self.x.form(tick), anchor="middle", style="tick"
                )
                for tick in self.x.ticks
            ],
            label((_LEFT + right) / 2, bottom + 42, self.x.title, anchor="middle"),
            element(
                "text",
                self.y.title,
                transform=f"translate(13 {(self._top + bottom) / 2:g}) rotate(-90)",
                text_anchor="middle",
                class_="words",
            ),
        )


def drawing(
    width: int, height: int, *parts: Child, title: str, description: str, **attributes: str
) -> Markup:
    """An SVG image with a title and a description for screen readers."""
    return element(
        "svg",
        element("title", title),
        element("desc", description),
        *parts,
        viewBox=f"0 0 {width} {height}",
        role="img",
        class_="chart",
        **attributes,
    )


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> Markup:
    """A straight line in a drawing."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=style)


def dot(x: float, y: float, style: str, *, size: float, tip: str = "") -> Markup:
    """A point in a drawing, with a tooltip."""
    title = element("title", tip) if tip else None
    return element("circle", title, cx=x, cy=y, r=size, class_=f"dot {style}")


def label(x: float, y: float, text: str, *, anchor: str = "start", style: str = "words") -> Markup:
    """Words in a drawing."""
    return element("text", text, x=round(x, 1), y=round(y, 1), text_anchor=anchor, class_=style)


def _unbroken(x: Sequence[float], y: Sequence[float]) -> list[list[tuple[float, float]]]:
    """The points, split where a value is missing."""
    runs: list[list[tuple[float, float]]] = [[]]
    for a, b in zip(x, y, strict=True):
        if a is None or b is None or not math.isfinite(a) or not math.isfinite(b):
            runs.append([])
        else:
            runs[-1].append((a, b))
    return [run for run in runs if run]

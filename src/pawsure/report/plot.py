"""Charts as inline SVG: axes, lines, bands, dots and bars, each one small function.

Drawn for a box of 480 units that a page scales, with letters large enough to be read at 340
pixels on a phone. Colours are classes of the page's style sheet, so that one drawing serves
light, dark and print.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pawsure.report.markup import Child, Markup, element, together

WIDTH, HEIGHT = 480, 300
_LEAST_SHOWN = 0.02
_LEAST_SPAN = 1e-3  # of the largest value: below that a curve is level
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 14, 14, 50


@dataclass(frozen=True, kw_only=True)
class Axis:
    """From values to a share of the axis.

    Attributes:
        title: what the values are.
        low: at the beginning.
        high: at the end.
        ticks: values with a line and a number.
        form: from a value to its number.
        place: from a value to where it lies; the identity, or a logarithm.
    """

    title: str
    low: float
    high: float
    ticks: tuple[float, ...]
    form: Callable[[float], str]
    place: Callable[[float], float] = float

    def share(self, value: float) -> float:
        """In [0, 1] for values on the axis; others stop at its ends."""
        low, high = self.place(self.low), self.place(self.high)
        inside = min(max(value, self.low), self.high)
        return (self.place(inside) - low) / (high - low)


def plain_axis(
    title: str,
    values: Iterable[float],
    *,
    form: Callable[[float], str] | None = None,
    low: float | None = None,
    high: float | None = None,
    most_ticks: int = 6,
    whole: bool = False,
) -> Axis:
    """An axis in round steps that holds all values.

    Args:
        title: what they are.
        values: those that are not finite are passed over.
        form: from a tick to its number; the shortest decimal by default.
        low: where it begins; None: at the round step below the least value.
        high: where it ends, likewise.
        most_ticks: at most so many steps.
        whole: whether only whole numbers get a tick.
    """
    finite = [value for value in values if math.isfinite(value)]
    least = low if low is not None else min(finite, default=0.0)
    most = high if high is not None else max(finite, default=1.0)
    # Values that differ by no more than rounding get room around them, not an axis of nothing.
    room = _LEAST_SPAN * (max(abs(least), abs(most)) or 1.0)
    if most - least < room:
        least, most = (least if low is not None else least - room), most + room
    step = _round_step((most - least) / most_ticks)
    step = max(1.0, step) if whole else step
    # Rounded, or a tick at the very end could lie beyond it by the last bit.
    first = round(math.floor(least / step + 1e-9) * step, 12) if low is None else least
    last = round(math.ceil(most / step - 1e-9) * step, 12) if high is None else most
    last = last if last > first else first + step
    count = math.floor((last - first) / step + 1e-9)
    ticks = tuple(round(first + turn * step, 12) for turn in range(count + 1))
    return Axis(title=title, low=first, high=last, ticks=ticks, form=form or _decimal)


def log_axis(title: str, values: Iterable[float], *, form: Callable[[float], str]) -> Axis:
    """An axis on which equal steps multiply; for values above 0."""
    values = [value for value in values if value > 0 and math.isfinite(value)] or [1.0]
    first, last = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    last = max(last, first + 1)
    step = max(1, math.ceil((last - first) / 6))
    ticks = tuple(10.0**power for power in range(first, last + 1, step))
    return Axis(
        title=title, low=10.0**first, high=10.0**last, ticks=ticks, form=form, place=math.log10
    )


def share_axis(title: str, values: Iterable[float] = (0.0, 1.0), *, high: float = 1.0) -> Axis:
    """An axis of percentages that ends at 100% unless told otherwise.

    It never shows less than a fiftieth of that: where all is right, there is nothing to see, and
    a tenth of a point is not blown up.
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


def _decimal(value: float) -> str:
    return f"{value:,.6g}"


class Plot:
    """One chart; call what it is to show, in order from the back, then `svg`.

    Args:
        x: to the right.
        y: upwards.
        title: what it shows, for those who do not see it.
        description: what is to be seen in it, for the same.
        height: of the box, which is 480 wide.
    """

    def __init__(
        self, x: Axis, y: Axis, *, title: str, description: str, height: int = HEIGHT
    ) -> None:
        self.x, self.y = x, y
        self._title, self._description = title, description
        self._height = height
        self._parts: list[Markup] = []

    def across(self, value: float) -> float:
        """Units from the left."""
        return round(_LEFT + self.x.share(value) * (WIDTH - _LEFT - _RIGHT), 1)

    def up(self, value: float) -> float:
        """Units from the top."""
        return round(self._height - _BOTTOM - self.y.share(value) * self._room, 1)

    @property
    def _room(self) -> float:
        return self._height - _TOP - _BOTTOM

    def line(
        self, x: Sequence[float], y: Sequence[float], look: str, *, dots: bool = False
    ) -> None:
        """A line through points; it stops where a value is no number."""
        for run in _unbroken(x, y):
            if len(run) > 1:
                points = " ".join(f"{self.across(a):g},{self.up(b):g}" for a, b in run)
                self._parts.append(element("polyline", points=points, class_=f"line {look}"))
            if dots or len(run) == 1:
                for a, b in run:
                    self.dot(a, b, look, size=3 if dots else 4)

    def steps(self, x: Sequence[float], y: Sequence[float], look: str) -> None:
        """A line that goes level to each point and then up or down to it."""
        xs = np.repeat(np.asarray(x, float), 2)[1:]
        ys = np.repeat(np.asarray(y, float), 2)[:-1]
        self.line(xs.tolist(), ys.tolist(), look)

    def band(
        self, x: Sequence[float], low: Sequence[float], high: Sequence[float], look: str
    ) -> None:
        """The room between two lines."""
        there = [(a, self.up(b)) for a, b in zip(x, low, strict=True)]
        back = [(a, self.up(b)) for a, b in zip(x, high, strict=True)][::-1]
        points = " ".join(f"{self.across(a):g},{b:g}" for a, b in there + back)
        self._parts.append(element("polygon", points=points, class_=f"band {look}"))

    def dot(self, x: float, y: float, look: str, *, size: float = 4, told: str = "") -> None:
        """A point; what is told shows when it is pointed at."""
        self._parts.append(
            element(
                "circle",
                element("title", told) if told else None,
                cx=self.across(x),
                cy=self.up(y),
                r=size,
                class_=f"dot {look}",
            )
        )

    def interval(self, x: float, low: float, high: float, look: str) -> None:
        """An upright bar from one value to another."""
        self._parts.append(
            element(
                "line",
                x1=self.across(x),
                x2=self.across(x),
                y1=self.up(low),
                y2=self.up(high),
                class_=f"whisker {look}",
            )
        )

    def bar(self, x: tuple[float, float], height: float, look: str, *, told: str = "") -> None:
        """A bar from the ground up."""
        left, right = self.across(x[0]), self.across(x[1])
        top, ground = self.up(height), self.up(self.y.low)
        self._parts.append(
            element(
                "rect",
                element("title", told) if told else None,
                x=round(left + 0.5, 1),
                y=top,
                width=round(max(0.5, right - left - 1), 1),
                height=round(max(0.0, ground - top), 1),
                class_=f"bar {look}",
            )
        )

    def diagonal(self, look: str = "guide") -> None:
        """From corner to corner of the values that both axes have."""
        low, high = max(self.x.low, self.y.low), min(self.x.high, self.y.high)
        self.segment((low, low), (high, high), look)

    def segment(
        self, start: tuple[float, float], end: tuple[float, float], look: str = "guide"
    ) -> None:
        """A straight line."""
        (x1, y1), (x2, y2) = start, end
        self._parts.append(
            element(
                "line",
                x1=self.across(x1),
                y1=self.up(y1),
                x2=self.across(x2),
                y2=self.up(y2),
                class_=look,
            )
        )

    def upright(self, x: float, words: str = "", look: str = "mark") -> None:
        """A line over the whole height, with words at its top on the side with more room."""
        self.segment((x, self.y.low), (x, self.y.high), look)
        is_left = self.x.share(x) > 0.6
        if words:
            offset = -6 if is_left else 6
            anchor = "end" if is_left else "start"
            self._parts.append(label(self.across(x) + offset, _TOP + 11, words, anchor=anchor))

    def level(self, y: float, words: str = "", look: str = "mark") -> None:
        """A line over the whole width, with words above its left end."""
        self.segment((self.x.low, y), (self.x.high, y), look)
        if words:
            self._parts.append(label(_LEFT + 6, self.up(y) - 5, words))

    def words(self, x: float, y: float, text: str, *, anchor: str = "start") -> None:
        """Words at a place."""
        self._parts.append(label(self.across(x), self.up(y), text, anchor=anchor))

    def svg(self) -> Markup:
        """The finished chart."""
        return drawing(
            WIDTH,
            self._height,
            self._grid(),
            self._parts,
            title=self._title,
            description=self._description,
        )

    def _grid(self) -> Markup:
        right, ground = WIDTH - _RIGHT, self._height - _BOTTOM
        lines = [
            element("line", x1=_LEFT, x2=right, y1=self.up(tick), y2=self.up(tick), class_="grid")
            for tick in self.y.ticks
        ]
        numbers = [
            label(_LEFT - 8, self.up(tick) + 4.5, self.y.form(tick), anchor="end", look="tick")
            for tick in self.y.ticks
        ]
        below = [
            label(self.across(tick), ground + 19, self.x.form(tick), anchor="middle", look="tick")
            for tick in self.x.ticks
        ]
        titles = [
            label((_LEFT + right) / 2, self._height - 8, self.x.title, anchor="middle"),
            element(
                "text",
                self.y.title,
                transform=f"translate(13 {_TOP + self._room / 2:g}) rotate(-90)",
                text_anchor="middle",
                class_="words",
            ),
        ]
        axis = element("line", x1=_LEFT, x2=right, y1=ground, y2=ground, class_="axis")
        return together(lines, axis, numbers, below, titles)


def drawing(width: int, height: int, *parts: Child, title: str, description: str) -> Markup:
    """An SVG image with a name and a description for those who do not see it."""
    return element(
        "svg",
        element("title", title),
        element("desc", description),
        *parts,
        viewBox=f"0 0 {width} {height}",
        role="img",
        class_="chart",
    )


def label(x: float, y: float, text: str, *, anchor: str = "start", look: str = "words") -> Markup:
    """Words in a drawing."""
    return element("text", text, x=round(x, 1), y=round(y, 1), text_anchor=anchor, class_=look)


def _unbroken(x: Sequence[float], y: Sequence[float]) -> list[list[tuple[float, float]]]:
    """Points in runs, parted where a value is missing."""
    runs: list[list[tuple[float, float]]] = [[]]
    for a, b in zip(x, y, strict=True):
        if a is None or b is None or not math.isfinite(a) or not math.isfinite(b):
            runs.append([])
        else:
            runs[-1].append((a, b))
    return [run for run in runs if run]

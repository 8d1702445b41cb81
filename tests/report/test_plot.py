from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawsure.report.plot import Plot, log_axis, plain_axis, share_axis

FINITE = st.floats(-1e6, 1e6).map(lambda value: round(value, 4))


@given(st.lists(FINITE, min_size=1, max_size=20))
def test_an_axis_holds_its_values_in_few_round_steps(values):
    axis = plain_axis("x", values)
    slack = 1e-8 * (axis.high - axis.low)  # a billionth of a step beyond the end is drawn at it
    assert axis.low <= min(values) + slack and max(values) <= axis.high + slack
    assert 2 <= len(axis.ticks) <= 10
    assert all(0 <= axis.share(value) <= 1 for value in values)
    assert list(axis.ticks) == sorted(set(axis.ticks))


@pytest.mark.parametrize("make", [plain_axis, share_axis])
@pytest.mark.parametrize("value", [0.0, 1e-9, 0.693147180559945, 1.0])
def test_values_that_are_all_alike_still_have_an_axis(make, value):
    axis = make("x", [value, value + 1e-16, value])
    assert axis.low <= value <= axis.high and axis.low < axis.high
    assert 0 <= axis.share(value) <= 1
    assert len(axis.ticks) >= 2


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_an_axis_of_shares_stays_between_nothing_and_all(values):
    axis = share_axis("x", values)
    assert 0 <= axis.low < axis.high <= 1
    assert len({axis.form(tick) for tick in axis.ticks}) == len(axis.ticks)


def test_equal_steps_of_a_logarithmic_axis_multiply():
    axis = log_axis("x", [0.001, 0.5, 10])
    assert (axis.low, axis.high) == (0.001, 10)
    assert axis.share(0.01) == pytest.approx(0.25)
    assert axis.ticks == pytest.approx((0.001, 0.01, 0.1, 1, 10))


def plot() -> Plot:
    axis = plain_axis("x", [0, 10])
    return Plot(axis, axis, title="A < B", description="Something.")


def test_higher_values_are_drawn_higher_and_further_right():
    drawn = plot()
    assert drawn.up(8) < drawn.up(2) and drawn.across(8) > drawn.across(2)
    assert drawn.up(100) == drawn.up(10)  # beyond the axis: at its end


def test_a_line_stops_where_there_is_no_number():
    drawn = plot()
    drawn.line([0, 1, 2, 3, 4], [1, 2, math.nan, 4, 5], "x")
    svg = drawn.svg()
    assert len(re.findall("<polyline", svg)) == 2 and "nan" not in svg


def test_words_are_escaped_and_the_drawing_is_named():
    drawn = plot()
    drawn.words(1, 1, "<b>")
    svg = drawn.svg()
    assert "<b>" not in svg and "&lt;b&gt;" in svg
    assert "<title>A &lt; B</title><desc>Something.</desc>" in svg
    assert 'role="img"' in svg

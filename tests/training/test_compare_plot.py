from __future__ import annotations

from xml.etree import ElementTree

import pytest

from pawsure.evaluation.intervals import wilson
from pawsure.training.compare import Candidate, Comparison
from pawsure.training.compare_plot import comparison_svg

SVG = "{http://www.w3.org/2000/svg}"


def candidate(title: str, hits: int, speed: float, *, is_unbeaten: bool = False) -> Candidate:
    return Candidate(
        backbone=title.lower(),
        title=title,
        accuracy=hits / 1000,
        interval=wilson(hits, 1000),
        log_loss=0.1,
        pictures_per_s=speed,
        size_mb=9.0,
        seconds=1.0,
        is_unbeaten=is_unbeaten,
    )


def comparison(*candidates: Candidate) -> Comparison:
    return Comparison(
        candidates=candidates,
        skipped=(),
        split="test",
        num_pictures=1000,
        num_train=4000,
        image_size=128,
    )


MANY = comparison(
    candidate("EfficientNetV2-B0", 989, 210, is_unbeaten=True),
    candidate("ConvNeXt-Tiny", 988, 40),
    candidate("ResNet50V2", 981, 95),
    candidate("MobileNetV3 large", 978, 800, is_unbeaten=True),
    candidate("MobileNet 0.75", 975, 790),
    candidate("MobileNetV2", 956, 707),
    candidate("MobileNet 0.5 <small>", 936, 1500, is_unbeaten=True),
)


def drawn(shown: Comparison) -> ElementTree.Element:
    return ElementTree.fromstring(comparison_svg(shown))


def texts(svg: ElementTree.Element) -> dict[str, tuple[float, float, str]]:
    return {
        str(text.text): (float(text.get("x", 0)), float(text.get("y", 0)), text.get("text-anchor"))
        for text in svg.iter(f"{SVG}text")
    }


def test_every_backbone_is_named_and_has_a_point_with_an_interval():
    svg = drawn(MANY)
    assert {one.title for one in MANY.candidates} <= set(texts(svg))
    assert len(list(svg.iter(f"{SVG}circle"))) == len(MANY.candidates)


def test_better_is_higher_and_faster_is_further_right():
    places = [(float(c.get("cx")), float(c.get("cy"))) for c in drawn(MANY).iter(f"{SVG}circle")]
    by_accuracy = [y for _, y in places]
    assert by_accuracy == sorted(by_accuracy)  # in SVG, y runs downwards
    by_speed = sorted(zip(MANY.candidates, places, strict=True), key=lambda p: p[0].pictures_per_s)
    xs = [place[0] for _, place in by_speed]
    assert xs == sorted(xs)


def test_the_line_goes_through_those_that_nobody_beats():
    svg = drawn(MANY)
    (line,) = svg.iter(f"{SVG}polyline")
    assert len(line.get("points").split()) == 3
    assert sum("best" in circle.get("class") for circle in svg.iter(f"{SVG}circle")) == 3


def test_names_neither_overlap_nor_leave_the_picture():
    svg = drawn(MANY)
    names = [texts(svg)[one.title] for one in MANY.candidates]
    for turn, (x, y, anchor) in enumerate(names):
        assert 0 < x < 760 and 0 < y < 460
        for other_x, other_y, other_anchor in names[turn + 1 :]:
            if anchor == other_anchor and abs(x - other_x) < 60:
                assert abs(y - other_y) >= 14


@pytest.mark.parametrize(
    "shown",
    [
        comparison(candidate("One", 950, 100, is_unbeaten=True)),
        comparison(candidate("Perfect", 1000, 3), candidate("Also", 1000, 3)),
        comparison(candidate("Slow", 10, 0.2), candidate("Fast", 990, 40_000)),
    ],
)
def test_few_and_extreme_figures_can_be_drawn(shown):
    svg = drawn(shown)
    for circle in svg.iter(f"{SVG}circle"):
        assert 0 <= float(circle.get("cx")) <= 760
        assert 0 <= float(circle.get("cy")) <= 460


def test_colours_follow_the_page():
    svg = comparison_svg(MANY)
    assert "prefers-color-scheme: dark" in svg
    assert "currentColor" in svg

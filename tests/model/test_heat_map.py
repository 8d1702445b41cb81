from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pawsure.errors import ShapeError
from pawsure.model.heat_map import LEAST_SCALE, MOST_OPAQUE, colour_map, heat_map, overlay


def oklab(rgb: np.ndarray) -> np.ndarray:
    """sRGB (N, 3) of 0 to 255 as OKLab, by the published way there (ours is the way back)."""
    value = rgb / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    cones = np.cbrt(
        linear
        @ np.array(
            [
                [0.4122214708, 0.2119034982, 0.0883024619],
                [0.5363325363, 0.6806995451, 0.2817188376],
                [0.0514459929, 0.1073969566, 0.6299787005],
            ]
        )
    )
    return cones @ np.array(
        [
            [0.2104542553, 1.9779984951, 0.0259040371],
            [0.7936177850, -2.4285922050, 0.7827717662],
            [-0.0040720468, 0.4505937099, -0.8086757660],
        ]
    )


def on_grey(grey: int) -> np.ndarray:
    """OKLab of all colours as they look over grey."""
    colours = colour_map().astype(float)
    opacity = colours[:, 3:] / 255
    return oklab(colours[:, :3] * opacity + grey * (1 - opacity))


def test_lightness_rises_all_the_way_from_against_to_for():
    lightness = on_grey(128)[:, 0]
    # Roundings to whole levels make steps of this size in either direction.
    assert (np.diff(lightness) > -0.004).all()
    assert lightness[-1] - lightness[255] > 0.15
    assert lightness[255] - lightness[0] > 0.15


def test_equal_steps_of_evidence_are_equally_easy_to_see():
    seen = on_grey(128)[::15]
    steps = np.linalg.norm(np.diff(seen, axis=0), axis=1)
    assert steps.max() < 3 * steps.min()


def test_for_and_against_differ_for_those_who_do_not_see_red_or_green():
    strongest = on_grey(128)[[0, -1]]
    blue_to_yellow = strongest[:, 2]
    assert blue_to_yellow[1] - blue_to_yellow[0] > 0.15


def test_nothing_is_drawn_where_nothing_was_said_and_the_picture_stays_visible():
    colours = colour_map()
    assert colours.shape == (511, 4) and colours.dtype == np.uint8
    assert colours[255, 3] == 0
    assert colours[:, 3].max() == round(255 * MOST_OPAQUE) < 200
    flat = heat_map(np.zeros((4, 4)), 20, 10)
    assert flat.size == (20, 10)
    assert np.asarray(flat)[..., 3].max() == 0


def test_little_evidence_is_not_blown_up():
    little, much = (heat_map(np.full((2, 2), value), 4, 4) for value in (0.2, 20.0))
    assert np.asarray(little)[..., 3].max() < 30
    assert np.asarray(much)[..., 3].max() > 150
    assert np.exp(LEAST_SCALE) == pytest.approx(0.9 / 0.1)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "CMYK"])
def test_a_picture_of_any_mode_keeps_its_size(mode):
    drawn = overlay(Image.new(mode, (31, 17)), np.array([[5.0, -5.0]], np.float32))
    assert drawn.size == (31, 17) and drawn.mode == "RGB"
    left, right = np.asarray(drawn)[8, [2, -3]].astype(int)
    assert left[0] > left[2] and right[2] > right[0]


def test_the_picture_itself_is_left_as_it_is():
    picture = Image.new("RGB", (8, 8), "red")
    overlay(picture, np.ones((2, 2)))
    assert picture.getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("evidence", [np.zeros(4), np.full((2, 2), np.nan), np.zeros((0, 2))])
def test_what_is_no_map_is_refused(evidence):
    with pytest.raises(ShapeError, match=r"finite and \(h, w\)"):
        heat_map(evidence, 8, 8)

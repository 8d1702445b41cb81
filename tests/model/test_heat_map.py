from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pawsure.errors import ShapeError
from pawsure.model.evidence import spread
from pawsure.model.heat_map import (
    LEAST_SCALE,
    MOST_OPAQUE,
    colour_map,
    heat_map,
    overlay,
    standing_out,
)


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


def peak(size: int, height: float, *, elsewhere: float = 0.0) -> np.ndarray:
    """A map that is the same everywhere but in one place."""
    evidence = np.full((size, size), elsewhere)
    evidence[1, 1] += height
    return evidence


def test_little_evidence_is_not_blown_up():
    little, much = (np.asarray(heat_map(peak(4, height), 40, 40)) for height in (0.2, 20.0))
    assert little[..., 3].max() < 15
    assert much[..., 3].max() == round(255 * MOST_OPAQUE)
    assert np.exp(LEAST_SCALE) == pytest.approx(0.9 / 0.1)


@pytest.mark.parametrize("size", [4, 7, 14])
@pytest.mark.parametrize("elsewhere", [-4.0, 0.0, 4.0, 20.0])
def test_only_what_stands_out_is_drawn_whatever_all_places_share(size, elsewhere):
    share = standing_out(peak(size, 30.0, elsewhere=elsewhere), 120, 120)
    middle = round(1.5 / size * 120)
    assert share[middle, middle] == 1
    assert np.abs(share[90:, 90:]).max() < 0.05
    assert (share > 0.05).mean() < 0.55


def test_the_noise_of_a_flat_map_is_not_drawn():
    flat = np.random.default_rng(3).normal(12, 0.15, (7, 7))
    assert np.asarray(heat_map(flat, 90, 60))[..., 3].max() < 40


def test_warm_places_spoke_for_the_label_and_blue_ones_against_it():
    rng = np.random.default_rng(5)
    for typical in (-6, 0, 6):
        evidence = rng.normal(typical, 5, (7, 7))
        share = standing_out(evidence, 7 * 9, 7 * 9)
        values = spread(evidence, 7 * 9, 7 * 9)
        assert (values[share > 0] > 0).all()
        assert (values[share < 0] < 0).all()
        assert np.abs(share).max() == 1


def test_one_extreme_place_does_not_hide_the_others():
    evidence = np.zeros((14, 14))
    evidence[2:6, 2:6] = 6.0
    evidence[10, 10] = 60.0
    assert standing_out(evidence, 140, 140)[40, 40] > 0.3


def test_the_size_at_which_it_is_drawn_changes_no_colour():
    evidence = np.random.default_rng(6).normal(2, 4, (4, 4))
    small, large = (standing_out(evidence, size, size) for size in (40, 200))
    np.testing.assert_allclose(large[2::5, 2::5], small, atol=1e-6)


def test_the_rest_of_the_photograph_stays_as_it_is():
    photograph = Image.effect_noise((120, 90), 60).convert("RGB")
    drawn = np.asarray(overlay(photograph, peak(4, 30.0, elsewhere=5.0)))
    same = (drawn == np.asarray(photograph)).all(axis=2)
    assert same.mean() > 0.4
    assert not same[34, 45]


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

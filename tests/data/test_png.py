"""PNGs of kinds that Pillow reads otherwise than they mean."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_pictures import encoded, photograph
from PIL import Image
from png_files import png

from pawsure.data import images
from pawsure.errors import PictureError

RGB = np.asarray(photograph(2, width=40, height=30))
GREY = np.asarray(photograph(2, width=40, height=30).convert("L"))


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("kind", [0, 2])
def test_sixteen_bits_of_which_fewer_are_used(bits, kind):
    levels = (RGB if kind else GREY).astype(np.uint16) * ((1 << bits) - 1) // 255
    levels[0, 0] = (1 << bits) - 1
    pixels = images.decode(png(levels, depth=16, kind=kind)).astype(float)
    expected = np.rint(levels * (255 / ((1 << bits) - 1)))
    assert np.abs(pixels - (expected if kind else expected[:, :, None])).max() <= 1


def test_one_level_says_nothing_of_the_range():
    assert images.decode(png(np.full((4, 4), 257), depth=16, kind=0)).max() == 1


def test_alpha_of_sixteen_bits_stays_what_it_is():
    """Only the colours are dark."""
    alpha = np.full((*GREY.shape, 1), 65535)
    alpha[:10] = 0
    pixels = images.decode(png(np.dstack([RGB.astype(int) * 16, alpha]), depth=16, kind=6))
    assert (pixels[:10] == 255).all()
    assert np.abs(pixels[10:].astype(int) - RGB[10:]).max() <= 1


@pytest.mark.parametrize("depth", [2, 4, 8, 16])
def test_a_see_through_level_of_grey(depth):
    most = (1 << depth) - 1
    levels = GREY.astype(np.int64) * most // 255
    chosen = int(levels[7, 9])
    pixels = images.decode(png(levels, depth=depth, kind=0, see_through=[chosen]))
    assert (pixels[levels == chosen] == 255).all()
    others = levels != chosen
    expected = np.rint(levels * (255 / most))
    assert np.abs(pixels[others][:, 0] - expected[others]).max() <= 1


@pytest.mark.parametrize("depth", [8, 16])
def test_a_see_through_colour(depth):
    values = RGB.astype(np.int64) * (257 if depth == 16 else 1)
    values[5:9, 5:9] = (7, 8, 9)
    if depth == 16:
        values[0, 0] = (7, 8, 10)  # the same in its higher bytes
    pixels = images.decode(png(values, depth=depth, kind=2, see_through=[7, 8, 9]))
    assert (pixels[5:9, 5:9] == 255).all()
    if depth == 16:
        assert pixels[0, 0].max() <= 1


def test_a_part_that_is_lost_is_found_without_decoding():
    data = bytearray(encoded(Image.fromarray(RGB), "PNG"))
    images.examine(bytes(data))
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    with pytest.raises(PictureError, match="damaged|truncated"):
        images.examine(bytes(data))

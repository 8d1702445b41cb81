"""The code in an export's README reads pictures as pawsure does, or refuses them."""

from __future__ import annotations

import re

import numpy as np
import pytest
from awkward_pictures import awkward
from drawn_pictures import encoded, photograph, put
from PIL import Image
from png_files import png

from pawsure.data import images
from pawsure.export.folder import picture_code
from pawsure.export.sample import reading_code


@pytest.fixture(scope="module")
def read_picture():
    """The function as the README has it, not as the module does."""
    names: dict = {"np": np, "Image": Image}
    exec(reading_code(), names)
    return names["read_picture"]


@pytest.mark.parametrize("size_px", [32, 128, 224])
def test_awkward_pictures_are_read_alike(read_picture, tmp_path, size_px):
    different = {}
    for name, data in awkward().items():
        path = put(tmp_path / name, data)
        gap = np.abs(read_picture(path, size_px).astype(int) - images.read(path, size_px=size_px))
        if gap.any():
            different[name] = gap.max()
    assert different == {}


def test_kinds_that_it_does_not_know_are_refused(read_picture, tmp_path):
    deep = np.asarray(photograph(), np.uint16)
    for name, data in {
        "page.tif": encoded(photograph(), "TIFF"),
        "key16.png": png(deep[:, :, 0] * 257, depth=16, kind=0, see_through=[0]),
        "dark16.png": png(deep * 16, depth=16, kind=2),
        "words.jpg": b"words",
    }.items():
        with pytest.raises((ValueError, OSError), match=re.escape(name)):
            read_picture(put(tmp_path / name, data), 32)


def test_deep_colours_are_read_alike(read_picture, tmp_path):
    deep = np.asarray(photograph(), np.uint16) * 257
    path = put(tmp_path / "deep.png", png(deep, depth=16, kind=2))
    assert (read_picture(path, 32) == images.read(path, size_px=32)).all()


def test_the_readme_has_the_function_and_its_call():
    code = picture_code(96)
    assert "type: ignore" not in code
    assert 'pixels = read_picture("picture.jpg", 96)' in code
    assert max(map(len, code.splitlines())) <= 100

from __future__ import annotations

import numpy as np
import pytest
from drawn_pictures import encoded, jpeg, photograph, put
from PIL import Image

from pawsure.audit import files
from pawsure.data.catalog import build_catalog


def frames(format: str, **options) -> bytes:
    images = [photograph(seed) for seed in range(3)]
    return encoded(images[0], format, save_all=True, append_images=images[1:], **options)


def looked_at(folder, contents: dict[str, bytes]):
    for name, data in contents.items():
        put(folder / name, data)
    animations = files.Animations()
    catalog = build_catalog(folder, for_training=False, visit=animations.look)
    return catalog, animations


def named(catalog, flags: np.ndarray) -> set[str]:
    return set(catalog.path[flags].tolist())


def test_animations_are_told_from_stills_and_from_pages(tmp_path):
    catalog, animations = looked_at(
        tmp_path,
        {
            "a/moves.gif": frames("GIF"),
            "a/moves.webp": frames("WEBP"),
            "a/moves.png": frames("PNG"),
            "a/still.gif": encoded(photograph(7), "GIF"),
            "a/still.png": encoded(photograph(8), "PNG"),
            "a/still.jpg": jpeg(9),
            "a/pages.tif": frames("TIFF"),
        },
    )
    moving = animations.frames(catalog.content) > 1
    assert named(catalog, moving) == {"a/moves.gif", "a/moves.webp", "a/moves.png"}


def test_a_gif_called_jpg_is_misnamed(tmp_path):
    catalog, _ = looked_at(
        tmp_path,
        {
            "a/gif.jpg": encoded(photograph(1), "GIF"),
            "a/png.jpeg": encoded(photograph(2), "PNG"),
            "a/right.JPG": jpeg(3),
            "a/right.png": encoded(photograph(4), "PNG"),
        },
    )
    assert named(catalog, files.is_misnamed(catalog)) == {"a/gif.jpg", "a/png.jpeg"}


def test_what_is_cut_short_is_told_from_other_damage(tmp_path):
    catalog, _ = looked_at(
        tmp_path,
        {"a/cut.jpg": jpeg(1)[:600], "a/page.jpg": b"<!doctype html>", "a/whole.jpg": jpeg(2)},
    )
    assert named(catalog, files.is_truncated(catalog)) == {"a/cut.jpg"}


@pytest.mark.parametrize(
    ("size", "score"),
    [
        ((32, 400), files.tininess),
        ((60, 180), files.stretch),
        ((180, 60), files.stretch),
    ],
)
def test_sizes_out_of_the_ordinary_reach_a_half(tmp_path, size, score):
    catalog, _ = looked_at(
        tmp_path,
        {
            "a/odd.jpg": jpeg(1, width=size[0], height=size[1]),
            "a/usual.jpg": jpeg(2, width=200, height=150),
        },
    )
    odd, usual = score(catalog)
    assert odd >= 0.5 and usual < 0.5
    assert 0 <= odd <= 1 and 0 <= usual <= 1


def test_a_huge_picture_reaches_a_half_at_forty_million_pixels(tmp_path):
    data = encoded(Image.new("L", (8000, 5000)), "PNG")
    catalog, _ = looked_at(tmp_path, {"a/huge.png": data, "a/usual.jpg": jpeg(2)})
    assert files.hugeness(catalog).round(3).tolist() == [0.5, 0.0]


def test_one_colour_is_blank_and_faint_pictures_nearly():
    rng = np.random.default_rng(0)
    pictures = np.stack(
        [
            np.full((40, 40), 120, np.uint8),
            rng.integers(118, 123, (40, 40), dtype=np.uint8),
            rng.integers(0, 256, (40, 40), dtype=np.uint8),
        ]
    )
    one_colour, faint, full = files.blankness(pictures)
    assert one_colour == 1 and 0.5 < faint < 1 and full == 0

"""JPEGs of which a part is missing are found, although libjpeg decodes them; sound ones pass."""

from __future__ import annotations

import io
import random
from collections.abc import Callable

import pytest
from drawn_pictures import encoded, photograph
from PIL import Image

from pawsure.audit.files import is_truncated
from pawsure.data import images
from pawsure.data.catalog import build_catalog
from pawsure.data.headers import jpeg_header
from pawsure.errors import PictureError

KINDS = {
    "usual": {"quality": 85},
    "optimised": {"optimize": True},
    "progressive": {"progressive": True, "quality": 90},
    "restarts": {"restart_marker_rows": 1},
    "fine": {"quality": 97, "subsampling": 0},
}


def picture(kind: str, mode: str = "RGB") -> bytes:
    return encoded(photograph(5, width=320, height=240).convert(mode), "JPEG", **KINDS[kind])


def third_of(data: bytes) -> tuple[int, int]:
    """Where the middle third of the pixels is."""
    start = jpeg_header(data).scan + 20
    return start + (len(data) - start) // 3, start + 2 * (len(data) - start) // 3


def filled(with_what: Callable[[int], bytes]) -> Callable[[bytes], bytes]:
    def damage(data: bytes) -> bytes:
        first, last = third_of(data)
        return data[:first] + with_what(last - first) + data[last:]

    return damage


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "zeros": filled(bytes),
    "ones": filled(lambda size: b"\xff" * size),
    "noise": filled(lambda size: random.Random(3).randbytes(size)),
    "a block of zeros": lambda data: (
        data[: third_of(data)[0]] + bytes(512) + data[third_of(data)[0] + 512 :]
    ),
    "taken out": filled(lambda _: b""),
    "cut": lambda data: data[: third_of(data)[1]],
    "cut, but ended": lambda data: data[: third_of(data)[1]] + b"\xff\xd9",
    "zeros to the end": lambda data: (
        data[: third_of(data)[1]] + bytes(len(data) - third_of(data)[1])
    ),
    "zeros, but ended": lambda data: (
        data[: third_of(data)[1]] + bytes(len(data) - third_of(data)[1] - 2) + b"\xff\xd9"
    ),
}
# In these, libjpeg finds its way again behind the gap, or has a coarse picture from the first
# passes; what a look at the whole file finds, reading alone does not.
NOT_BY_READING = {("progressive", "taken out"), ("progressive", "cut, but ended")}
NOT_BY_READING |= {("restarts", "taken out")}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_third_is_found(kind, damage, tmp_path):
    data = DAMAGE[damage](picture(kind))
    if (kind, damage) not in NOT_BY_READING:
        with pytest.raises(PictureError, match="truncated|damaged"):
            images.read(data, size_px=64)
        with pytest.raises(PictureError, match="truncated|damaged"):
            images.decode(data)
    # As a catalog does, and what trains on it or audits it.
    with pytest.raises(PictureError, match="truncated|damaged"):
        images.examine(data)
        images.read(data, size_px=64)


@pytest.mark.parametrize("end", [b"\xff", b"\xff\xff\xff", b"\xff\x00"])
def test_a_cut_within_a_marker_is_found(end):
    data = picture("usual")
    cut = data[: third_of(data)[1]] + end + b"\xff\xd9"
    for action in (lambda: images.read(cut, size_px=64), lambda: images.decode(cut)):
        with pytest.raises(PictureError, match="truncated|damaged"):
            action()


@pytest.mark.parametrize("damage", DAMAGE)
def test_grey_ones_too(damage):
    with pytest.raises(PictureError, match="truncated|damaged"):
        images.read(DAMAGE[damage](picture("usual", "L")), size_px=64)


def plain(mode: str, colour: object, size: tuple[int, int] = (1500, 1100)) -> Image.Image:
    return Image.new(mode, size, colour)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_sound_pictures_pass_whatever_they_show(kind):
    """Plain ones are long runs of zeros; grey ones end as libjpeg ends what is cut."""
    shown = [photograph(seed, width=200, height=150) for seed in range(8)]
    for colour in ("white", "black", (128, 128, 128), (127, 127, 127), "red"):
        backdrop = plain("RGB", colour)
        shown.append(backdrop.copy())
        backdrop.paste(photograph(9, width=300, height=300), (100, 100))
        shown.append(backdrop)
    shown += [plain("L", 128), plain("CMYK", (127, 127, 127, 127), (64, 64))]
    for image in shown:
        data = encoded(image, "JPEG", **KINDS[kind])
        images.examine(data)
        assert images.read(data, size_px=32).shape == (32, 32, 3)


def test_what_is_appended_or_written_by_cameras_is_no_damage():
    data = picture("usual")
    for behind in (bytes(4096), b"\xff" * 600, b"\0\0\0\x18ftypmp42" + bytes(9000)):
        images.examine(data + behind)
        images.read(data + behind, size_px=32)
    note = b"\xff\xe1\xff\xfe" + bytes(0xFFFC)
    images.examine(data[:2] + note + data[2:])


def test_a_part_that_is_missing_is_told_in_the_catalog(tmp_path):
    folder = tmp_path / "cat"
    folder.mkdir()
    for name, data in {
        "whole.jpg": picture("usual"),
        "zeros.jpg": DAMAGE["zeros"](picture("usual")),
        "cut.jpg": DAMAGE["cut, but ended"](picture("progressive")),
    }.items():
        (folder / name).write_bytes(data)
    catalog = build_catalog(tmp_path, for_training=False)
    assert set(catalog.problems()) == {"cat/zeros.jpg", "cat/cut.jpg"}
    assert set(catalog.path[is_truncated(catalog)]) == {"cat/zeros.jpg", "cat/cut.jpg"}


def test_arithmetic_and_restarts_are_understood_from_the_header():
    start = jpeg_header(picture("restarts"))
    assert start.restarts == 240 // 16 - 1
    assert jpeg_header(picture("usual")).restarts is None
    assert jpeg_header(picture("progressive")).passes > 5
    assert jpeg_header(picture("usual")).passes == 1
    with Image.open(io.BytesIO(picture("usual"))) as image:
        assert image.size == (320, 240)

"""Every kind of TIFF comes out as the picture that went in, or is refused by name."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from drawn_pictures import EXIF_ORIENTATION, encoded, photograph
from PIL import Image
from tiff_files import tiff

from pawsure.data import images
from pawsure.errors import PictureError

RGB = np.asarray(photograph(1, width=37, height=29))
GREY = np.asarray(photograph(1, width=37, height=29).convert("L"))
ALPHA = np.tile(np.linspace(0, 255, 37).astype(np.uint8), (29, 1))
ON_WHITE = np.rint((RGB.astype(float) * ALPHA[..., None] + 255.0 * (255 - ALPHA[..., None])) / 255)
LAYOUTS = [
    {},
    {"order": ">"},
    {"tile": (16, 16)},
    {"deflate": True},
    {"deflate": True, "order": ">", "tile": (16, 32)},
    {"big": True, "rows_per_strip": 29},
    {"reversed_bits": True},
]
DEPTHS = {
    "u1": lambda levels: levels,
    "u2": lambda levels: levels.astype("u2") * 257,
    "u4": lambda levels: levels.astype("u4") * 257,
    "i2": lambda levels: levels.astype("i2"),
    "i4": lambda levels: levels.astype("i4") * 257,
    "f2": lambda levels: (levels / 255).astype("f2"),
    "f4": lambda levels: (levels / 255).astype("f4"),
    "f8": lambda levels: levels.astype("f8"),
}


def gap(data: bytes, expected: np.ndarray) -> float:
    pixels = images.decode(data).astype(float)
    if expected.ndim == 2:
        expected = np.repeat(expected[:, :, None], 3, axis=2)
    assert pixels.shape == expected.shape
    return float(np.abs(pixels - expected).max())


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("planes", [False, True])
def test_colours_of_any_depth(layout, depth, planes):
    data = tiff(DEPTHS[depth](RGB), photometric=2, planes=planes, **layout)
    assert gap(data, RGB) <= 1


@pytest.mark.parametrize("depth", DEPTHS)
def test_grey_of_any_depth(depth):
    assert gap(tiff(DEPTHS[depth](GREY), photometric=1), GREY) <= 1


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("depth", ["u1", "u2"])
def test_white_as_zero_is_no_negative(layout, depth):
    assert gap(tiff(DEPTHS[depth](255 - GREY), photometric=0, **layout), GREY) <= 1


@pytest.mark.parametrize("predictor", [2, 3])
@pytest.mark.parametrize("planes", [False, True])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_predictors(predictor, planes, order, tile):
    for depth in ("u1", "u2", "u4") if predictor == 2 else ("f2", "f4", "f8"):
        made = DEPTHS[depth](RGB)
        layout = {"order": order, "tile": tile, "deflate": True, "planes": planes}
        assert gap(tiff(made, photometric=2, predictor=predictor, **layout), RGB) <= 1, depth


@pytest.mark.parametrize("bits", [1, 2, 4, 12])
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("layout", [*LAYOUTS[:4]], ids=str)
def test_samples_that_are_no_whole_bytes(bits, photometric, layout):
    most = (1 << bits) - 1
    levels = GREY.astype(np.uint16) * most // 255
    expected = np.rint(levels * (255 / most))
    stored = levels if photometric else most - levels
    assert gap(tiff(stored, photometric=photometric, bits=bits, **layout), expected) <= 1


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("samples", [GREY, RGB], ids=["grey", "colours"])
def test_fewer_bits_at_the_low_end_of_sixteen(bits, samples):
    levels = samples.astype(np.uint16) * ((1 << bits) - 1) // 255
    levels[0, 0] = (1 << bits) - 1
    data = tiff(levels, photometric=2 if samples.ndim == 3 else 1)
    assert gap(data, np.rint(levels * (255 / ((1 << bits) - 1)))) <= 1


@pytest.mark.parametrize("depth", ["u1", "u2"])
@pytest.mark.parametrize("planes", [False, True])
def test_alpha_and_other_samples(depth, planes):
    make = DEPTHS[depth]
    straight = np.dstack([make(RGB), make(ALPHA)])
    layout = {"photometric": 2, "planes": planes}
    assert gap(tiff(straight, extra=[2], **layout), ON_WHITE) <= 1
    times_alpha = np.rint(RGB * (ALPHA[..., None] / 255)).astype(np.uint8)
    assert gap(tiff(np.dstack([make(times_alpha), make(ALPHA)]), extra=[1], **layout), ON_WHITE) < 2
    assert gap(tiff(straight, extra=[0], **layout), RGB) <= 1
    assert gap(tiff(straight, **layout), ON_WHITE) <= 1
    both = np.dstack([make(RGB), make(GREY), make(GREY)])
    assert gap(tiff(both, extra=[0, 0], **layout), RGB) <= 1


@pytest.mark.parametrize("depth", ["u1", "u2"])
@pytest.mark.parametrize("planes", [False, True])
def test_inks(depth, planes):
    cyan = np.dstack([255 - RGB, np.zeros_like(GREY)])
    assert gap(tiff(DEPTHS[depth](cyan), photometric=5, planes=planes), RGB) <= 1


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("largest", [255, 65535])
def test_palettes(bits, largest):
    colours = np.random.default_rng(0).integers(0, 256, (1 << bits, 3))
    index = (GREY >> (8 - bits)).astype(np.uint8)
    data = tiff(
        index, photometric=3, bits=bits, colours=(colours * (largest // 255)).astype(np.uint16)
    )
    assert gap(data, colours[index]) <= 1


def test_luma_and_lab():
    picture = Image.fromarray(RGB)
    luma = np.asarray(picture.convert("YCbCr"))
    assert gap(tiff(luma, photometric=6, more=[(530, 3, [1, 1])]), RGB) <= 3
    grey = np.dstack([np.full_like(GREY, 255), np.zeros_like(GREY), np.zeros_like(GREY)])
    assert gap(tiff(grey, photometric=8), np.full_like(RGB, 255)) <= 1
    assert gap(tiff(grey + np.array([0, 128, 128], np.uint8), photometric=9), RGB * 0 + 255) <= 1


@pytest.mark.parametrize("packing", ["tiff_lzw", "packbits", "tiff_adobe_deflate", "zstd", "lzma"])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "CMYK", "P"])
def test_what_pillow_writes(packing, mode):
    picture = Image.fromarray(RGB).convert(mode)
    data = encoded(picture, "TIFF", compression=packing)
    assert gap(data, np.asarray(picture.convert("RGB"))) <= 1


@pytest.mark.parametrize("packing", ["group3", "group4", "tiff_ccitt"])
@pytest.mark.parametrize("photometric", [0, 1])
def test_faxes(packing, photometric):
    picture = Image.fromarray(GREY > 128)
    data = encoded(picture, "TIFF", compression=packing, tiffinfo={262: photometric})
    assert gap(data, np.asarray(picture) * 255.0) == 0


@pytest.mark.parametrize("mode", ["RGB", "L", "YCbCr"])
def test_jpeg_within(mode):
    smooth = Image.fromarray(RGB).resize((64, 48)).convert(mode)
    data = encoded(smooth, "TIFF", compression="jpeg")
    assert np.abs(images.decode(data) - np.asarray(smooth.convert("RGB"), float)).mean() < 8


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned(orientation):
    data = tiff(RGB, photometric=2, more=[(274, 3, [orientation])])
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    same = images.decode(encoded(Image.fromarray(RGB), "PNG", exif=exif))
    assert (images.decode(data) == same).all()
    assert (images.probe(data).height, images.probe(data).width) == same.shape[:2]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (tiff(RGB, photometric=6), "YCbCr with fewer pixels of colour"),
        (tiff(GREY.astype(np.uint16), photometric=1, bits=10), "grey of 10 bits"),
        (tiff(GREY, photometric=32803), "a camera's raw data"),
        (tiff(GREY, photometric=1, more=[(50706, 4, [1])]), "a camera's raw data"),
        (tiff(GREY, photometric=4), "no photograph"),
        (tiff(RGB, photometric=2, more=[(332, 3, [2])], extra=[]), None),
        (tiff(np.dstack([RGB, GREY]), photometric=5, more=[(332, 3, [2])]), "other inks"),
        (tiff(GREY, photometric=2), "has 1 samples for RGB"),
        (tiff(GREY, photometric=3), "no colours"),
    ],
)
def test_what_is_not_sure_to_come_out_right_is_refused_by_name(data, reason):
    if reason is None:
        assert gap(data, RGB) == 0
        return
    with pytest.raises(PictureError, match=reason):
        images.decode(data)


def test_other_packings_are_refused_by_name():
    data = tiff(GREY, photometric=1)
    for code, name in ((34887, "LERC"), (50002, "JPEG XL"), (77, "code 77")):
        other = data.replace(
            b"\x03\x01\x03\0\x01\0\0\0\x01\0",
            b"\x03\x01\x03\0\x01\0\0\0" + code.to_bytes(2, "little"),
        )
        with pytest.raises(PictureError, match=f"compressed by {name}; save it"):
            images.decode(other)


@pytest.mark.parametrize("layout", LAYOUTS[:4], ids=str)
def test_a_file_cut_anywhere_is_an_error_or_has_lost_nothing(layout):
    data = tiff(RGB, photometric=2, **layout)
    lost = 0
    for end in range(8, len(data), max(1, len(data) // 40)):
        try:
            pixels = images.decode(data[:end])
        except PictureError as exc:
            assert exc.reason.startswith(("truncated", "damaged"))
            lost += 1
        else:  # the last tiles stick out
            assert (pixels == RGB).all()
    assert lost > 30


def test_sizes_that_ask_for_too_much_memory_are_refused():
    wide = [(256, 4, [10_000]), (257, 4, [10_000])]
    data = tiff(np.zeros((1, 1, 60), np.uint64), photometric=1, deflate=True)
    for tag, kind, (value,) in wide:
        data = data.replace(
            struct.pack("<HHII", tag, kind, 1, 1), struct.pack("<HHII", tag, kind, 1, value)
        )
    with pytest.raises(PictureError, match="bytes decompressed|where all of its pixels"):
        images.decode(data)
    huge = tiff(GREY, photometric=1, tile=(48, 32), deflate=True)
    huge = huge.replace(
        struct.pack("<HHII", 322, 4, 1, 48), struct.pack("<HHII", 322, 4, 1, 1 << 30)
    )
    with pytest.raises(PictureError, match="tiles much larger than the picture"):
        images.decode(huge)

from __future__ import annotations

import io
import logging
import os
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from drawn_pictures import EXIF_ORIENTATION, encoded, jpeg, photograph, put
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps
from PIL.JpegImagePlugin import JpegImageFile

from pawsure.data import images
from pawsure.data.images import Limits
from pawsure.errors import PictureError, ShapeError, UsageError

LOSSLESS = ["PNG", "BMP", "TIFF", "PPM", "TGA", "PCX", "SGI", "QOI", "DIB", "DDS"]
LOSSY = ["JPEG", "WEBP", "AVIF", "JPEG2000", "MPO"]


def flat(mode: str, colour: object, size: tuple[int, int] = (8, 6)) -> Image.Image:
    return Image.new(mode, size, colour)  # type: ignore[arg-type]


def the_colour(data: bytes) -> list[int]:
    """Of a picture that is all one colour."""
    pixels = images.decode(data).reshape(-1, 3)
    assert (pixels == pixels[0]).all()
    return pixels[0].tolist()


def oriented(image: Image.Image, orientation: int) -> Image.Exif:
    exif = image.getexif()
    exif[EXIF_ORIENTATION] = orientation
    return exif


def png_of(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG whose header says anything."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(data))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


class TestFormats:
    @pytest.mark.parametrize("format", LOSSLESS)
    def test_lossless_formats_give_the_pixels_that_were_saved(self, format):
        picture = photograph()
        assert (images.decode(encoded(picture, format)) == np.asarray(picture)).all()

    @pytest.mark.parametrize("format", LOSSY)
    def test_lossy_formats_come_close(self, format):
        picture = photograph()
        difference = np.abs(images.decode(encoded(picture, format)) - np.asarray(picture, float))
        assert difference.mean() < 12

    def test_the_first_frame_of_an_animation(self):
        frames = [flat("RGB", colour) for colour in ("red", "lime", "blue")]
        for format in ("GIF", "PNG", "WEBP", "TIFF"):
            data = encoded(frames[0], format, save_all=True, append_images=frames[1:])
            assert images.decode(data)[0, 0].tolist() == pytest.approx([255, 0, 0], abs=2), format

    def test_a_drawing_that_would_start_another_program_is_refused(self):
        with pytest.raises(PictureError, match="EPS drawing, which has no pixels; save it as PNG"):
            images.read(encoded(photograph(), "EPS"), size_px=8)


class TestColour:
    def test_grey(self):
        assert the_colour(encoded(flat("L", 77), "PNG")) == [77, 77, 77]

    @pytest.mark.parametrize(("bit", "level"), [(0, 0), (1, 255)])
    def test_one_bit(self, bit, level):
        assert the_colour(encoded(flat("1", bit), "PNG")) == [level] * 3

    @pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM", "JPEG2000"])
    @pytest.mark.parametrize(
        ("value", "level"), [(0, 0), (128, 0), (129, 1), (257, 1), (32896, 128), (65535, 255)]
    )
    def test_sixteen_bit_grey_is_scaled_not_clipped(self, format, value, level):
        picture = Image.fromarray(np.full((6, 8), value, np.uint16))
        assert the_colour(encoded(picture, format)) == [level] * 3

    def test_sixteen_bits_the_other_way_round(self):
        little = np.full((6, 8), 0x8000, ">u2")
        picture = Image.frombytes("I;16B", (8, 6), little.tobytes())
        assert the_colour(encoded(picture, "TIFF")) == [128] * 3

    @pytest.mark.parametrize(
        ("values", "levels"),
        [
            ([0, 7, 255], [0, 7, 255]),
            ([0, 257, 65535], [0, 1, 255]),
            ([-100_000, 0, 100_000], [0, 128, 255]),
        ],
    )
    def test_integers_take_the_range_that_they_fit(self, values, levels):
        picture = Image.fromarray(np.array([values], np.int32))
        assert images.decode(encoded(picture, "TIFF"))[0, :, 0].tolist() == levels

    @pytest.mark.parametrize(
        ("values", "levels"),
        [
            ([0.0, 0.5, 1.0], [0, 128, 255]),
            ([0.0, 7.0, 255.0], [0, 7, 255]),
            ([-1.0, 0.0, 1.0], [0, 128, 255]),
            ([float("nan"), 1.0, float("inf")], [0, 255, 0]),
        ],
    )
    def test_floats_take_the_range_that_they_fit(self, values, levels):
        picture = Image.fromarray(np.array([values], np.float32))
        assert images.decode(encoded(picture, "TIFF"))[0, :, 0].tolist() == levels

    def test_alpha_lets_the_background_show(self):
        assert images.BACKGROUND == (255, 255, 255)
        assert the_colour(encoded(flat("RGBA", (200, 0, 0, 0)), "PNG")) == [255, 255, 255]
        assert the_colour(encoded(flat("RGBA", (200, 0, 0, 255)), "PNG")) == [200, 0, 0]
        assert the_colour(encoded(flat("RGBA", (200, 0, 0, 51)), "PNG")) == [244, 204, 204]

    def test_grey_with_alpha(self):
        assert the_colour(encoded(flat("LA", (0, 51)), "PNG")) == [204, 204, 204]

    @pytest.mark.parametrize("mode", ["La", "RGBa", "PA"])
    def test_rarer_kinds_of_alpha(self, mode):
        picture = flat("LA" if mode == "La" else "RGBA", 0).convert(mode)
        assert images.read(picture, size_px=2).min() == 255

    def test_palette(self):
        picture = photograph().quantize(16)
        data = encoded(picture, "PNG")
        assert (images.decode(data) == np.asarray(picture.convert("RGB"))).all()

    def test_see_through_palette_entries(self):
        picture = flat("P", 0)
        picture.putpalette([10, 20, 30, 40, 50, 60])
        assert the_colour(encoded(picture, "PNG")) == [10, 20, 30]
        assert the_colour(encoded(picture, "PNG", transparency=0)) == [255, 255, 255]
        assert the_colour(encoded(picture, "PNG", transparency=b"\x80\xff")) == [132, 137, 142]
        assert the_colour(encoded(picture, "GIF", transparency=0)) == [255, 255, 255]

    @pytest.mark.parametrize(("mode", "colour"), [("RGB", (9, 8, 7)), ("L", 9)])
    def test_a_see_through_colour(self, mode, colour):
        data = encoded(flat(mode, colour), "PNG", transparency=colour)
        assert the_colour(data) == [255, 255, 255]

    @pytest.mark.parametrize("format", ["JPEG", "TIFF"])
    @pytest.mark.parametrize(
        ("ink", "rgb"),
        [
            ((0, 0, 0, 0), (255, 255, 255)),
            ((0, 0, 0, 255), (0, 0, 0)),
            ((255, 0, 0, 0), (0, 255, 255)),
            ((0, 255, 0, 0), (255, 0, 255)),
            ((0, 0, 255, 128), (127, 127, 0)),
        ],
    )
    def test_cmyk(self, format, ink, rgb):
        assert the_colour(encoded(flat("CMYK", ink, (16, 16)), format)) == pytest.approx(rgb, abs=2)

    def test_cmyk_jpegs_are_inverted_as_adobe_writes_them(self):
        data = encoded(flat("CMYK", (0, 0, 0, 0), (16, 16)), "JPEG")
        assert b"Adobe" in data
        assert the_colour(data) == [255, 255, 255]

    @pytest.mark.parametrize("mode", ["YCbCr", "HSV", "LAB"])
    def test_other_colour_spaces(self, mode):
        if mode == "HSV":
            picture = flat("RGB", (0, 200, 0)).convert(mode)
        else:
            picture = flat(mode, (149, 43, 21) if mode == "YCbCr" else (255, 128, 128))
        pixels = images.read(picture, size_px=2)[0, 0].tolist()
        expected = {"YCbCr": [0, 255, 0], "HSV": [0, 200, 0], "LAB": [255, 255, 255]}[mode]
        assert pixels == pytest.approx(expected, abs=2)


class TestOrientation:
    # What the corners of a picture that is stored with this tag become (CIPA DC-008).
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
    def test_all_eight(self, orientation, format):
        upright = photograph(3, width=64, height=32)
        inverse = {6: 8, 8: 6}.get(orientation, orientation)
        turned = upright.copy()
        turned.getexif()[EXIF_ORIENTATION] = inverse
        stored = ImageOps.exif_transpose(turned)
        data = encoded(
            stored,
            format,
            exif=oriented(stored, orientation),
            **({"quality": 95} if format not in ("PNG", "TIFF") else {}),
        )
        pixels = images.decode(data)
        assert pixels.shape == (32, 64, 3)
        assert np.abs(pixels - np.asarray(upright, float)).mean() < 12
        info = images.probe(data)
        assert (info.width, info.height) == (64, 32)
        squashed = images.read(data, size_px=16)
        assert np.abs(squashed - images.resize(pixels, 16).astype(int)).max() <= 1

    def test_a_corner_of_a_phone_picture(self):
        """Held upright: stored lying on its left side, tag 6, turn right to show."""
        stored = flat("RGB", "black", (32, 16))
        stored.paste((255, 255, 255), (0, 8, 8, 16))  # bottom left
        data = encoded(stored, "PNG", exif=oriented(stored, 6))
        pixels = images.decode(data)
        assert pixels.shape == (32, 16, 3)
        assert pixels[:8, :8].min() == 255  # top left
        assert pixels[8:].max() == 0

    @pytest.mark.parametrize("orientation", [0, 9, 65535])
    def test_a_tag_out_of_range_is_ignored(self, orientation):
        picture = photograph()
        data = encoded(picture, "PNG", exif=oriented(picture, orientation))
        assert (images.decode(data) == np.asarray(picture)).all()

    @pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\x7f", b"x"])
    def test_broken_exif_is_ignored(self, exif):
        picture = photograph()
        assert images.decode(encoded(picture, "JPEG", exif=exif)).shape == (48, 64, 3)
        assert images.probe(encoded(picture, "JPEG", exif=exif)).width == 64


class TestResize:
    def test_to_a_square_by_antialiased_bilinear(self):
        picture = photograph(width=500, height=375)
        expected = np.asarray(picture.resize((128, 128), Image.Resampling.BILINEAR))
        assert images.RESAMPLE == Image.Resampling.BILINEAR
        assert (images.resize(np.asarray(picture), 128) == expected).all()
        assert (images.read(picture, size_px=128) == expected).all()

    def test_shrinking_averages_what_it_covers(self):
        stripes = np.zeros((64, 64, 3), np.uint8)
        stripes[:, ::2] = 255
        inside = images.resize(stripes, 8)[:, 1:-1].astype(int)
        assert np.abs(inside - 127).max() <= 2

    def test_the_result_is_new_and_can_be_written_to(self):
        picture = np.zeros((8, 8, 3), np.uint8)
        result = images.resize(picture, 8)
        result[:] = 1
        assert picture.max() == 0
        images.decode(jpeg())[:] = 1

    @pytest.mark.parametrize(
        "picture",
        [
            np.zeros((8, 8, 3), np.float32),
            np.zeros((8, 8), np.uint8),
            np.zeros((8, 8, 4), np.uint8),
            np.zeros((0, 8, 3), np.uint8),
        ],
    )
    def test_other_arrays_are_refused(self, picture):
        with pytest.raises(ShapeError, match="picture"):
            images.resize(picture, 8)

    @pytest.mark.parametrize("size_px", [0, -1])
    def test_a_size_of_nothing_is_refused(self, size_px):
        with pytest.raises(ShapeError, match=f"at least 1 pixel; got {size_px}"):
            images.read(jpeg(), size_px=size_px)


class TestDecodingSmaller:
    """Photographs here are smooth with grain, as real ones; figures are in docs/data.md."""

    @staticmethod
    def plainly(data: bytes, size_px: int) -> np.ndarray:
        full = Image.open(io.BytesIO(data)).convert("RGB")
        return np.asarray(full.resize((size_px, size_px), images.RESAMPLE))

    @pytest.mark.parametrize("size", [(500, 375), (375, 500), (499, 333), (1000, 701)])
    def test_it_hardly_changes_a_pixel(self, size):
        data = jpeg(5, width=size[0], height=size[1])
        difference = np.abs(images.read(data, size_px=128) - self.plainly(data, 128).astype(int))
        assert difference.mean() < 1
        assert difference.max() < 16

    def test_it_happens_where_there_is_room(self, monkeypatch):
        decoded = []
        load = JpegImageFile.load
        monkeypatch.setattr(
            JpegImageFile, "load", lambda self: decoded.append(self.size) or load(self)
        )
        images.read(jpeg(width=500, height=375), size_px=128)
        assert set(decoded) == {(250, 188)}

    @pytest.mark.parametrize("size", [(319, 319), (500, 319), (200, 200), (64, 48)])
    def test_without_room_the_answer_is_that_of_a_full_decode(self, size):
        data = jpeg(6, width=size[0], height=size[1])
        assert (images.read(data, size_px=128) == self.plainly(data, 128)).all()

    def test_a_picture_is_not_shifted_by_it(self):
        """An odd side halves to a whole pixel too many; the box makes up for it."""
        data = jpeg(7, width=331, height=333)
        ours = images.read(data, size_px=64).astype(int)
        plain = self.plainly(data, 64).astype(int)
        shifted = [np.abs(ours[:, 1:] - plain[:, :-1]).mean(), np.abs(ours - plain).mean()]
        assert shifted[1] < shifted[0]
        assert np.abs((ours - plain).mean()) < 0.5

    def test_greys_and_cmyk_too(self):
        for mode in ("L", "CMYK"):
            picture = photograph(width=600, height=600).convert(mode)
            data = encoded(picture, "JPEG", quality=90)
            difference = images.read(data, size_px=64) - self.plainly(data, 64).astype(int)
            assert np.abs(difference).mean() < 1


class TestSources:
    def test_bytes_paths_arrays_and_images_are_all_one(self, tmp_path):
        data = encoded(photograph(), "PNG")
        path = put(tmp_path / "a.png", data)
        expected = images.read(data, size_px=32)
        assert expected.dtype == np.uint8
        assert expected.shape == (32, 32, 3)
        for source in (
            bytearray(data),
            memoryview(data),
            path,
            str(path),
            np.asarray(photograph()),
            photograph(),
            Image.open(path),
        ):
            assert (images.read(source, size_px=32) == expected).all()

    def test_arrays_grey_with_alpha_and_out_of_order(self):
        assert images.read(np.full((4, 5), 9, np.uint8), size_px=2).tolist() == [[[9] * 3] * 2] * 2
        assert images.read(np.zeros((4, 5, 4), np.uint8), size_px=2).min() == 255
        mirrored = np.asarray(photograph())[:, ::-1]
        assert (images.read(mirrored, size_px=8) == images.read(mirrored.copy(), size_px=8)).all()

    def test_an_array_of_floats_is_refused_with_what_is_wanted(self):
        with pytest.raises(ShapeError, match=r"uint8 .*0 to 255; this one is float64 \(4, 5, 3\)"):
            images.read(np.zeros((4, 5, 3)), size_px=2)

    def test_a_pil_image_is_turned_by_its_exif_and_left_as_it_is(self):
        stored = photograph(width=64, height=32)
        stored.getexif()[EXIF_ORIENTATION] = 6
        expected = images.read(ImageOps.exif_transpose(stored), size_px=16).astype(int)
        assert np.abs(images.read(stored, size_px=16) - expected).max() <= 1
        assert stored.size == (64, 32)
        assert stored.getexif()[EXIF_ORIENTATION] == 6

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(PictureError, match=r"nope\.jpg: there is no such file") as caught:
            images.read(tmp_path / "nope.jpg", size_px=8)
        assert caught.value.reason == "there is no such file"

    def test_a_folder(self, tmp_path):
        with pytest.raises(PictureError, match="a folder, not a picture"):
            images.read(tmp_path, size_px=8)

    def test_a_path_that_can_not_be(self):
        with pytest.raises(PictureError, match="can't be opened"):
            images.read("a\0b", size_px=8)

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read all")
    def test_a_file_that_may_not_be_read(self, tmp_path):
        path = put(tmp_path / "a.jpg", jpeg())
        path.chmod(0)
        with pytest.raises(PictureError, match="permission denied"):
            images.read(path, size_px=8)


class TestBadPictures:
    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (b"", "the file is empty"),
            (b"\0" * 4096, "not a picture: it begins with zeros; was its copying interrupted?"),
            (b"just words", "not a picture but text"),
            (b"\x01\x02\x03", "not a picture: it is of no format that can be read"),
            (b"<!DOCTYPE html><html>", "not a picture but a web page"),
            (b"\xef\xbb\xbf\n <HTML>", "not a picture but a web page"),
            (b"<svg xmlns='s'>", "an SVG drawing, which has no pixels; save it as PNG"),
            (b"%PDF-1.7", "not a picture but a PDF document; save its pages as PNG"),
            (b"PK\x03\x04", "not a picture but a zip archive; unpack it"),
            (b"PAR1\x15\x04", "not a picture but a Parquet table"),
            (b"path,label\r\ncat/1.jpg,cat\r\n", "not a picture but text"),
            (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC picture, which can't be read here; save it as"),
            (b"version https://git-lfs.x/spec", "a Git LFS pointer, not the picture itself; run"),
            (b"\x89PNG\r\n\x1a\n", "damaged or cut short: it begins as a PNG but can't be opened"),
        ],
    )
    def test_what_is_no_picture_is_told_for_what_it_is(self, data, reason):
        for action in (images.probe, images.examine, images.decode):
            with pytest.raises(PictureError) as caught:
                action(data)
            assert caught.value.reason.startswith(reason)

    def test_the_name_comes_first_and_the_reason_stays_bare(self):
        with pytest.raises(PictureError, match=r"^cat\.7\.jpg: the file is empty$") as caught:
            images.read(b"", size_px=8, name="cat.7.jpg")
        assert caught.value.reason == "the file is empty"

    def test_truncated_jpeg_says_so_and_what_to_do(self):
        data = jpeg(width=200, height=200)
        with pytest.raises(
            PictureError,
            match="truncated: the file ends before the picture does; copy it again or remove it",
        ):
            images.read(data[: len(data) // 2], size_px=64)

    @pytest.mark.parametrize(
        ("format", "options"),
        [(format, {}) for format in LOSSLESS + LOSSY + ["GIF"]]
        + [
            ("JPEG", {"progressive": True}),
            ("TIFF", {"compression": "tiff_lzw"}),
            ("TIFF", {"compression": "tiff_deflate"}),
            ("WEBP", {"lossless": True}),
        ],
    )
    def test_a_file_cut_anywhere_is_an_error_or_has_lost_nothing(self, format, options):
        data = encoded(photograph(1), format, **options)
        whole = images.read(data, size_px=32)
        ends = {*range(0, len(data), max(1, len(data) // 60)), *range(len(data) - 9, len(data))}
        lost = 0
        for end in ends:
            try:
                pixels = images.read(data[:end], size_px=32)
            except PictureError:
                lost += 1
            else:
                assert (pixels == whole).all(), end
        assert lost > 40

    @pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
    def test_a_look_at_a_file_finds_that_it_is_cut(self, format):
        data = encoded(photograph(1), format)
        assert images.examine(data).format == format
        for share in (0.2, 0.5, 0.9):
            with pytest.raises(PictureError, match=r"truncated|damaged"):
                images.examine(data[: int(len(data) * share)])

    def test_a_look_at_a_file_accepts_what_was_appended(self):
        assert images.examine(jpeg() + b"\0\0some camera's notes").width == 64

    @given(st.binary(max_size=200), st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"]))
    @settings(max_examples=150, deadline=None)
    def test_any_bytes_give_a_picture_or_a_picture_error(self, noise, format):
        data = bytearray(encoded(photograph(2, width=20, height=20), format))
        data[len(data) // 3 : len(data) // 3 + len(noise)] = noise
        for candidate in (noise, bytes(data), bytes(data[:12]) + noise):
            try:
                assert images.read(candidate, size_px=4).shape == (4, 4, 3)
            except PictureError as exc:
                assert exc.reason

    def test_pillow_is_not_told_to_accept_truncated_pictures(self):
        assert ImageFile.LOAD_TRUNCATED_IMAGES is False


class TestLimits:
    def test_a_file_of_too_many_bytes_is_not_read(self, tmp_path):
        path = put(tmp_path / "big.jpg", b"")
        with path.open("wb") as file:
            file.truncate(10**12)  # sparse: takes no room
        with pytest.raises(
            PictureError,
            match=r"big\.jpg: the file has 1,000,000,000,000 bytes, more than the limit of "
            "268,435,456; save it smaller",
        ):
            images.read(path, size_px=8)

    @pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev/zero")
    def test_a_file_that_never_ends_is_not_read_to_its_end(self):
        with pytest.raises(PictureError, match="more than the limit of 1,000"):
            images.read("/dev/zero", size_px=8, limits=Limits(max_bytes=1000))

    def test_bytes_are_held_to_it_too(self):
        with pytest.raises(PictureError, match="more than the limit of 100;"):
            images.probe(jpeg(), limits=Limits(max_bytes=100))

    @pytest.mark.parametrize("action", [images.probe, images.examine, images.decode])
    def test_too_many_pixels_are_refused_from_the_header(self, action):
        with pytest.raises(
            PictureError,
            match="12000 x 12000 pixels are more than the limit of 120,000,000; make it smaller",
        ):
            action(png_of(12000, 12000))

    def test_the_limit_itself_is_allowed(self):
        limits = Limits(max_pixels=64 * 48)
        assert images.read(jpeg(), size_px=8, limits=limits).shape == (8, 8, 3)
        with pytest.raises(PictureError, match="64 x 48 pixels"):
            images.read(jpeg(), size_px=8, limits=Limits(max_pixels=64 * 48 - 1))
        with pytest.raises(PictureError, match="64 x 48 pixels"):
            images.read(photograph(), size_px=8, limits=Limits(max_pixels=64 * 48 - 1))

    def test_what_pillow_itself_refuses_is_told_alike(self):
        with pytest.raises(
            PictureError, match="4,000,000,000 pixels are more than can be read; make it smaller"
        ):
            images.read(png_of(40_000, 100_000), size_px=8)

    def test_an_icon_can_not_hide_a_large_picture(self):
        inside = png_of(11_000, 11_000)
        entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(inside), 22)
        icon = struct.pack("<HHH", 0, 1, 1) + entry + inside
        with pytest.raises(PictureError, match="11000 x 11000 pixels"):
            images.probe(icon)
        assert images.probe(encoded(photograph(width=64, height=64), "ICO")).format == "ICO"

    @pytest.mark.parametrize("kind", ["png", "gif"])
    def test_memory_is_not_taken_before_the_limit_is_checked(self, kind, tmp_path):
        """A bomb of a gigabyte of pixels, in a process that may only have a little more."""
        if kind == "png":
            data = png_of(13_000, 13_000, bytes(1000))
        else:
            gif = bytearray(encoded(flat("P", 0), "GIF"))
            gif[6:10] = struct.pack("<HH", 13_000, 13_000)
            data = bytes(gif)
        path = put(tmp_path / "bomb", data)
        script = (
            "import resource, sys\n"
            "from pawsure.data import images\n"
            "from pawsure.errors import PictureError\n"
            "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
            "try:\n    images.read(sys.argv[1], size_px=8)\n"
            "except PictureError as exc:\n    print(exc)\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
        )
        said = subprocess.run(
            [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        assert "13000 x 13000 pixels are more than the limit" in said[0]
        assert int(said[1]) < 40_000  # KB

    @pytest.mark.parametrize("bad", [{"max_bytes": 0}, {"max_pixels": -1}])
    def test_limits_that_allow_nothing_are_refused(self, bad):
        with pytest.raises(UsageError, match="must be at least 1"):
            Limits(**bad)


class TestManners:
    def test_no_warning_of_pillows_reaches_the_user(self, recwarn, capfd, caplog):
        picture = flat("P", 0)
        picture.putpalette([10, 20, 30] * 4)
        see_through = encoded(picture, "PNG", transparency=b"\x80\xff")
        exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0\x12\x01\x03\0\xff\xff\0\0\xff\xff\xff\xff"
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            images.read(see_through, size_px=8)
            images.read(encoded(photograph(), "JPEG", exif=exif), size_px=8)
            for size in (13_000, 10_000):  # over and under where Pillow begins to warn
                with pytest.raises(PictureError):
                    images.read(png_of(size, size), size_px=8)
        assert not [str(warning.message) for warning in caught]
        assert capfd.readouterr().err == ""
        assert not caplog.records or max(r.levelno for r in caplog.records) < logging.WARNING

    def test_warnings_that_are_errors_do_not_fail_a_picture(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(PictureError, match="truncated"):
                images.read(png_of(10_000, 10_000), size_px=8)

    def test_the_filters_are_as_they_were(self):
        before = list(warnings.filters)
        images.read(jpeg(), size_px=8)
        with pytest.raises(PictureError):
            images.read(b"", size_px=8)
        assert warnings.filters == before

    def test_threads_agree_with_one(self):
        files = [
            encoded(photograph(seed, width=90, height=70), format)
            for seed, format in enumerate(["JPEG", "PNG", "GIF", "WEBP", "TIFF", "QOI"] * 8)
        ]
        alone = [images.read(data, size_px=32) for data in files]
        before = list(warnings.filters)
        with ThreadPoolExecutor(8) as threads:
            together = list(threads.map(lambda data: images.read(data, size_px=32), files))
        assert all((one == other).all() for one, other in zip(alone, together, strict=True))
        assert warnings.filters == before

    def test_the_first_pictures_of_a_process_may_be_read_by_many_threads(self, tmp_path):
        """Pillow registers its rarer formats when it first meets one; that must not race."""
        path = put(tmp_path / "a.qoi", encoded(photograph(), "QOI"))
        script = (
            "import sys, threading\n"
            "from pawsure.data import images\n"
            "data = open(sys.argv[1], 'rb').read()\n"
            "start = threading.Barrier(8)\n"
            "def one():\n    start.wait()\n    images.read(data, size_px=8)\n    print('read')\n"
            "threads = [threading.Thread(target=one) for _ in range(8)]\n"
            "[t.start() for t in threads]; [t.join() for t in threads]\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
        )
        assert done.stdout.count("read") == 8


@pytest.mark.real
class TestPhotographs:
    """Against plain decoding, on photographs: the figures that docs/data.md states."""

    def test_decoding_smaller_is_within_the_stated_figures(self):
        folder = Path(os.environ["PAWSURE_DATA"]) / "full-size"
        differences = [
            np.abs(
                images.read(data, size_px=128) - TestDecodingSmaller.plainly(data, 128).astype(int)
            )
            for data in (path.read_bytes() for path in sorted(folder.rglob("*.jpg")))
        ]
        changed = [difference for difference in differences if difference.any()]
        assert len(changed) == 191
        assert np.mean([difference.mean() for difference in changed]) < 0.6
        assert max(difference.max() for difference in changed) <= 27

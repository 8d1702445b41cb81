"""What reading a header costs is bounded, and Pillow is asked for one format only."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress

import hostile_bodies
import pytest
from drawn_pictures import encoded, photograph
from PIL import Image

from pawsure.data import images
from pawsure.data.formats import READABLE_SUFFIXES, format_of
from pawsure.data.headers import MAX_PIECES, count_pieces, jpeg_header
from pawsure.data.images import Limits
from pawsure.errors import PictureError

SAVED = {
    "JPEG": "JPEG", "PNG": "PNG", "GIF": "GIF", "BMP": "BMP", "TIFF": "TIFF", "WEBP": "WEBP",
    "AVIF": "AVIF", "PPM": "PPM", "PCX": "PCX", "ICO": "ICO", "ICNS": "ICNS", "QOI": "QOI",
    "DDS": "DDS", "SGI": "SGI", "TGA": "TGA", "DIB": "DIB", "JPEG2000": "JPEG2000", "MPO": "JPEG",
}  # fmt: skip


@pytest.mark.parametrize("format", SAVED)
def test_formats_are_known_by_their_first_bytes(format):
    picture = photograph(width=64, height=64)
    files = []
    for mode in ("RGB", "L", "P"):
        with suppress(OSError, KeyError, ValueError):  # the format has no such mode
            files.append(encoded(picture.convert(mode), format))
    assert files
    for data in files:
        assert format_of(data) == format_of(data[:64]) == SAVED[format]


@pytest.mark.parametrize("format", ["EPS", "XBM", "IM", "MSP", "BLP", "SPIDER", "PDF"])
def test_what_is_no_photograph_is_not_even_tried(format, monkeypatch):
    mode = {"XBM": "1", "MSP": "1", "BLP": "P", "SPIDER": "F"}.get(format, "RGB")
    data = encoded(photograph().convert(mode), format)
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("Pillow was asked"))
    with pytest.raises(PictureError):
        images.read(data, size_px=8)


def test_pillows_rarer_readers_are_not_loaded():
    program = (
        "import io, sys\n"
        "from PIL import Image\n"
        "from pawsure.data import images\n"
        "file = io.BytesIO(); Image.new('RGB', (9, 9)).save(file, 'PNG')\n"
        "images.read(file.getvalue(), size_px=8)\n"
        "for bad in (b'%!PS', b'SIMPLE  =', b'/* XPM */', bytes(99), b'words'):\n"
        "    try: images.read(bad, size_px=8)\n"
        "    except images.PictureError: pass\n"
        "print(*[name for name in ('Eps', 'Fits', 'Xpm', 'Wmf') "
        "if f'PIL.{name}ImagePlugin' in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("name", hostile_bodies.ALL)
def test_no_file_takes_long_before_it_is_known_to(name):
    """What decides whether a thread may take a picture on has to be quick itself."""
    data = hostile_bodies.ALL[name](1_000_000)
    images.read_if_quick(encoded(photograph(), "PNG"), size_px=8, seconds=1)
    started = time.process_time()
    with suppress(PictureError):
        images.read_if_quick(data, size_px=32, seconds=0.05)
    assert time.process_time() - started < 0.2


@pytest.mark.parametrize(
    "name",
    ["jpeg_of_empty_segments", "png_of_chunks", "gif_of_blocks", "icns_of_blocks"]
    + ["jpeg_2000_of_boxes", "psd_of_resources", "icon_of_chunks", "jpeg_of_junk"],
)
def test_headers_in_too_many_pieces_are_refused_by_name(name):
    with pytest.raises(PictureError, match=r"header is cut into more than 100,000 pieces; save it"):
        images.probe(hostile_bodies.ALL[name](2_000_000))


def test_what_takes_half_a_minute_is_refused_from_its_header():
    for name in ("qoi_of_noise", "jpeg_of_passes"):
        with pytest.raises(PictureError, match="would take about .* seconds; save it as PNG"):
            images.probe(hostile_bodies.ALL[name](20_000_000), limits=Limits(max_bytes=10**9))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "PSD", "ICO"])
def test_counting_ends_where_the_file_does(format):
    data = (
        hostile_bodies.psd_of_resources(1200) if format == "PSD" else encoded(photograph(), format)
    )
    for end in range(len(data)):
        count = count_pieces(data[:end], format) if format != "JPEG" else jpeg_header(data[:end])[0]
        assert count < MAX_PIECES


def test_fewer_suffixes_than_pillow_knows():
    assert not READABLE_SUFFIXES & {".eps", ".fits", ".xpm", ".wmf", ".xbm", ".im"}

from __future__ import annotations

import ctypes
import io

import numpy as np
import pytest
from PIL import Image, _imaging

from pawsure.data import images
from pawsure.errors import PictureError


def damaged(compression: str, mode: str = "RGB") -> list[bytes]:
    """A TIFF cut short, with bytes changed, and with a tag of its directory changed."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (64, 48, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, "TIFF", compression=compression)
    whole = file.getvalue()
    results = [whole[: len(whole) // 2]]
    for _ in range(20):
        changed = bytearray(whole)
        for place in rng.integers(8, len(whole), 20):
            changed[place] = rng.integers(0, 256)
        results.append(bytes(changed))
    return results


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(_imaging.__file__), "TIFFSetErrorHandler"),
    reason="Pillow's libtiff does not show its functions here",
)
@pytest.mark.parametrize(
    ("compression", "mode"),
    [("tiff_lzw", "RGB"), ("tiff_deflate", "RGB"), ("jpeg", "RGB"), ("group4", "1")],
)
def test_damaged_tiff_writes_nothing_to_the_screen(compression, mode, capfd):
    failed = 0
    for data in damaged(compression, mode):
        try:
            images.read(data, size_px=16)
        except PictureError:
            failed += 1
    assert failed
    assert capfd.readouterr() == ("", "")

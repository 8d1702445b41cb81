"""Pictures of every kind that a browser and Pillow both read, drawn from a seed."""

from __future__ import annotations

import numpy as np
from drawn_pictures import EXIF_ORIENTATION, encoded
from PIL import Image

from pawsure.sample import draw_picture


def drawn(seed: int, width: int = 480, height: int = 360) -> Image.Image:
    """A cat, a dog or something else, in turn."""
    kind = ("cat", "dog", "neither")[seed % 3]
    return draw_picture(kind, np.random.default_rng(seed), (width, height))


def see_through(picture: Image.Image) -> Image.Image:
    """RGBA, from nothing at the left to all of it at the right."""
    alpha = np.linspace(0, 255, picture.width).astype(np.uint8)
    picture = picture.convert("RGBA")
    picture.putalpha(Image.fromarray(np.tile(alpha, (picture.height, 1))))
    return picture


def lossless() -> dict[str, bytes]:
    """File name to bytes; a decoder has no choice in them, but for alpha and 16 bits."""
    small = drawn(3, 97, 61)
    levels = np.linspace(0, 65535, 90 * 120).astype(np.uint16).reshape(90, 120)
    files = {f"drawn-{seed}.png": encoded(drawn(seed), "PNG") for seed in range(12)}
    files |= {
        "tall.png": encoded(drawn(12, 230, 640), "PNG"),
        "large.png": encoded(drawn(13, 1600, 1203), "PNG"),
        "grey.png": encoded(drawn(14).convert("L"), "PNG"),
        "palette.png": encoded(drawn(15).quantize(64), "PNG"),
        "one-bit.png": encoded(drawn(16).convert("1"), "PNG"),
        "sixteen-bits.png": encoded(Image.fromarray(levels), "PNG"),
        "see-through.png": encoded(see_through(drawn(17)), "PNG"),
        "see-through-grey.png": encoded(see_through(drawn(18)).convert("LA"), "PNG"),
        "one-pixel.png": encoded(Image.new("RGB", (1, 1), (9, 120, 250)), "PNG"),
        "thread.png": encoded(drawn(19, 300, 200).resize((300, 1)), "PNG"),
        "small.png": encoded(small, "PNG"),
        "small.bmp": encoded(small, "BMP"),
        "small.gif": encoded(small.quantize(32), "GIF"),
        "small.webp": encoded(small, "WEBP", lossless=True),
    }
    return files


def jpegs() -> dict[str, bytes]:
    """File name to bytes; those of 480 pixels and more are decoded at a part of their size."""
    files = {f"drawn-{seed}.jpg": encoded(drawn(seed), quality=90) for seed in range(12)}
    for orientation in range(2, 9):
        exif = Image.Exif()
        exif[EXIF_ORIENTATION] = orientation
        files[f"turned-{orientation}.jpg"] = encoded(
            drawn(orientation, 517, 389), quality=92, exif=exif
        )
    turned = Image.Exif()
    turned[EXIF_ORIENTATION] = 6
    files |= {
        "large.jpg": encoded(drawn(20, 2400, 1801), quality=85),
        "large-turned.jpg": encoded(drawn(21, 1999, 1501), quality=85, exif=turned),
        "full-colour.jpg": encoded(drawn(22), quality=95, subsampling=0),
        "progressive.jpg": encoded(drawn(23), quality=85, progressive=True),
        "grey.jpg": encoded(drawn(24).convert("L"), quality=90),
        "inks.jpg": encoded(drawn(25).convert("CMYK"), quality=90),
        "small.jpg": encoded(drawn(26, 97, 61), quality=90),
    }
    return files

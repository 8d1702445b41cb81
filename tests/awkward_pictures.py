"""Files of the kinds that are most often read wrongly, by name."""

from __future__ import annotations

import numpy as np
from drawn_pictures import EXIF_ORIENTATION, encoded, photograph
from PIL import Image


def awkward() -> dict[str, bytes]:
    """Kinds that everything that reads pictures has to read alike."""
    photo = photograph(1, width=300, height=220)
    grey = np.asarray(photo.convert("L"), np.uint16)
    mask = Image.new("L", photo.size, 0)
    mask.paste(255, (60, 40, 240, 180))
    mask.paste(100, (0, 0, 60, 220))
    cut = photo.copy()
    cut.putalpha(mask)
    palette = photo.quantize(31)
    found = {
        "plain.jpg": encoded(photo, "JPEG", quality=92),
        "large.jpg": encoded(photograph(2, width=900, height=701), "JPEG", quality=92),
        "grey.jpg": encoded(photo.convert("L"), "JPEG"),
        "cmyk.jpg": encoded(photo.convert("CMYK"), "JPEG"),
        "progressive.jpg": encoded(photo, "JPEG", progressive=True),
        "plain.png": encoded(photo, "PNG"),
        "alpha.png": encoded(cut, "PNG"),
        "alpha.webp": encoded(cut, "WEBP", lossless=True),
        "grey-alpha.png": encoded(cut.convert("LA"), "PNG"),
        "grey16.png": encoded(Image.fromarray(grey * 257), "PNG"),
        "grey12.png": encoded(Image.fromarray(grey * 16), "PNG"),
        "palette.png": encoded(palette, "PNG"),
        "palette-alpha.png": encoded(palette, "PNG", transparency=bytes(range(0, 248, 8))),
        "palette.gif": encoded(palette, "GIF", transparency=3),
        "colour-key.png": encoded(photo, "PNG", transparency=photo.getpixel((5, 5))),
        "one-bit.png": encoded(photo.convert("1"), "PNG"),
        "profile.png": encoded(photo, "PNG", icc_profile=b"not applied"),
        "tiny.png": encoded(photograph(3, width=3, height=2), "PNG"),
        "one-pixel.png": encoded(photograph(3, width=1, height=1), "PNG"),
        "wide.jpg": encoded(photograph(4, width=1200, height=9), "JPEG"),
        "moving.gif": encoded(
            photo, "GIF", save_all=True, append_images=[photograph(5, width=300, height=220)]
        ),
    }
    for turn in range(2, 9):
        exif = Image.Exif()
        exif[EXIF_ORIENTATION] = turn
        found[f"turned-{turn}.jpg"] = encoded(photo, "JPEG", quality=92, exif=exif)
    return found

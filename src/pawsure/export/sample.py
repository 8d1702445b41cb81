"""Read a picture without pawsure: the function that the README of an export contains."""

# Without types, for the README.
# mypy: ignore-errors

from __future__ import annotations

import inspect

import numpy as np
from PIL import Image


def read_picture(path, size):
    """uint8 RGB (size, size, 3) as pawsure reads it; raises ValueError if it might differ."""
    kinds = ["JPEG", "PNG", "WEBP", "GIF", "BMP"]
    turns = dict(enumerate((0, 3, 1, 5, 4, 6, 2), 2))  # EXIF orientation to Image.Transpose
    with Image.open(path, formats=kinds) as image:
        side = -(-size * 5 // 4)
        smaller = image.draft(None, (side, side))  # what libjpeg need not decode in full
        deep = ";16" in str(image.tile)
        image.load()
        turn = turns.get(image.getexif().get(0x0112))
        see_through = "transparency" in image.info
        pixels = np.asarray(image)
        if see_through and (deep or image.mode in ("1", "L")):
            raise ValueError(f"{path}: a see-through level; save it with alpha, 8 bits a channel")
        if deep and pixels.ndim == 3 and pixels[:, :, :3].max() < 64:
            raise ValueError(f"{path}: colours of fewer than 16 bits in 16; save it with 8")
        if deep and pixels.ndim == 2:  # grey, of which cameras may use only 10 to 14 bits
            usual = (8, 10, 12, 14, 16) if pixels.min() < pixels.max() else (16,)
            most = next(2**bits - 1 for bits in usual if pixels.max() < 2**bits)
            pixels = (pixels.astype(np.uint32) * 255 + most // 2) // most
            image = Image.fromarray(pixels.astype(np.uint8))
        if image.has_transparency_data:  # laid on white
            seen = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
        box = smaller and smaller[1]
        square = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR, box)
        return np.asarray(square if turn is None else square.transpose(turn))


def reading_code() -> str:
    """The text of `read_picture`."""
    return inspect.getsource(read_picture)

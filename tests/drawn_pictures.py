"""Pictures for tests, made from a seed, and files of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

EXIF_ORIENTATION = 0x0112


def photograph(seed: int = 0, *, width: int = 64, height: int = 48) -> Image.Image:
    """Smooth colours with some grain, no two alike."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    grain = rng.integers(-12, 13, smooth.shape)
    return Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))


def encoded(image: Image.Image, format: str = "JPEG", **options: Any) -> bytes:
    """The bytes of a file of it."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def jpeg(seed: int = 0, *, width: int = 64, height: int = 48) -> bytes:
    """The bytes of a JPEG unlike that of any other seed."""
    return encoded(photograph(seed, width=width, height=height), "JPEG", quality=90)


def put(path: Path, data: bytes | str) -> Path:
    """Write a file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def fill(root: Path, names: list[str], *, first_seed: int = 0) -> Path:
    """A JPEG of its own for every name."""
    for seed, name in enumerate(names, first_seed):
        put(root / name, jpeg(seed))
    return root

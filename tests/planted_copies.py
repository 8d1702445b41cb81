"""Pictures with things in places, changed copies of them, and folders of both."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from drawn_pictures import encoded, photograph, put
from PIL import Image, ImageEnhance, ImageOps


def detailed(seed: int, *, width: int = 160, height: int = 120) -> Image.Image:
    """Shapes at random places, as copies are known by where things are."""
    rng = np.random.default_rng(seed)
    canvas = np.asarray(photograph(seed, width=width, height=height)).astype(np.float32)
    rows, columns = np.mgrid[:height, :width]
    for _ in range(25):
        y, x, radius = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(4, 25)
        inside = (rows - y) ** 2 + ((columns - x) * rng.uniform(0.4, 1.6)) ** 2 < radius**2
        canvas[inside] = canvas[inside] * 0.3 + rng.uniform(0, 255, 3) * 0.7
    return Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))


def cropped(image: Image.Image) -> Image.Image:
    """Nine tenths of each side, from a corner that is none of the searched ones."""
    width, height = image.size
    left, top = round(width * 0.03), round(height * 0.07)
    return image.crop((left, top, left + round(width * 0.9), top + round(height * 0.9)))


CHANGES = {
    "half": lambda image: encoded(image.resize((image.width // 2, image.height // 2)), quality=90),
    "quality": lambda image: encoded(image, quality=40),
    "crop": lambda image: encoded(cropped(image), quality=90),
    "mirror": lambda image: encoded(ImageOps.mirror(image), quality=90),
    "lighter": lambda image: encoded(ImageEnhance.Brightness(image).enhance(1.2), quality=90),
    "darker": lambda image: encoded(ImageEnhance.Brightness(image).enhance(0.8), quality=90),
    "grey": lambda image: encoded(image.convert("L"), quality=90),
    "mirrored crop": lambda image: encoded(cropped(ImageOps.mirror(image)), quality=90),
}


def detailed_jpeg(seed: int) -> bytes:
    return encoded(detailed(seed), quality=92)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Tests never see the cache of the person who runs them."""
    monkeypatch.setenv("PAWSURE_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def planted(tmp_path_factory) -> Path:
    """Two labels of 40 pictures each, and a copy of another picture for each change."""
    root = tmp_path_factory.mktemp("planted")
    for seed in range(80):
        label = "cat" if seed < 40 else "dog"
        put(root / label / f"{seed}.jpg", detailed_jpeg(seed))
    for seed, change in enumerate(CHANGES.values()):
        put(root / "cat" / f"{seed}-copy.jpg", change(opened(detailed_jpeg(seed))))
    return root


@pytest.fixture
def leaky(tmp_path):
    """Given splits: of ten validation pictures, two are changed copies of training ones."""
    for seed in range(30):
        label = "cat" if seed % 2 else "dog"
        put(tmp_path / "train" / label / f"{seed}.jpg", detailed_jpeg(seed))
    for seed in range(30, 38):
        label = "cat" if seed % 2 else "dog"
        put(tmp_path / "val" / label / f"{seed}.jpg", detailed_jpeg(seed))
    put(tmp_path / "val" / "dog" / "small.jpg", CHANGES["half"](opened(detailed_jpeg(0))))
    put(tmp_path / "val" / "cat" / "turned.jpg", CHANGES["mirror"](opened(detailed_jpeg(1))))
    return tmp_path

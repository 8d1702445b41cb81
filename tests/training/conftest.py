from __future__ import annotations

import numpy as np
import pytest
from PIL import Image


def stripes(rng: np.random.Generator, upright: bool, side: int = 48) -> Image.Image:
    """Noisy stripes, upright and bluish or level and reddish, of random width and phase.

    The colour is there because networks whose weights were drawn see little else.
    """
    phase, width = rng.uniform(0, 6), rng.uniform(0.3, 0.9)
    wave = np.sin(np.arange(side) * width + phase)
    grey = np.tile(wave, (side, 1)) if upright else np.tile(wave[:, np.newaxis], (1, side))
    tint = np.array([-70.0, 0.0, 70.0]) * (1 if upright else -1)
    pixels = 128 + tint + grey[..., np.newaxis] * 25 + rng.normal(0, 8, (side, side, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def draw_stripes():
    """What `striped` is made of."""
    return stripes


@pytest.fixture(scope="session")
def striped(tmp_path_factory):
    """A folder of two classes that a small network tells apart, 60 pictures each."""
    folder = tmp_path_factory.mktemp("striped")
    rng = np.random.default_rng(0)
    for name, upright in (("level", False), ("upright", True)):
        (folder / name).mkdir()
        for number in range(60):
            stripes(rng, upright).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="session")
def lively_weights(tmp_path_factory):
    """Drawn weights with statistics that fit them.

    As they are drawn, a signal fades to nothing on its way through two dozen layers.
    """
    keras = pytest.importorskip("keras")
    from pawsure.network.build import build_backbone
    from pawsure.network.weight_files import save_weights_float16

    backbone = build_backbone("mobilenet_050", size_px=32, weights="none")
    rng = np.random.default_rng(1)
    pictures = np.stack([np.asarray(stripes(rng, number % 2 == 0, 32)) for number in range(32)])
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    backbone(pictures.astype(np.float32) / 127.5 - 1, training=True)
    path = tmp_path_factory.mktemp("weights") / "lively.npz"
    save_weights_float16(backbone, path, {"drawn": True})
    return str(path)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Tests never see the cache of the person who runs them."""
    monkeypatch.setenv("PAWSURE_CACHE", str(tmp_path_factory.mktemp("cache")))

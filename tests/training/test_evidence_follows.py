"""Evidence of a network that was trained, and of one that was not.

Source: Adebayo et al. 2018, "Sanity Checks for Saliency Maps", arXiv:1810.03292: a map that
looks the same whether or not the network has learned anything explains nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pawsure.model.evidence import relative_evidence
from pawsure.model.predictor import Predictor
from pawsure.sample import draw_picture

pytestmark = pytest.mark.slow

CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(cache, monkeypatch):
    monkeypatch.setenv("PAWSURE_CACHE", str(cache))


@pytest.fixture(scope="module")
def corners(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cats and dogs, each in one quarter of its picture."""
    folder = tmp_path_factory.mktemp("corners")
    for kind in ("cat", "dog"):
        (folder / kind).mkdir()
        for seed in range(100):
            picture = in_a_corner(kind, CORNERS[seed % 4], seed)
            Image.fromarray(picture).save(folder / kind / f"{seed}.png")
    return folder


def trained(data: Path, out: Path, weights: str) -> Predictor:
    pytest.importorskip("keras")
    import pawsure

    run = pawsure.train(
        data, recipe="fast", out=out, overrides={"weights": weights, "image_size": 128}
    )
    return Predictor(run.model_file)


def in_a_corner(kind: str, corner: tuple[int, int], seed: int) -> np.ndarray:
    """A cat or a dog in a quarter of a picture that is else of one colour, with some grain."""
    rng = np.random.default_rng([seed, *corner])
    pixels = rng.integers(110, 140, (128, 128, 3), dtype=np.uint8)
    animal = draw_picture(kind, np.random.default_rng([seed, len(kind), ord(kind[0])]), (64, 64))
    picture = Image.fromarray(pixels)
    picture.paste(animal, (64 * corner[1], 64 * corner[0]))
    return np.asarray(picture)


def share_that_follows(model: Predictor, num_animals: int = 10) -> float:
    """Of animals that go from corner to corner, how often the evidence goes with them.

    It does where the quarter with the animal has more of it, for what the model says, than
    each of the three others.
    """
    followed = []
    for kind in ("cat", "dog"):
        for seed in range(1000, 1000 + num_animals):
            pictures = np.stack([in_a_corner(kind, corner, seed) for corner in CORNERS])
            outputs = model.predict_batch(pictures)
            for row in range(len(CORNERS)):
                shown = relative_evidence(outputs.evidence[row], outputs.probability[row])
                half = shown.shape[0] // 2
                quarters = shown.reshape(2, half, 2, half).mean(axis=(1, 3)).ravel()
                followed.append(quarters.argmax() == row)
    return float(np.mean(followed))


def test_the_map_of_a_trained_network_follows_the_animal_and_a_random_one_does_not(
    corners, tmp_path
):
    learned = share_that_follows(trained(corners, tmp_path / "pets", "pets"))
    random = share_that_follows(trained(corners, tmp_path / "none", "none"))
    print(f"follows: trained {learned:.2f}, random {random:.2f}")
    assert learned > 0.8
    assert random < 0.5  # by chance: 0.25

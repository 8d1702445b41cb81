"""The drawn sample: the same every time, varied, and told apart by shape alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from pawsure.data.drawn import draw_sample, save_turned
from pawsure.data.images import read
from pawsure.errors import SourceError
from pawsure.sample import KINDS, SAMPLE_VERSION, draw_neither, draw_picture


class Told:
    """A progress that keeps what it was told."""

    def __init__(self) -> None:
        self.started: list[int | None] = []
        self.steps = 0
        self.finished = 0

    def start(self, description: str, total: int | None, unit: str = "pictures") -> None:
        self.started.append(total)

    def advance(self, steps: int = 1) -> None:
        self.steps += steps

    def finish(self) -> None:
        self.finished += 1

    def say(self, message: str) -> None:
        pass


def files_of(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def draw(kind: str, seed: int, size: tuple[int, int] = (96, 96)) -> np.ndarray:
    return np.asarray(draw_picture(kind, np.random.default_rng([seed, KINDS.index(kind)]), size))


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "sample"
    draw_sample(folder, count=80)
    return folder


class TestSet:
    def test_the_same_seed_gives_the_same_bytes(self, tmp_path):
        for name in ("a", "b"):
            draw_sample(tmp_path / name, seed=3, count=4)
        assert files_of(tmp_path / "a") == files_of(tmp_path / "b")

    def test_another_seed_gives_other_pictures(self, tmp_path):
        for seed in (3, 4):
            draw_sample(tmp_path / str(seed), seed=seed, count=4)
        assert not set(files_of(tmp_path / "3").values()) & set(files_of(tmp_path / "4").values())

    def test_a_greater_count_adds_and_changes_nothing(self, sample, tmp_path):
        draw_sample(tmp_path / "few", count=5)
        few = files_of(tmp_path / "few")
        assert len(few) == 5
        assert few.items() <= files_of(sample).items()

    def test_half_are_cats_and_an_odd_one_is_a_cat(self, sample, tmp_path):
        assert len(list((sample / "cat").iterdir())) == 40
        assert len(list((sample / "dog").iterdir())) == 40
        draw_sample(tmp_path / "odd", count=3)
        assert len(list((tmp_path / "odd" / "cat").iterdir())) == 2

    def test_it_holds_pictures_of_many_sizes_some_png_some_turned(self, sample):
        opened = [Image.open(path) for path in sample.rglob("*.*")]
        sizes = {ImageOps.exif_transpose(picture).size for picture in opened}
        assert len(sizes) > 60
        assert all(180 <= side <= 320 for size in sizes for side in size)
        assert any(width > height for width, height in sizes)
        assert any(width < height for width, height in sizes)
        assert {picture.format for picture in opened} == {"JPEG", "PNG"}
        assert any(picture.getexif().get(0x0112, 1) != 1 for picture in opened)

    def test_every_picture_can_be_read_and_shows_something(self, sample):
        for path in sample.rglob("*.*"):
            assert read(path, size_px=64).std() > 5, path

    @pytest.mark.parametrize("seed", range(6))
    def test_a_turned_picture_is_upright_once_read(self, tmp_path, seed):
        picture = draw_picture("cat", np.random.default_rng(1), (200, 120))
        save_turned(picture, tmp_path / "a.jpg", 95, np.random.default_rng(seed))
        upright = ImageOps.exif_transpose(Image.open(tmp_path / "a.jpg"))
        assert upright.size == picture.size
        difference = np.abs(np.asarray(upright, dtype=float) - np.asarray(picture, dtype=float))
        assert difference.mean() < 5  # what JPEG loses; a wrong turn has 20 and more

    def test_progress_is_told_of_every_picture(self, tmp_path):
        told = Told()
        draw_sample(tmp_path / "a", count=3, progress=told)
        assert (told.started, told.steps, told.finished) == ([3], 3, 1)

    def test_a_folder_that_holds_something_is_left_alone(self, tmp_path):
        (tmp_path / "mine.txt").write_text("precious")
        with pytest.raises(SourceError, match="holds something already"):
            draw_sample(tmp_path, count=2)
        assert files_of(tmp_path) == {"mine.txt": b"precious"}

    def test_an_empty_folder_is_filled(self, tmp_path):
        (tmp_path / "empty").mkdir()
        draw_sample(tmp_path / "empty", count=2)
        assert len(files_of(tmp_path / "empty")) == 2

    def test_a_drawing_that_is_broken_off_leaves_nothing(self, tmp_path):
        class Stop(Told):
            def advance(self, steps: int = 1) -> None:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            draw_sample(tmp_path / "a", count=3, progress=Stop())
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("wrong", [{"seed": -1}, {"count": -1}])
    def test_negative_numbers_are_refused(self, tmp_path, wrong):
        with pytest.raises(ValueError, match="0 or greater"):
            draw_sample(tmp_path / "a", **wrong)


class TestPicture:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("size", [(32, 32), (320, 180), (180, 320), (500, 40)])
    def test_it_has_the_size_that_was_asked_for(self, kind, size):
        for seed in range(3):
            picture = draw_picture(kind, np.random.default_rng(seed), size)
            assert (picture.mode, picture.size) == ("RGB", size)

    @pytest.mark.parametrize("kind", KINDS)
    def test_no_two_are_alike(self, kind):
        assert len({draw(kind, seed).tobytes() for seed in range(12)}) == 12

    def test_an_unknown_kind_names_the_known_ones(self):
        with pytest.raises(ValueError, match="'fox'; the kinds are cat, dog, neither"):
            draw_picture("fox", np.random.default_rng(0), (96, 96))

    def test_too_small_a_picture_is_refused(self):
        with pytest.raises(ValueError, match="at least 32 pixels wide and high, not 96x31"):
            draw_picture("cat", np.random.default_rng(0), (96, 31))

    @pytest.mark.parametrize(("size_px", "expected"), [(80, (80, 80)), ((90, 70), (90, 70))])
    def test_neither_takes_one_number_or_two(self, size_px, expected):
        assert draw_neither(np.random.default_rng(0), size_px).size == expected

    def test_drawings_have_not_changed_without_a_new_version(self):
        """When this fails on purpose, raise SAMPLE_VERSION and put the new numbers below."""
        means = {kind: [quarters(draw(kind, seed)) for seed in (1, 2)] for kind in KINDS}
        assert SAMPLE_VERSION == EXPECTED_VERSION
        for kind, expected in EXPECTED_QUARTERS.items():
            # Libraries may round another way; another drawing is off by tens.
            np.testing.assert_allclose(means[kind], expected, atol=2, err_msg=kind)


def quarters(picture: np.ndarray) -> list[int]:
    """Mean brightness of the four quarters, rounded."""
    halves = picture.reshape(2, 48, 2, 48, 3).mean(axis=(1, 3, 4))
    return [round(mean) for mean in halves.ravel().tolist()]


EXPECTED_VERSION = 1
EXPECTED_QUARTERS = {
    "cat": [[183, 181, 167, 172], [117, 94, 130, 77]],
    "dog": [[127, 135, 105, 101], [129, 138, 119, 126]],
    "neither": [[217, 229, 172, 168], [210, 213, 165, 163]],
}


@pytest.fixture(scope="module")
def thumbnails() -> tuple[np.ndarray, np.ndarray]:
    """Pictures, uint8 (N, 32, 32, 3), and whether each is a dog, bool (N,)."""
    kinds = ["cat", "dog"] * 150
    pictures = [draw(kind, seed=1000 + i // 2) for i, kind in enumerate(kinds)]
    small = [Image.fromarray(p).resize((32, 32), Image.Resampling.BOX) for p in pictures]
    return np.stack([np.asarray(p) for p in small]), np.array([k == "dog" for k in kinds])


class TestShortcuts:
    """Colours and places must not give the class away; only shape may."""

    def test_raw_pixels_tell_little(self, thumbnails):
        pictures, label = thumbnails
        assert linear_accuracy(pictures.reshape(len(pictures), -1) / 255, label) < 0.7

    def test_colours_tell_little(self, thumbnails):
        pictures, label = thumbnails
        bins = (pictures // 43).reshape(len(pictures), -1, 3) @ np.array([36, 6, 1])
        histogram = np.stack([np.bincount(row, minlength=216) for row in bins])
        assert linear_accuracy(np.sqrt(histogram), label) < 0.7


def linear_accuracy(features: np.ndarray, label: np.ndarray) -> float:
    """Of a logistic regression, five-fold; 0.5 is chance, its deviation here about 0.03."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    from sklearn.model_selection import cross_val_score

    features = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
    classifier = linear_model.LogisticRegression(C=1e-3, max_iter=100)
    return float(cross_val_score(classifier, features, label, cv=5).mean())

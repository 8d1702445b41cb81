from __future__ import annotations

import numpy as np
import pytest
from drawn_pictures import put
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from planted_copies import CHANGES, detailed, detailed_jpeg, opened

from pawsure.copies.fingerprints import thumbnail
from pawsure.copies.grouping import grouped_catalog
from pawsure.copies.near_copies import NearCopies, find_near_copies, group_copies, merged
from pawsure.copies.thumbnails import Thumbnails
from pawsure.data.catalog import build_catalog
from pawsure.data.split import assign_splits
from pawsure.errors import PictureError


@pytest.fixture(scope="module")
def many():
    """Thumbnails of 200 different pictures, uint8 (200, 40, 40)."""
    return np.stack([thumbnail(detailed_jpeg(seed)) for seed in range(200)])


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_among_many(many, change):
    copies = np.stack([thumbnail(CHANGES[change](opened(detailed_jpeg(n)))) for n in range(20)])
    near = find_near_copies(np.concatenate([many, copies]))
    assert set(zip(near.first.tolist(), near.second.tolist(), strict=True)) == {
        (number, 200 + number) for number in range(20)
    }
    assert (near.similarity > 0.85).all()


def test_different_pictures_are_no_copies(many):
    assert len(find_near_copies(many)) == 0


def test_different_pictures_in_the_same_frame_are_no_copies():
    """The frame is the strongest structure there is, but not what a picture shows."""
    thumbnails = []
    for seed in range(30):
        framed = Image.new("RGB", (200, 160), "white")
        framed.paste(detailed(seed), (20, 20))
        thumbnails.append(thumbnail(_png(framed)))
    assert len(find_near_copies(np.stack(thumbnails))) == 0


def test_blank_pictures_are_no_copies_of_each_other():
    blank = [thumbnail(_png(Image.new("RGB", (64, 64), (level,) * 3))) for level in range(90, 110)]
    assert len(find_near_copies(np.stack(blank))) == 0


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_pictures_are_no_trouble(many, count):
    assert len(find_near_copies(many[:count])) == 0


def test_a_flood_of_one_picture_becomes_one_group():
    """Neighbours suffice to hold it together; not every pair is kept."""
    base = opened(detailed_jpeg(1))
    rng = np.random.default_rng(0)
    noisy = [
        np.clip(np.asarray(base, np.int16) + rng.integers(-6, 7, (120, 160, 3)), 0, 255)
        for _ in range(150)
    ]
    thumbnails = np.stack([thumbnail(_png(Image.fromarray(n.astype(np.uint8)))) for n in noisy])
    near = find_near_copies(thumbnails)
    assert len(set(merged(np.arange(150), near).tolist())) == 1
    assert len(near) <= 150 * 24


class TestGroups:
    def test_pairs_join_groups_and_numbers_have_no_gaps(self):
        near = NearCopies(np.array([0, 3]), np.array([3, 5]), np.ones(2, np.float32))
        assert merged(np.array([0, 1, 1, 2, 3, 4]), near).tolist() == [0, 1, 1, 0, 2, 0]

    def test_without_near_copies_groups_stay_as_they_were(self, tmp_path):
        for seed in range(12):
            put(tmp_path / ("a" if seed < 6 else "b") / f"{seed}.jpg", detailed_jpeg(seed))
        grouped = grouped_catalog(tmp_path)
        plain = build_catalog(tmp_path)
        assert grouped.catalog.group.tolist() == plain.group.tolist()
        for seed in range(5):
            assert (
                assign_splits(grouped.catalog, seed=seed).split.tolist()
                == assign_splits(plain, seed=seed).split.tolist()
            )

    def test_pictures_of_a_label_that_are_all_alike_do_not_stop_training(self, tmp_path):
        """Stripes: a group of all of them could not be split."""
        stripes = np.zeros((64, 64, 3), np.uint8)
        stripes[::8] = 255
        for seed in range(10):
            noise = np.random.default_rng(seed).integers(0, 9, stripes.shape)
            image = Image.fromarray(np.clip(stripes + noise, 0, 255).astype(np.uint8))
            put(tmp_path / "stripes" / f"{seed}.png", _png(image))
            put(tmp_path / "other" / f"{seed}.jpg", detailed_jpeg(seed))
        grouped = grouped_catalog(tmp_path)
        assert grouped.too_alike == "stripes"
        assert len(set(grouped.catalog.group.tolist())) == 20


@pytest.fixture(scope="module")
def grouped(planted, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAWSURE_CACHE", str(tmp_path_factory.mktemp("cache")))
        return grouped_catalog(planted).catalog


class TestSplits:
    @settings(max_examples=60)
    @given(
        seed=st.integers(0, 2**32),
        validation=st.floats(0.05, 0.45),
        test=st.floats(0.05, 0.45),
    )
    def test_no_copy_crosses_a_split_whatever_the_seed(self, grouped, seed, validation, test):
        split = assign_splits(grouped, seed=seed, validation=validation, test=test)
        place = dict(zip(split.path.tolist(), split.split.tolist(), strict=True))
        assert set(place.values()) == {"train", "validation", "test"}
        for number in range(len(CHANGES)):
            assert place[f"cat/{number}.jpg"] == place[f"cat/{number}-copy.jpg"]

    @given(seed=st.integers(0, 2**32))
    @settings(max_examples=30)
    def test_pictures_without_copies_stay_where_they_were(self, grouped, planted, seed):
        plain = build_catalog(planted)
        copies = [path.endswith("-copy.jpg") for path in plain.path]
        alone = ~np.isin(grouped.group, grouped.group[copies])
        # Shares so large that chance alone fills every split, as it does in sets of some size.
        before, after = (
            assign_splits(one, seed=seed, validation=0.3, test=0.3).split
            for one in (plain, grouped)
        )
        assert before[alone].tolist() == after[alone].tolist()


class TestThumbnails:
    def test_what_an_earlier_run_saw_is_not_decoded_again(self, planted):
        for expected in (88, 0):
            thumbnails = Thumbnails()
            catalog = build_catalog(planted, visit=thumbnails.look)
            thumbnails.keep()
            assert thumbnails.made == expected
            assert group_copies(catalog, thumbnails).catalog.group.max() == 79

    def test_what_can_not_be_decoded_becomes_a_problem(self, tmp_path, monkeypatch):
        for seed in range(6):
            put(tmp_path / ("a" if seed < 3 else "b") / f"{seed}.jpg", detailed_jpeg(seed))

        def refuse(content: str, data: bytes) -> None:
            if data == detailed_jpeg(1):
                raise PictureError("damaged: no such marker")

        catalog = build_catalog(tmp_path, visit=refuse)
        assert catalog.problems() == {"a/1.jpg": "damaged: no such marker"}


def _png(image: Image.Image) -> bytes:
    import io

    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()

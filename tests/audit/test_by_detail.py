"""Pictures whose labels differ by a detail: the same scene with and without something in it."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_pictures import encoded, put
from PIL import Image, ImageDraw
from planted_copies import detailed

from pawsure.audit.audit import Audit, audit
from pawsure.audit.checks import LEAVE_OUT, LOOK
from pawsure.audit.embeddings import NoEncoder
from pawsure.audit.page import build_page
from pawsure.audit.table import write_manifest
from pawsure.copies.grouping import grouped_catalog
from pawsure.copies.leakage import find_leakage
from pawsure.data.split import assign_splits

NOBODY = NoEncoder("Nothing is at hand.")


def frame(scene: int, shot: int, *, animal: bool) -> bytes:
    """What a camera that does not move takes: noise, and perhaps a small animal."""
    rng = np.random.default_rng([scene, shot, animal])
    image = detailed(scene).copy()
    if animal:
        x, y = (int(value) for value in rng.integers(20, 120, 2))
        ImageDraw.Draw(image).ellipse([x, y, x + 16, y + 10], fill=(190, 95, 40))
    noisy = np.asarray(image, np.int16) + rng.integers(-4, 5, (*image.size[::-1], 3))
    return encoded(Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)), quality=92)


def looked_at(root) -> Audit:
    return audit(root, encoder=NOBODY)


@pytest.fixture(params=[(1, 1), (3, 1), (3, 3)], ids=["a pair", "mostly empty", "many"])
def cameras(tmp_path, request):
    """Twelve cameras with so many frames without and with an animal each."""
    empty, full = request.param
    for scene in range(12):
        for shot in range(empty):
            put(tmp_path / "nobody" / f"{scene}-{shot}.jpg", frame(scene, shot, animal=False))
        for shot in range(full):
            put(tmp_path / "fox" / f"{scene}-{shot}.jpg", frame(scene, shot, animal=True))
    return tmp_path


def test_all_frames_of_cameras_are_kept(cameras, tmp_path):
    found = looked_at(cameras)
    assert found.summary.by_detail
    assert not (found.advice == LEAVE_OUT).any()
    kept, left_out = write_manifest(found, tmp_path / "clean.csv")
    assert (kept, left_out) == (len(found.catalog), 0)


def test_that_is_said_and_no_label_is_called_wrong(cameras):
    found = looked_at(cameras)
    said = " ".join(found.summary.sentences())
    assert "Labels differ by a detail: " in said and "All are kept" in said
    assert "is wrong" not in said
    assert "is wrong" not in build_page(found).partition('id="checks"')[0]


def test_frames_of_one_camera_stay_on_one_side(cameras):
    catalog = grouped_catalog(cameras).catalog
    assert not find_leakage(assign_splits(catalog, seed=0)).groups


@pytest.mark.parametrize("cameras", [(1, 1)], indirect=True)
def test_a_file_under_two_labels_is_wrong_all_the_same(cameras):
    put(cameras / "fox" / "same.jpg", (cameras / "nobody" / "3-0.jpg").read_bytes())
    found = looked_at(cameras)
    out = set(found.catalog.path[found.advice == LEAVE_OUT].tolist())
    assert out == {"fox/same.jpg", "nobody/3-0.jpg"}
    assert "1 file has more than one label" in " ".join(found.summary.sentences())


@pytest.mark.parametrize("cameras", [(1, 1)], indirect=True)
def test_exact_copies_within_a_label_still_count_once(cameras):
    put(cameras / "fox" / "again.jpg", (cameras / "fox" / "3-0.jpg").read_bytes())
    found = looked_at(cameras)
    assert len(found.catalog.path[found.advice == LEAVE_OUT]) == 1


def test_a_few_pairs_among_many_pictures_are_something_to_look_at(tmp_path):
    for scene in range(30):
        put(tmp_path / "ab"[scene % 2] / f"{scene}.jpg", frame(scene, 0, animal=False))
    for scene in range(12):
        put(tmp_path / "ab"[scene % 2] / f"{scene}-copy.jpg", frame(scene, 1, animal=False))
    put(tmp_path / "a" / "conflict.jpg", frame(13, 1, animal=False))
    found = looked_at(tmp_path)
    assert not found.summary.by_detail
    conflict = {"a/conflict.jpg", "b/13.jpg"}
    assert set(found.catalog.path[found.flags["conflicting_near_copy"]].tolist()) == conflict
    assert set(found.catalog.path[found.advice == LOOK].tolist()) == conflict
    assert (found.advice == LEAVE_OUT).sum() == 12  # spare copies with the same label
    assert any("Check them: a label is wrong" in one for one in found.summary.sentences())

from __future__ import annotations

import pytest

from pawsure.data.entries import split_named
from pawsure.data.layouts import labelled
from pawsure.errors import SourceError


def told(*paths: str) -> list[tuple[str, str | None, str | None]]:
    return [(e.path, e.label, e.split) for e in labelled(paths, where="photos")]


def test_a_folder_for_each_label():
    assert told("dog/1.jpg", "cat/a.jpg", "cat/2020/b.jpg") == [
        ("cat/2020/b.jpg", "cat", None),
        ("cat/a.jpg", "cat", None),
        ("dog/1.jpg", "dog", None),
    ]


@pytest.mark.parametrize(
    "folders",
    [
        ("train", "val", "test"),
        ("train", "valid", "test"),
        ("train", "validation", "test"),
        ("Training", "Val", "test1"),
    ],
)
def test_folders_of_splits(folders):
    paths = [f"{folder}/{label}/1.jpg" for folder in folders for label in ("cat", "dog")]
    assert {(label, split) for _, label, split in told(*paths)} == {
        (label, split) for label in ("cat", "dog") for split in ("train", "validation", "test")
    }


def test_only_a_training_split():
    assert told("train/cat/1.jpg", "train/dog/1.jpg") == [
        ("train/cat/1.jpg", "cat", "train"),
        ("train/dog/1.jpg", "dog", "train"),
    ]


def test_a_label_may_be_called_train():
    assert {label for _, label, _ in told("train/1.jpg", "bus/1.jpg", "car/1.jpg")} == {
        "train",
        "bus",
        "car",
    }


def test_folders_beside_those_of_splits_are_asked_about():
    with pytest.raises(
        SourceError,
        match=r"photos has folders of splits \(train, val\) and beside them more\. Are these "
        "labels, or not part of the data",
    ):
        told("train/cat/1.jpg", "val/cat/1.jpg", "more/cat/1.jpg")


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("cat.0.jpg", "cat"),
        ("great_pyrenees_12.jpg", "great_pyrenees"),
        ("Cat (3).JPG", "Cat"),
        ("dog-001.jpeg", "dog"),
        ("dog7.png", "dog"),
        ("кот.5.jpg", "кот"),
    ],
)
def test_names_that_begin_with_the_label(name, label):
    assert told(name) == [(name, label, None)]


def test_names_inside_a_split():
    assert told("train/cat.0.jpg", "train/dog.0.jpg")[0] == ("train/cat.0.jpg", "cat", "train")


@pytest.mark.parametrize("wrapper", ["PetImages/", "a/b/c/", "./x/"])
def test_a_folder_around_it_all_changes_nothing(wrapper):
    for inner in (
        ["cat/1.jpg", "dog/1.jpg"],
        ["train/cat/1.jpg", "train/dog/1.jpg", "val/cat/2.jpg"],
        ["cat.0.jpg", "dog.0.jpg"],
    ):
        plain = [(label, split) for _, label, split in told(*inner)]
        assert [(label, split) for _, label, split in told(*(wrapper + i for i in inner))] == plain


def test_one_folder_of_pictures_is_one_label():
    assert told("cat/x.jpg", "cat/y.jpg") == [
        ("cat/x.jpg", "cat", None),
        ("cat/y.jpg", "cat", None),
    ]


def test_paths_that_would_lead_out_lead_nowhere():
    assert told("../cat/1.jpg", "/dog/1.jpg") == [
        ("../cat/1.jpg", "cat", None),
        ("/dog/1.jpg", "dog", None),
    ]


def test_labels_are_compared_as_people_read_them():
    assert {label for _, label, _ in told("train/Bär/1.jpg", "val/Ba\u0308r/1.jpg")} == {"Bär"}


def test_a_picture_beside_the_folders_is_named_as_a_problem():
    stray = labelled(["cat/1.jpg", "dog/1.jpg", "overview.jpg"], where="photos")[2]
    assert stray.label is None
    assert stray.problem == "has no label: it lies in no label's folder"


def test_no_pictures():
    with pytest.raises(SourceError, match=r"photos holds no pictures\. Pawsure takes a folder for"):
        told()


def test_names_that_say_nothing():
    with pytest.raises(
        SourceError,
        match=r"photos holds 2 pictures, but nothing says what is on them \(first: 1\.jpg\)\. "
        r"Pawsure takes a folder for each label \(cat/1\.jpg\)",
    ):
        told("1.jpg", "IMG_20230105_1234.jpg")


def test_words_for_splits():
    assert split_named(" VALID ") == "validation"
    assert split_named("cats") is None

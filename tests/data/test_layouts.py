from __future__ import annotations

import pytest

from pawsure.data.layouts import labelled
from pawsure.data.skipped import Skipped
from pawsure.data.split_names import split_named
from pawsure.errors import SourceError, UsageError


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
    assert stray.problem == "has no label: it is in no label's folder"


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


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("seg_train", "train"),
        ("training_set", "train"),
        ("Train Images", "train"),
        ("images-train", "train"),
        ("trainset", "train"),
        ("train2017", "train"),
        ("train_val", "train"),
        ("TRAINING DATA", "train"),
        ("valid", "validation"),
        ("val_set", "validation"),
        ("dev", "validation"),
        ("test_images", "test"),
        ("Testing", "test"),
        ("eval", "test"),
        ("hold-out", "test"),
        ("held_out_set", "test"),
        ("seg_pred", None),
        ("train_cats", None),
        ("trains", None),
        ("images", None),
        ("latest", None),
        ("", None),
    ],
)
def test_names_of_splits_and_what_only_looks_like_one(name, split):
    assert split_named(name) == split


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training_set/training_set/", "test_set/test_set/"),
        ("seg_train/seg_train/", "seg_test/seg_test/"),
        ("train_images/", "test_images/"),
        ("dataset/training_set/", "dataset/test_set/"),
        ("train/images/", "test/images/"),
        ("Train Data/train/", "Test Data/test/"),
    ],
)
def test_doubled_and_wrapped_folders_of_splits(train, test):
    paths = [f"{folder}{label}/1.jpg" for folder in (train, test) for label in ("cat", "dog")]
    assert {(label, split) for _, label, split in told(*paths)} == {
        (label, split) for label in ("cat", "dog") for split in ("train", "test")
    }


def test_splits_inside_the_folders_of_labels():
    assert told("cat/train/1.jpg", "cat/test/2.jpg", "dog/train/1.jpg", "dog/test/2.jpg") == [
        ("cat/test/2.jpg", "cat", "test"),
        ("cat/train/1.jpg", "cat", "train"),
        ("dog/test/2.jpg", "dog", "test"),
        ("dog/train/1.jpg", "dog", "train"),
    ]


@pytest.mark.parametrize(
    "unlabelled", ["test/1.jpg", "test/test/1.jpg", "seg_pred/seg_pred/1.jpg", "pred/unknown/1.jpg"]
)
def test_pictures_that_nobody_has_labelled_are_passed_over_and_named(unlabelled):
    skipped = Skipped()
    entries = labelled(
        ["train/cat/1.jpg", "train/dog/1.jpg", unlabelled], where="photos", skipped=skipped
    )
    assert [entry.path for entry in entries] == ["train/cat/1.jpg", "train/dog/1.jpg"]
    assert f"1 picture without labels (the first: {unlabelled})" in skipped.sentences()[0]


SITES = [f"site{n}/{label}/{n}.jpg" for n in range(3) for label in ("cat", "dog")]


@pytest.mark.parametrize(
    "paths",
    [
        SITES,
        [f"all/{path}" for path in SITES],
        [f"train/{path}" for path in SITES] + [f"test/{path}" for path in SITES],
        [path.replace("site1/cat", "site1/Cat") for path in SITES],
        [*SITES, "site7/cat/1.jpg"],
        [*SITES * 5, "map.jpg"],
        ["site1/cat/1.jpg", "site1/dog/1.jpg", "site2/cat/1.jpg"],
        ["site1/cat/1.jpg", "site2/dog/1.jpg", "site3/cat/1.jpg", "site4/dog/1.jpg"],
        [*(f"data/{label}/{n}.jpg" for label in ("cat", "dog") for n in range(9)), "docs/a.jpg"],
        ["2020/cat/1.jpg", "2020/dog/1.jpg", "2021/cat/1.jpg", "2021/dog/1.jpg"],
        ["cat/left/1.jpg", "cat/right/1.jpg", "dog/left/1.jpg", "dog/right/1.jpg"],
        [f"north/{SITES[0]}", f"north/{SITES[1]}", f"south/{SITES[4]}", f"south/{SITES[5]}"],
    ],
)
def test_where_several_folders_could_be_labels_it_is_asked(paths):
    with pytest.raises(SourceError, match=r"does not show which folders are labels: .*--labels"):
        told(*paths)


@pytest.mark.parametrize(
    "paths",
    [
        ["cat/images/1.jpg", "dog/images/1.jpg"],
        ["cat/kitten/1.jpg", "cat/adult/1.jpg", "dog/puppy/1.jpg", "dog/adult/1.jpg"],
        ["cat/2020/1.jpg", "cat/2021/1.jpg", "dog/2020/1.jpg", "dog/2021/1.jpg"],
        ["cat/cat/1.jpg", "dog/dog/1.jpg"],
    ],
)
def test_folders_inside_labels_are_no_reason_to_ask(paths):
    assert {label for _, label, _ in told(*paths)} == {"cat", "dog"}


@pytest.mark.parametrize(
    ("level", "labels"), [("outer", {"site0", "site1", "site2"}), ("inner", {"cat", "dog"})]
)
@pytest.mark.parametrize("before", ["", "all/", "train/"])
def test_the_answer_decides(level, labels, before):
    entries = labelled([before + path for path in SITES], where="photos", level=level)
    assert {entry.label for entry in entries} == labels
    assert {entry.split for entry in entries} == {"train" if before == "train/" else None}


def test_the_folder_that_pictures_lie_in_can_be_the_label():
    paths = [f"north/{path}" for path in SITES]
    assert {entry.label for entry in labelled(paths, where="x", level="parent")} == {"cat", "dog"}
    with pytest.raises(UsageError, match="There are: outer, inner, parent"):
        labelled(paths, where="x", level="third")


@pytest.mark.parametrize("stray", ["preview.jpg", "IMG_0001.jpg", "photo 1.jpg", "logo2.png"])
def test_a_stray_picture_is_no_class_and_hides_none(stray):
    inside = [f"dataset/{label}/{n}.jpg" for label in ("cat", "dog") for n in range(5)]
    for paths in ([stray, *inside], [stray, *(path.removeprefix("dataset/") for path in inside)]):
        found = {path: label for path, label, _ in told(*paths)}
        assert found.pop(stray) is None
        assert set(found.values()) == {"cat", "dog"}


@pytest.mark.parametrize(
    "names",
    [
        ["IMG_0001.jpg", "DSC_0002.jpg"],
        ["photo1.jpg", "Screenshot 2.png"],
        ["train_1.jpg", "test_2.jpg"],
    ],
)
def test_how_cameras_and_programs_name_pictures_is_no_label(names):
    with pytest.raises(SourceError, match="nothing says what is on them"):
        told(*names)


def test_blanks_around_a_name_do_not_count_and_are_told():
    skipped = Skipped()
    entries = labelled(["dog /1.jpg", " dog/1.jpg", "cat/1.jpg"], where="x", skipped=skipped)
    assert {entry.label for entry in entries} == {"cat", "dog"}
    assert skipped.sentences() == ["The folders ' dog' and 'dog ' are one label, 'dog'."]


def test_labels_that_differ_in_case_alone_are_refused_but_for_letters():
    with pytest.raises(SourceError, match="'Cat' and 'cat', which differ only in upper and lower"):
        told("train/Cat/1.jpg", "train/dog/1.jpg", "test/cat/1.jpg")
    assert {label for _, label, _ in told("A/1.jpg", "a/1.jpg")} == {"A", "a"}


@pytest.mark.parametrize(
    ("folders", "what"),
    [
        (["2019", "2020", "2021-05"], "dates"),
        (["100APPLE", "101APPLE"], "a camera's folders"),
        (["fold1", "fold2"], "parts"),
        (["images_001", "images_002"], "parts"),
        (["New folder", "New folder (2)"], "parts"),
    ],
)
@pytest.mark.parametrize("above", ["", "train/", "DCIM/"])
def test_folders_that_say_when_or_by_what_are_no_labels(folders, what, above):
    paths = [f"{above}{folder}/{n}.jpg" for folder in folders for n in range(3)]
    with pytest.raises(SourceError, match=f"The folders of x are {what}, not labels: "):
        labelled(paths, where="x")
    entries = labelled(paths, where="x", level="outer")
    assert {entry.label for entry in entries} == set(folders)


@pytest.mark.parametrize(
    "folders", [["0", "1", "10"], ["00000", "00042"], ["fold1", "crease"], ["100APPLE", "pear"]]
)
def test_numbers_and_mixed_names_are_labels(folders):
    assert {label for _, label, _ in told(*(f"{one}/1.jpg" for one in folders))} == set(folders)


def test_shards_whose_pictures_have_their_labels_beside_them_are_refused():
    paths = [f"0000{shard}/00{n}.jpg" for shard in range(2) for n in range(4)]
    skipped = Skipped()
    for path in paths:
        skipped.add_file(path.replace(".jpg", ".cls"))
    with pytest.raises(SourceError, match=r"in a file beside it \(00000/000.cls\)"):
        labelled(paths, where="x", skipped=skipped)

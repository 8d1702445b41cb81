from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from drawn_pictures import EXIF_ORIENTATION, encoded, fill, jpeg, photograph, put

from pawsure.data.catalog import build_catalog, check_trainable
from pawsure.data.entries import Entry
from pawsure.data.images import Limits
from pawsure.data.saved_catalog import load_catalog
from pawsure.data.split import assign_splits
from pawsure.errors import DataError, ManifestError, SourceError

PETS = [f"{label}/{i}.jpg" for label in ("cat", "dog") for i in range(4)]


class Steps:
    """A progress that counts."""

    def __init__(self) -> None:
        self.total: int | None = None
        self.done = 0
        self.finished = False

    def start(self, description: str, total: int | None, unit: str = "pictures") -> None:
        self.total = total

    def advance(self, steps: int = 1) -> None:
        self.done += steps

    def finish(self) -> None:
        self.finished = True

    def say(self, message: str) -> None: ...


class TestWhatIsListed:
    def test_every_column(self, tmp_path):
        fill(tmp_path, PETS)
        picture = photograph(width=40, height=20)
        exif = picture.getexif()
        exif[EXIF_ORIENTATION] = 6
        data = encoded(picture, "PNG", exif=exif)
        put(tmp_path / "cat/5.png", data)
        catalog = build_catalog(tmp_path)
        assert len(catalog) == 9
        assert catalog.labels == ("cat", "dog")
        row = catalog.path.tolist().index("cat/5.png")
        assert catalog.label[row] == 0
        assert catalog.content[row] == hashlib.sha256(data).hexdigest()
        assert catalog.num_bytes[row] == len(data)
        assert (catalog.width[row], catalog.height[row]) == (20, 40)
        assert catalog.format[row] == "PNG"
        assert catalog.problem[row] == ""
        assert catalog.split[row] == ""
        assert catalog.read(row) == data
        for column in ("label", "num_bytes", "width", "height", "group"):
            assert getattr(catalog, column).dtype == np.int64

    def test_copies_are_one_group(self, tmp_path):
        fill(tmp_path, PETS)
        put(tmp_path / "cat/copy.jpg", jpeg(0))
        put(tmp_path / "dog/copy.jpg", jpeg(0))
        catalog = build_catalog(tmp_path)
        at = {path: group for path, group in zip(catalog.path, catalog.group, strict=True)}
        assert at["cat/0.jpg"] == at["cat/copy.jpg"] == at["dog/copy.jpg"]
        assert sorted(set(catalog.group)) == list(range(8))

    def test_unreadable_pictures_are_named_and_not_fatal(self, tmp_path):
        fill(tmp_path, PETS)
        put(tmp_path / "cat/cut.jpg", jpeg(50)[:-400])
        put(tmp_path / "cat/empty.jpg", b"")
        put(tmp_path / "dog/page.png", b"<html>")
        put(tmp_path / "stray.jpg", jpeg(51))
        catalog = build_catalog(tmp_path)
        assert catalog.problems() == {
            "cat/cut.jpg": "truncated: the file ends before the picture does; copy it again or "
            "remove it",
            "cat/empty.jpg": "the file is empty",
            "dog/page.png": "not a picture but a web page; was it saved from a refused download?",
            "stray.jpg": "has no label: it is in no label's folder",
        }
        assert len(catalog.where()) == 8
        assert (catalog.problem[catalog.where()] == "").all()
        assert catalog.label[catalog.path == "stray.jpg"] == -1

    def test_the_same_from_a_folder_a_zip_and_a_manifest(self, tmp_path):
        fill(tmp_path / "folder", PETS)
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for name in PETS:
                archive.write(tmp_path / "folder" / name, f"pets/{name}")
        rows = "".join(f"{name},{name[:3]}\n" for name in PETS)
        put(tmp_path / "folder/list.csv", "path,label\n" + rows)
        catalogs = [
            build_catalog(tmp_path / name) for name in ("folder", "a.zip", "folder/list.csv")
        ]
        assert len({catalog.fingerprint for catalog in catalogs}) == 1
        assert len({tuple(catalog.content) for catalog in catalogs}) == 1

    def test_limits_hold(self, tmp_path):
        fill(tmp_path, PETS)
        put(tmp_path / "cat/big.jpg", jpeg(99, width=200, height=200))
        catalog = build_catalog(tmp_path, limits=Limits(max_pixels=10_000))
        assert list(catalog.problems()) == ["cat/big.jpg"]

    def test_progress_counts_every_picture(self, tmp_path):
        steps = Steps()
        build_catalog(fill(tmp_path, PETS), progress=steps)
        assert (steps.total, steps.done, steps.finished) == (8, 8, True)

    def test_threads_change_nothing(self, tmp_path):
        fill(tmp_path, [f"{label}/{i}.jpg" for label in ("cat", "dog") for i in range(100)])
        one, many = (build_catalog(tmp_path, workers=workers) for workers in (1, 8))
        assert one.path.tolist() == many.path.tolist()
        assert one.content.tolist() == many.content.tolist()

    def test_pictures_are_let_go_once_seen(self):
        """Memory is bounded whatever the number of pictures."""

        class Counted(bytes):
            alive = most = 0

            def __new__(cls, data: bytes) -> Counted:
                cls.alive += 1
                cls.most = max(cls.most, cls.alive)
                return super().__new__(cls, data)

            def __del__(self) -> None:
                type(self).alive -= 1

        class Many:
            name, kind = "many", "folder"
            entries = [Entry(f"{i}", "cat" if i % 2 else "dog") for i in range(600)]

            def read(self, path: str) -> bytes:
                return Counted(jpeg() + path.encode())

        assert len(build_catalog(Many(), workers=2)) == 600
        assert Counted.most <= 8


class TestUsing:
    @pytest.fixture
    def catalog(self, tmp_path):
        fill(tmp_path, [f"{label}/{i}.jpg" for label in ("cat", "dog") for i in range(20)])
        put(tmp_path / "cat/bad.jpg", b"")
        return assign_splits(build_catalog(tmp_path), seed=0)

    def test_where_and_counts_agree(self, catalog):
        counts = catalog.counts()
        assert list(counts) == ["train", "validation", "test"]
        for split, of_label in counts.items():
            assert sum(of_label.values()) == len(catalog.where(split))
        assert sum(len(catalog.where(split)) for split in counts) == 40 == len(catalog.where())

    def test_more_problems_take_pictures_out(self, catalog):
        row = int(catalog.where("train")[0])
        other = catalog.with_problems({row: "damaged"})
        assert other.problem[row] == "damaged"
        assert other.split[row] == ""
        assert row not in other.where()
        assert catalog.problem[row] == ""
        assert other.fingerprint != catalog.fingerprint

    def test_the_fingerprint_is_of_contents_labels_and_splits(self, catalog, tmp_path):
        os.rename(tmp_path / "cat/0.jpg", tmp_path / "cat/renamed.jpg")
        again = assign_splits(build_catalog(tmp_path), seed=0)
        assert again.fingerprint == catalog.fingerprint
        assert assign_splits(build_catalog(tmp_path), seed=1).fingerprint != catalog.fingerprint
        os.rename(tmp_path / "cat/1.jpg", tmp_path / "dog/other.jpg")
        moved = assign_splits(build_catalog(tmp_path), seed=0)
        assert moved.fingerprint != catalog.fingerprint

    def test_as_a_parquet_file(self, catalog, tmp_path):
        catalog.to_parquet(tmp_path / "catalog.parquet")
        table = pq.read_table(tmp_path / "catalog.parquet").to_pydict()
        assert table["path"] == catalog.path.tolist()
        assert table["label"] == [catalog.labels[label] for label in catalog.label]
        assert table["split"] == catalog.split.tolist()
        assert table["problem"].count("the file is empty") == 1

    @pytest.mark.skipif(os.name != "posix", reason="names of any bytes are a Unix matter")
    def test_names_that_are_not_unicode_can_be_written(self, tmp_path):
        fill(tmp_path, PETS)
        try:
            put(Path(os.fsdecode(os.fsencode(tmp_path) + b"/cat/\xff.jpg")), jpeg(77))
        except OSError:
            pytest.skip("this file system takes Unicode only")
        catalog = build_catalog(tmp_path)
        assert len(catalog.where()) == 9
        catalog.to_parquet(tmp_path / "catalog.parquet")
        written = pq.read_table(tmp_path / "catalog.parquet")["path"].to_pylist()
        assert "cat/\\udcff.jpg" in written
        again = load_catalog(tmp_path / "catalog.parquet", catalog.source)
        assert again is not None and again.path.tolist() == catalog.path.tolist()


class TestBadData:
    def test_one_class(self, tmp_path):
        fill(tmp_path, ["cat/1.jpg", "cat/2.jpg"])
        with pytest.raises(
            DataError,
            match="All 2 pictures of .* have the same label, 'cat'. A classifier tells two or more "
            "apart: add pictures of something else, in a folder of their own",
        ):
            build_catalog(tmp_path)

    def test_a_class_with_one_picture(self, tmp_path):
        fill(tmp_path, [*PETS, "fish/1.jpg"])
        with pytest.raises(
            DataError,
            match="'fish' has 1 different picture that can be read. At least 2 are needed, .* "
            "leave 'fish' out",
        ):
            build_catalog(tmp_path)

    def test_a_class_with_one_readable_picture_names_the_others(self, tmp_path):
        fill(tmp_path, [*PETS, "fish/1.jpg"])
        put(tmp_path / "fish/2.jpg", b"")
        put(tmp_path / "fish/3.jpg", b"")
        with pytest.raises(
            DataError,
            match=r"'fish' has 1 different picture that can be read \(2 can't be; the first, "
            r"fish/2\.jpg: the file is empty\)",
        ):
            build_catalog(tmp_path)

    def test_copies_do_not_count_twice(self, tmp_path):
        fill(tmp_path, PETS)
        for name in ("1", "2", "3"):
            put(tmp_path / f"fish/{name}.jpg", jpeg(60))
        with pytest.raises(DataError, match="'fish' has 1 different picture"):
            build_catalog(tmp_path)

    @pytest.mark.parametrize("split", ["test", "val"])
    def test_a_label_seen_only_outside_training(self, tmp_path, split):
        fill(tmp_path, [f"train/{name}" for name in PETS])
        fill(tmp_path, [f"{split}/fish/1.jpg", f"{split}/fish/2.jpg"], first_seed=90)
        word = "validation" if split == "val" else split
        with pytest.raises(
            DataError,
            match=f"'fish' is seen only in the {word} split of .*, so it can't be learned. Put "
            "pictures of it into the train split, or take it out",
        ):
            build_catalog(tmp_path)

    def test_for_measuring_less_is_asked(self, tmp_path):
        fill(tmp_path, ["test/cat/1.jpg"])
        catalog = build_catalog(tmp_path, for_training=False)
        assert assign_splits(catalog, seed=0).counts()["test"] == {"cat": 1}
        with pytest.raises(DataError, match="same label"):
            check_trainable(catalog)

    def test_nothing_readable(self, tmp_path):
        for name in PETS:
            put(tmp_path / name, b"words")
        with pytest.raises(
            DataError,
            match=r"None of the 8 pictures of .* can be read. The first is cat/0\.jpg: not a pict",
        ):
            build_catalog(tmp_path)

    def test_a_manifest_with_missing_files(self, tmp_path):
        fill(tmp_path, PETS)
        rows = "".join(f"{name},{name[:3]}\n" for name in [*PETS, "dog/gone.jpg"])
        catalog = build_catalog(put(tmp_path / "list.csv", "path,label\n" + rows))
        assert catalog.problems() == {"dog/gone.jpg": "there is no such file"}

    def test_a_manifest_whose_files_are_all_missing(self, tmp_path):
        path = put(tmp_path / "list.csv", "path,label\nx/a.jpg,cat\nx/b.jpg,dog\n")
        with pytest.raises(
            ManifestError,
            match=r"None of the 2 files that .*list\.csv lists exist \(the first: x/a\.jpg\)\. "
            "Paths are relative to the folder of the manifest",
        ):
            build_catalog(path)

    def test_no_folder(self, tmp_path):
        with pytest.raises(SourceError, match="There is no"):
            build_catalog(tmp_path / "nowhere")


@pytest.mark.real
class TestPhotographs:
    @pytest.fixture
    def data(self) -> Path:
        return Path(os.environ["PAWSURE_DATA"])

    def test_all_twenty_thousand(self, data):
        catalog = assign_splits(build_catalog(data / "cats-vs-dogs"), seed=0)
        assert catalog.labels == ("cat", "dog")
        assert len(catalog.where()) == 20_000
        for share, split in ((0.8, "train"), (0.1, "validation"), (0.1, "test")):
            for count in catalog.counts()[split].values():
                assert count / 10_000 == pytest.approx(share, abs=0.015)

    def test_the_manifest(self, data):
        catalog = build_catalog(data / "cats-vs-dogs-3k.csv")
        assert catalog.counts()["train"] == {"cat": 1000, "dog": 1000}
        split = assign_splits(catalog, seed=0)
        assert split.counts()["validation"] == {"cat": 500, "dog": 500}
        assert 150 < len(split.where("test")) < 250

from __future__ import annotations

import io
import os
import struct
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drawn_pictures import fill, jpeg, put

from pawsure.data.datasets import DATASETS
from pawsure.data.images import Limits
from pawsure.data.sources import FETCHED_NAMES, list_pictures, open_source
from pawsure.errors import ManifestError, PictureError, SourceError

FOLDERS = ["cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/deep/2.jpg"]


def zipped(path: Path, members: dict[str, bytes], **options) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def labels(source) -> dict[str, str | None]:
    return {entry.path: entry.label for entry in source.entries}


class TestFolders:
    def test_label_folders(self, tmp_path):
        source = open_source(fill(tmp_path, FOLDERS))
        assert labels(source) == {name: name.split("/")[0] for name in FOLDERS}
        assert source.kind == "folder"
        assert source.name == str(tmp_path)
        assert source.read("dog/deep/2.jpg") == jpeg(3)

    def test_only_what_is_named_as_a_picture_and_not_hidden(self, tmp_path):
        fill(tmp_path, FOLDERS)
        for name in (
            "cat/notes.txt", "labels.csv", "cat/.hidden.jpg", ".cache/x.jpg", "cat/Thumbs.db",
            "__MACOSX/cat/1.jpg", "cat/no_suffix",
        ):  # fmt: skip
            put(tmp_path / name, b"x")
        put(tmp_path / "cat/broken.HEIC", b"x")
        assert set(labels(open_source(tmp_path))) == {*FOLDERS, "cat/broken.HEIC"}

    def test_the_order_does_not_depend_on_the_file_system(self, tmp_path):
        paths = [entry.path for entry in open_source(fill(tmp_path, FOLDERS[::-1])).entries]
        assert paths == sorted(FOLDERS)

    def test_links_are_followed_and_loops_are_not(self, tmp_path):
        fill(tmp_path / "real", ["1.jpg"])
        fill(tmp_path / "data", ["dog/1.jpg"])
        (tmp_path / "data/cat").symlink_to(tmp_path / "real")
        (tmp_path / "data/dog/again").symlink_to(tmp_path / "data")
        assert labels(open_source(tmp_path / "data")) == {"cat/1.jpg": "cat", "dog/1.jpg": "dog"}

    def test_no_folder(self, tmp_path):
        with pytest.raises(
            SourceError,
            match=r"There is no '.*nowhere'\. DATA is a folder with a folder for each label, a zip",
        ):
            open_source(tmp_path / "nowhere")

    def test_an_empty_folder(self, tmp_path):
        with pytest.raises(SourceError, match=f"{tmp_path} holds no pictures"):
            open_source(tmp_path)

    def test_a_picture_is_no_data_set(self, tmp_path):
        with pytest.raises(SourceError, match=r"a\.jpg is one picture; a classifier learns from"):
            open_source(put(tmp_path / "a.jpg", jpeg()))

    def test_other_files(self, tmp_path):
        with pytest.raises(SourceError, match=r"a\.tar is neither a zip archive nor a CSV"):
            open_source(put(tmp_path / "a.tar", b"x"))
        with pytest.raises(SourceError, match=r"give it the suffix \.parquet"):
            open_source(put(tmp_path / "table", b"PAR1"))

    def test_a_file_that_is_too_large(self, tmp_path):
        source = open_source(fill(tmp_path, FOLDERS), limits=Limits(max_bytes=10))
        with pytest.raises(PictureError, match=r"^cat/1\.jpg: the file has .* more than the limit"):
            source.read("cat/1.jpg")

    def test_a_file_that_went_away(self, tmp_path):
        source = open_source(fill(tmp_path, FOLDERS))
        (tmp_path / "cat/1.jpg").unlink()
        with pytest.raises(PictureError, match=r"^cat/1\.jpg: there is no such file$"):
            source.read("cat/1.jpg")

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read all")
    def test_a_folder_that_may_not_be_searched(self, tmp_path):
        fill(tmp_path, FOLDERS)
        (tmp_path / "cat").chmod(0)
        with pytest.raises(SourceError, match="can't be searched"):
            open_source(tmp_path)


class TestNames:
    def test_those_that_are_fetched_are_those_of_the_table(self):
        assert set(FETCHED_NAMES) == set(DATASETS)

    def test_a_name_that_nothing_has_is_told_those_that_exist(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SourceError, match="names sample, cats-vs-dogs, oxford-pets"):
            open_source("cats")

    def test_a_folder_of_that_name_comes_first(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        fill(tmp_path / "sample", FOLDERS)
        assert len(open_source("sample").entries) == 4


class TestSample:
    @pytest.fixture(autouse=True)
    def drawn(self, tmp_path, monkeypatch) -> list[Path]:
        """The folders that were drawn into, by something quicker than the real one."""
        drawn: list[Path] = []

        def draw(folder: Path) -> None:
            drawn.append(folder)
            fill(folder, FOLDERS)

        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PAWSURE_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("pawsure.data.drawn.draw_sample", draw)
        return drawn

    def test_it_is_drawn_once_and_kept(self, drawn):
        for _ in range(2):
            source = open_source("sample")
            assert source.name == "sample"
            assert labels(source)["cat/1.jpg"] == "cat"
        assert len(drawn) == 1

    def test_a_drawing_that_was_broken_off_is_not_kept(self, monkeypatch, tmp_path):
        def broken(folder: Path) -> None:
            fill(folder, FOLDERS[:1])
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("pawsure.data.drawn.draw_sample", broken)
            with pytest.raises(KeyboardInterrupt):
                open_source("sample")
        assert len(open_source("sample").entries) == 4


class TestZips:
    @pytest.mark.parametrize(
        "packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA]
    )
    def test_pictures_come_out_as_they_went_in(self, tmp_path, packing):
        members = {f"pets/{name}": jpeg(seed) for seed, name in enumerate(FOLDERS)}
        source = open_source(zipped(tmp_path / "a.zip", members, compression=packing))
        assert source.kind == "zip"
        assert labels(source) == {name: name.split("/")[1] for name in members}
        assert {name: source.read(name) for name in members} == members
        assert os.listdir(tmp_path) == ["a.zip"]

    def test_from_many_threads(self, tmp_path):
        members = {f"{label}/{i}.jpg": jpeg(i) for label in ("cat", "dog") for i in range(40)}
        source = open_source(zipped(tmp_path / "a.zip", members, compression=zipfile.ZIP_DEFLATED))
        with ThreadPoolExecutor(8) as threads:
            read = list(threads.map(source.read, list(members) * 3))
        assert read == list(members.values()) * 3

    def test_names_of_the_other_layouts(self, tmp_path):
        names = ["train/cat.0.jpg", "train/dog.0.jpg"]
        source = open_source(zipped(tmp_path / "a.zip", {name: jpeg() for name in names}))
        assert [(e.label, e.split) for e in source.entries] == [("cat", "train"), ("dog", "train")]

    def test_hidden_members_are_passed_over(self, tmp_path):
        members = dict.fromkeys([*FOLDERS, "__MACOSX/cat/._1.jpg", "cat/.x.jpg", "a.txt"], b"x")
        assert set(labels(open_source(zipped(tmp_path / "a.zip", members)))) == set(FOLDERS)

    def test_names_that_lead_out_are_read_and_nothing_is_written(self, tmp_path):
        members = {"../../cat/1.jpg": jpeg(1), "/dog/1.jpg": jpeg(2)}
        source = open_source(zipped(tmp_path / "a.zip", members))
        assert source.read("../../cat/1.jpg") == jpeg(1)
        assert os.listdir(tmp_path) == ["a.zip"]

    @pytest.mark.parametrize("keep", [0, 10, 0.5, -1])
    def test_an_archive_cut_short(self, tmp_path, keep):
        path = zipped(tmp_path / "a.zip", {name: jpeg() for name in FOLDERS})
        data = path.read_bytes()
        end = int(len(data) * keep) if isinstance(keep, float) else keep
        path.write_bytes(data[:end])
        with pytest.raises(SourceError, match=r"a\.zip can't be opened as a zip archive .* again"):
            open_source(path)

    def test_a_damaged_member_is_one_bad_picture(self, tmp_path):
        path = zipped(tmp_path / "a.zip", {name: jpeg(9) for name in FOLDERS})
        data = bytearray(path.read_bytes())
        data[200:300] = bytes(100)
        path.write_bytes(data)
        source = open_source(path)
        with pytest.raises(PictureError, match=r"^cat/1\.jpg: damaged inside the archive: Bad CRC"):
            source.read("cat/1.jpg")
        assert source.read("cat/2.jpg") == jpeg(9)

    def test_an_encrypted_member_is_one_bad_picture(self, tmp_path):
        path = zipped(tmp_path / "a.zip", {name: jpeg() for name in FOLDERS})
        data = bytearray(path.read_bytes())
        data[data.index(b"PK\x01\x02") + 8] |= 1
        path.write_bytes(data)
        with pytest.raises(PictureError, match="encrypted inside the archive"):
            open_source(path).read("cat/1.jpg")

    def test_a_member_packed_by_an_unknown_method_is_one_bad_picture(self, tmp_path):
        path = zipped(tmp_path / "a.zip", {name: jpeg() for name in FOLDERS})
        data = bytearray(path.read_bytes())
        data[data.index(b"PK\x01\x02") + 10] = 99
        path.write_bytes(data)
        with pytest.raises(PictureError, match="compressed by a method that can.t be read"):
            open_source(path).read("cat/1.jpg")
        assert open_source(path).read("cat/2.jpg") == jpeg()

    def test_a_large_member_is_not_unpacked(self, tmp_path):
        members = {name: bytes(5_000_000) for name in FOLDERS}
        path = zipped(tmp_path / "a.zip", members, compression=zipfile.ZIP_DEFLATED)
        source = open_source(path, limits=Limits(max_bytes=1_000_000))
        with pytest.raises(PictureError, match="5,000,000 bytes, more than the limit of 1,000,000"):
            source.read("cat/1.jpg")

    def test_a_member_that_lies_about_its_size_gives_no_more_than_it_said(self, tmp_path):
        members = {name: bytes(5_000_000) for name in FOLDERS}
        path = zipped(tmp_path / "a.zip", members, compression=zipfile.ZIP_DEFLATED)
        data = bytearray(path.read_bytes())
        at = data.index(b"PK\x01\x02")
        data[at + 24 : at + 28] = struct.pack("<I", 1000)
        path.write_bytes(data)
        with pytest.raises(PictureError, match="damaged inside the archive"):
            open_source(path).read("cat/1.jpg")

    def test_an_archive_that_would_grow_beyond_measure(self, tmp_path):
        path = zipped(tmp_path / "a.zip", {name: b"x" for name in FOLDERS})
        data = path.read_bytes()
        start = data.index(b"PK\x01\x02")
        directory = bytearray(data[start:])
        at = 0
        while (at := directory.find(b"PK\x01\x02", at)) >= 0:
            directory[at + 24 : at + 28] = struct.pack("<I", 2**31)
            at += 4
        path.write_bytes(data[:start] + directory)
        with pytest.raises(
            SourceError, match=r"8,589,934,592 bytes of pictures in .* more than 100"
        ):
            open_source(path)

    def test_an_archive_without_pictures(self, tmp_path):
        with pytest.raises(SourceError, match=r"a\.zip holds no pictures"):
            open_source(zipped(tmp_path / "a.zip", {"readme.txt": b"x"}))


class TestManifests:
    def manifest(self, folder: Path, text: str | bytes, name: str = "data/list.csv") -> Path:
        return put(folder / name, text)

    def test_paths_are_relative_to_the_manifest(self, tmp_path):
        put(tmp_path / "pictures/a.jpg", jpeg(1))
        put(tmp_path / "data/b.jpg", jpeg(2))
        path = self.manifest(tmp_path, "path,label\n../pictures/a.jpg,cat\nb.jpg,dog\n")
        source = open_source(path)
        assert source.kind == "manifest"
        assert labels(source) == {"../pictures/a.jpg": "cat", "b.jpg": "dog"}
        assert source.read("../pictures/a.jpg") == jpeg(1)
        assert source.read("b.jpg") == jpeg(2)

    def test_splits_in_any_spelling(self, tmp_path):
        rows = "".join(
            f"{i}.jpg,cat,{split}\n"
            for i, split in enumerate(["train", "val", "valid", "Validation", "TEST", ""])
        )
        source = open_source(self.manifest(tmp_path, "path,label,split\n" + rows))
        assert [entry.split for entry in source.entries] == [
            "train", "validation", "validation", "validation", "test", None,
        ]  # fmt: skip

    @pytest.mark.parametrize(
        "text",
        [
            "path,label\na.jpg,cat\n\nb.jpg,dog",
            "\ufeffpath,label\r\na.jpg,cat\r\nb.jpg,dog\r\n",
            'id,Label, Path ,x\n1,cat,a.jpg,"1,2"\n2, dog ,"b.jpg",\n',
            "path;label\na.jpg;cat\nb.jpg;dog\n",
            "path\tlabel\na.jpg\tcat\nb.jpg\tdog\n",
            '"path","label"\n"a.jpg","cat"\n"b.jpg","dog"\n',
        ],
    )
    def test_csv_as_spreadsheets_write_it(self, tmp_path, text):
        source = open_source(self.manifest(tmp_path, text))
        assert labels(source) == {"a.jpg": "cat", "b.jpg": "dog"}

    def test_parquet(self, tmp_path):
        table = pa.table(
            {
                "other": [1.5, 2.5, 3.5],
                "label": pa.array(["cat", "dog", "dog"]).dictionary_encode(),
                "path": ["a.jpg", "b.jpg", "c.jpg"],
                "split": ["train", None, "test"],
            }
        )
        pq.write_table(table, tmp_path / "list.parquet")
        source = open_source(tmp_path / "list.parquet")
        assert [(e.path, e.label, e.split) for e in source.entries] == [
            ("a.jpg", "cat", "train"),
            ("b.jpg", "dog", None),
            ("c.jpg", "dog", "test"),
        ]

    def test_labels_that_are_numbers_are_names_too(self, tmp_path):
        pq.write_table(pa.table({"path": ["a", "b"], "label": [0, 1]}), tmp_path / "list.parquet")
        assert labels(open_source(tmp_path / "list.parquet")) == {"a": "0", "b": "1"}

    @pytest.mark.parametrize(
        ("header", "missing", "found"),
        [
            ("path,class", "column label", "path, class"),
            ("file,label", "column path", "file, label"),
            ("x.jpg,cat", "columns path and label", "x.jpg, cat"),
        ],
    )
    def test_missing_columns_are_named_with_those_found(self, tmp_path, header, missing, found):
        path = self.manifest(tmp_path, header + "\na.jpg,cat\n")
        with pytest.raises(ManifestError) as caught:
            open_source(path)
        assert f"list.csv lacks the {missing}. Needed: path and label" in str(caught.value)
        assert f"found: {found}. The first line must name the columns." in str(caught.value)

    def test_missing_columns_in_parquet(self, tmp_path):
        pq.write_table(pa.table({"path": ["a"]}), tmp_path / "list.parquet")
        with pytest.raises(ManifestError, match=r"lacks the column label\. .* found: path\."):
            open_source(tmp_path / "list.parquet")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", r"list\.csv is empty\. Its first line must be: path,label"),
            ("path,label\n", r"list\.csv has columns but no rows\. Add a row for each picture"),
            ("path,label\na.jpg,\n", "row 2: the label is empty; fill it in or remove the row"),
            ("path,label\na.jpg\n", "row 2: the label is empty"),
            ("path,label\n,cat\n ,cat\n", "row 2: the path is empty"),
            ("path,label\nhttps://x.org/a.jpg,cat\n", "row 2: an address, not a file"),
            (
                "path,label,split\na.jpg,cat,fold 3\n",
                "row 2: there is no split 'fold 3'. Write one of train, validation, test",
            ),
            ("path,label\na.jpg,cat\na.jpg,dog\n", r"lists a\.jpg twice, as 'cat' and as 'dog'"),
            (
                f"path,label\na.jpg,{'x' * 200_000}\n",
                r"can't be read as CSV .* Save it as CSV in UTF-8",
            ),
        ],
    )
    def test_malformed_rows_are_named(self, tmp_path, text, message):
        with pytest.raises(ManifestError, match=message):
            open_source(self.manifest(tmp_path, text))

    @pytest.mark.parametrize("share", [0, 0.3, 0.9])
    def test_a_parquet_file_cut_short(self, tmp_path, share):
        file = io.BytesIO()
        pq.write_table(pa.table({"path": ["a", "b"], "label": ["x", "y"]}), file)
        data = file.getvalue()
        path = put(tmp_path / "list.parquet", data[: int(len(data) * share)])
        with pytest.raises(ManifestError, match=r"list\.parquet can't be read as Parquet"):
            open_source(path)

    def test_a_missing_file_shows_when_it_is_read(self, tmp_path):
        source = open_source(self.manifest(tmp_path, "path,label\na.jpg,cat\n"))
        with pytest.raises(PictureError, match=r"^a\.jpg: there is no such file$"):
            source.read("a.jpg")


class TestListing:
    def test_files_as_they_are_and_folders_searched(self, tmp_path):
        fill(tmp_path / "in", ["b/2.jpg", "a.png", ".hidden/x.jpg", "._a.jpg"])
        put(tmp_path / "in/readme.txt", b"x")
        odd = put(tmp_path / "picture", jpeg())
        missing = tmp_path / "missing.jpg"
        assert list_pictures([missing, tmp_path / "in", str(odd)]) == [
            missing,
            tmp_path / "in/a.png",
            tmp_path / "in/b/2.jpg",
            odd,
        ]

    def test_what_is_named_as_a_picture_is_not_passed_over(self, tmp_path):
        put(tmp_path / "a.heic", b"x")
        put(tmp_path / "b.JPG", b"not a picture")
        assert [path.name for path in list_pictures([tmp_path])] == ["a.heic", "b.JPG"]

    def test_a_folder_without_pictures(self, tmp_path):
        put(tmp_path / "readme.txt", b"x")
        with pytest.raises(SourceError, match=f"{tmp_path} holds no pictures, nor do the folders"):
            list_pictures([tmp_path])

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from drawn_pictures import EXIF_ORIENTATION, encoded, jpeg, photograph
from PIL import Image
from unreliable_server import Answer, Told, UnreliableServer, status, whole

from pawsure.data import datasets, disk_space
from pawsure.data.catalog import build_catalog
from pawsure.data.datasets import DATASETS, Dataset
from pawsure.data.downloads import Patience
from pawsure.data.remote_files import RemoteFile
from pawsure.data.sources import open_source
from pawsure.data.split import assign_splits
from pawsure.errors import DownloadError, PictureError

QUICK = Patience(timeout_s=1, tries=2, pause_s=0.001, longest_pause_s=0.002)


def with_exif() -> bytes:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 3
    return encoded(photograph(9), "JPEG", exif=exif).replace(b"JFIF", b"XFIF", 1)


# What is known of the real archive: two empty files, thumbnails of Windows, pictures that are
# not JPEG or have no JFIF mark, and papers beside the pictures.
CATS_VS_DOGS = {
    **{f"PetImages/Cat/{number}.jpg": jpeg(number) for number in range(6)},
    **{f"PetImages/Dog/{number}.jpg": jpeg(10 + number) for number in range(6)},
    "PetImages/Cat/666.jpg": b"",
    "PetImages/Dog/11702.jpg": b"",
    "PetImages/Cat/700.jpg": jpeg(20)[:500],
    "PetImages/Cat/5370.jpg": encoded(photograph(21), "BMP"),
    "PetImages/Dog/10158.jpg": encoded(photograph(22), "GIF"),
    "PetImages/Dog/800.jpg": with_exif(),
    "PetImages/Cat/Thumbs.db": b"\xd0\xcf\x11\xe0",
    "PetImages/Dog/Thumbs.db": b"\xd0\xcf\x11\xe0",
    "licence.pdf": b"%PDF-1.5",
    "readme[1].txt": b"read me",
}

BREEDS = {"Abyssinian": (1, 1, 1), "Egyptian_Mau": (12, 1, 6), "beagle": (5, 2, 4)}
LISTED = [f"{breed}_{number}" for breed in BREEDS for number in range(1, 9)]


def lines(names: list[str]) -> bytes:
    return "".join(
        f"{name} {' '.join(map(str, BREEDS[name.rpartition('_')[0]]))}\n" for name in names
    ).encode()


IMAGES = {
    **{f"images/{name}.jpg": jpeg(number) for number, name in enumerate(LISTED)},
    "images/Egyptian_Mau_1.jpg": encoded(photograph(50), "GIF"),
    "images/Egyptian_Mau_2.jpg": encoded(photograph(51).convert("RGBA"), "PNG"),
    "images/beagle_1.jpg": jpeg(52)[:700],
    "images/beagle_99.jpg": jpeg(53),  # in no list
    "images/Abyssinian_1.mat": b"MATLAB",
    "images/._Abyssinian_1.jpg": b"Mac",
}
ANNOTATIONS = {
    "annotations/list.txt": b"#Image CLASS-ID SPECIES BREED ID\n" + lines(LISTED),
    "annotations/trainval.txt": lines(LISTED[::2]),
    "annotations/test.txt": lines(LISTED[1::2]),
    "annotations/trimaps/Abyssinian_1.png": encoded(photograph(), "PNG"),
    "annotations/xmls/Abyssinian_1.xml": b"<annotation/>",
}


def zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


ARCHIVES = {
    "kagglecatsanddogs_5340.zip": zipped(CATS_VS_DOGS),
    "images.tar.gz": tarred(IMAGES),
    "annotations.tar.gz": tarred(ANNOTATIONS),
}


@pytest.fixture
def server() -> Iterator[UnreliableServer]:
    with UnreliableServer().running() as server:
        yield server


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache, and an empty folder to work in."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("PAWSURE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(datasets, "PATIENCE", QUICK)
    return tmp_path / "cache" / "downloads"


def stand_in(url: str, file: RemoteFile, content: bytes) -> RemoteFile:
    sha256 = hashlib.sha256(content).hexdigest()
    return replace(file, urls=(url,), num_bytes=len(content), sha256=sha256)


def put_online(server: UnreliableServer, monkeypatch, name: str, *answers: Answer) -> Dataset:
    """Let a name stand for our own archives on our own server.

    Args:
        answers: to requests for each of the files; the whole file by default.
    """
    data = DATASETS[name]
    files = []
    for file in data.files:
        content = ARCHIVES[file.name]
        url = server.serve(f"/{file.name}", *(answers or [whole(content)]))
        files.append(stand_in(url, file, content))
    online = replace(data, files=tuple(files))
    monkeypatch.setitem(DATASETS, name, online)
    return online


class TestTheTable:
    @pytest.mark.parametrize("data", DATASETS.values(), ids=DATASETS)
    def test_it_is_well_formed(self, data):
        for file in data.files:
            assert all(url.startswith("https://") for url in file.urls)
            assert all(url.endswith("/" + file.name) for url in file.urls)
            assert re.fullmatch("[0-9a-f]{64}", file.sha256)

    def test_sizes_are_those_that_were_published(self):
        sizes = {file.name: file.num_bytes for data in DATASETS.values() for file in data.files}
        assert sizes == {
            "kagglecatsanddogs_5340.zip": 824_887_076,
            "images.tar.gz": 791_918_971,
            "annotations.tar.gz": 19_173_078,
        }


class TestCatsVsDogs:
    @pytest.fixture
    def online(self, server, monkeypatch) -> Dataset:
        return put_online(server, monkeypatch, "cats-vs-dogs")

    def test_pictures_with_their_labels(self, online):
        source = open_source("cats-vs-dogs")
        assert (source.name, source.kind) == ("cats-vs-dogs", "zip")
        labels = {entry.path: entry.label for entry in source.entries}
        assert labels["PetImages/Cat/3.jpg"] == "cat"
        assert labels["PetImages/Dog/3.jpg"] == "dog"
        assert len(labels) == 18  # neither Thumbs.db nor papers
        assert {entry.split for entry in source.entries} == {None}
        assert source.read("PetImages/Dog/3.jpg") == jpeg(13)

    def test_bad_files_are_problems_with_names(self, online):
        catalog = build_catalog("cats-vs-dogs")
        assert catalog.labels == ("cat", "dog")
        problems = catalog.problems()
        assert set(problems) == {f"PetImages/{x}.jpg" for x in ("Cat/666", "Cat/700", "Dog/11702")}
        assert problems["PetImages/Cat/666.jpg"] == "the file is empty"
        formats = dict(zip(catalog.path, catalog.format, strict=True))
        assert formats["PetImages/Cat/5370.jpg"] == "BMP"
        assert formats["PetImages/Dog/800.jpg"] == "JPEG"

    def test_it_is_fetched_once(self, online, server, cache):
        told = Told()
        for _ in range(2):
            open_source("cats-vs-dogs", progress=told)
        assert len(server.requests) == 1
        folder = cache / "cats-vs-dogs"
        assert told.said == [
            f"Downloading {online.title}: 0 MB, once, into {folder}.",
            f"{online.title} is in {folder / 'kagglecatsanddogs_5340.zip'}, for this and later "
            "runs.",
        ]

    def test_it_is_checked_but_once(self, online, monkeypatch):
        open_source("cats-vs-dogs")
        monkeypatch.setattr(datasets, "verify", None)
        open_source("cats-vs-dogs")

    def test_a_folder_of_that_name_comes_first(self, server):
        for name in ("cats-vs-dogs/cat/1.jpg", "cats-vs-dogs/dog/1.jpg"):
            Path(name).parent.mkdir(parents=True)
            Path(name).write_bytes(jpeg())
        assert open_source("cats-vs-dogs").kind == "folder"

    def test_it_may_be_put_there_by_hand(self, online, server, cache):
        path = cache / "cats-vs-dogs/kagglecatsanddogs_5340.zip"
        path.parent.mkdir(parents=True)
        path.write_bytes(ARCHIVES[path.name])
        told = Told()
        assert len(open_source("cats-vs-dogs", progress=told).entries) == 18
        assert server.requests == []
        assert told.bars == [("Checking kagglecatsanddogs_5340.zip", 1, "MB")]

    def test_something_else_put_there_is_named_and_kept(self, online, cache):
        path = cache / "cats-vs-dogs/kagglecatsanddogs_5340.zip"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"my own")
        with pytest.raises(DownloadError, match=f"{path} has 6 bytes; .* Remove it to download"):
            open_source("cats-vs-dogs")
        assert path.read_bytes() == b"my own"

    def test_what_was_changed_since_is_noticed(self, online, cache):
        open_source("cats-vs-dogs")
        path = cache / "cats-vs-dogs/kagglecatsanddogs_5340.zip"
        path.write_bytes(bytes(path.stat().st_size))
        os.utime(path, ns=(1, 1))
        with pytest.raises(DownloadError, match="is not the published"):
            open_source("cats-vs-dogs")

    def test_a_cache_that_can_only_be_read_will_do(self, online, cache, monkeypatch):
        open_source("cats-vs-dogs")

        def refused(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "open", refused)
        monkeypatch.setattr(Path, "mkdir", refused)
        assert len(open_source("cats-vs-dogs").entries) == 18


class TestOxfordPets:
    @pytest.fixture
    def online(self, server, monkeypatch) -> Dataset:
        return put_online(server, monkeypatch, "oxford-pets")

    def test_labels_are_species_and_splits_as_published(self, online):
        source = open_source("oxford-pets")
        assert (source.name, source.kind) == ("oxford-pets", "folder")
        told = {entry.path: (entry.label, entry.split) for entry in source.entries}
        assert told["images/Abyssinian_1.jpg"] == ("cat", "train")
        assert told["images/Egyptian_Mau_2.jpg"] == ("cat", "test")
        assert told["images/beagle_3.jpg"] == ("dog", "train")
        assert told["images/beagle_4.jpg"] == ("dog", "test")
        assert [entry.path for entry in source.entries] == sorted(told)
        assert source.read("images/beagle_3.jpg") == IMAGES["images/beagle_3.jpg"]

    def test_pictures_in_no_list_are_not_part_of_it(self, online):
        assert "images/beagle_99.jpg" not in {e.path for e in open_source("oxford-pets").entries}

    def test_bad_files_are_problems_with_names(self, online):
        catalog = build_catalog("oxford-pets")
        assert catalog.labels == ("cat", "dog")
        assert set(catalog.problems()) == {"images/beagle_1.jpg"}
        formats = dict(zip(catalog.path, catalog.format, strict=True))
        assert formats["images/Egyptian_Mau_1.jpg"] == "GIF"
        assert formats["images/Egyptian_Mau_2.jpg"] == "PNG"

    def test_the_published_test_split_is_kept_and_validation_drawn_from_training(self, online):
        catalog = assign_splits(build_catalog("oxford-pets"), seed=0, validation=0.3)
        test = {f"images/{name}.jpg" for name in LISTED[1::2]}
        assert set(catalog.path[catalog.where("test")]) == test - {"images/beagle_1.jpg"}
        assert len(catalog.where("validation"))

    def test_pictures_and_lists_are_all_that_is_kept(self, online, cache, server):
        open_source("oxford-pets")
        folder = cache / "oxford-pets"
        kept = f"unpacked-{online.files[0].sha256[:16]}"
        assert sorted(os.listdir(folder)) == [".lock", kept]
        assert set(os.listdir(folder / kept / "annotations")) == {
            "list.txt", "trainval.txt", "test.txt",
        }  # fmt: skip
        assert set(os.listdir(folder / kept / "images")) == {
            f"{name}.jpg" for name in [*LISTED, "beagle_99"]
        }
        open_source("oxford-pets")
        assert len(server.requests) == 2

    def test_a_picture_that_went_away_is_one_bad_picture(self, online, cache):
        source = open_source("oxford-pets")
        next(cache.glob("oxford-pets/unpacked-*/images/beagle_3.jpg")).unlink()
        with pytest.raises(PictureError, match=r"^images/beagle_3\.jpg: there is no such file$"):
            source.read("images/beagle_3.jpg")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (
                {"annotations/test.txt": b"Abyssinian_1 1 3 1\n"},
                "test.txt, line 1: expected a name",
            ),
            ({"annotations/test.txt": b"# x\n\n../a 1 1 1\n"}, "line 3: .* found '../a 1 1 1'"),
            ({"annotations/test.txt": b"a_1 1 1\n"}, "line 1: expected a name and three numbers"),
            ({"annotations/test.txt": b"\xff"}, "test.txt can't be read"),
            ({"annotations/test.txt": lines(LISTED)}, "lists images/.*jpg twice"),
            ({"annotations/test.txt": None}, "test.txt can't be read"),
            ({"annotations/../../up": b""}, "might lead out of its folder"),
        ],
    )
    def test_archives_that_are_not_what_they_should_be(
        self, server, monkeypatch, cache, change, message
    ):
        members = {k: v for k, v in (ANNOTATIONS | change).items() if v is not None}
        monkeypatch.setitem(ARCHIVES, "annotations.tar.gz", tarred(members))
        put_online(server, monkeypatch, "oxford-pets")
        with pytest.raises(DownloadError, match=message):
            open_source("oxford-pets")
        assert set(os.listdir(cache / "oxford-pets")) == {
            ".lock", "images.tar.gz", "images.tar.gz.checked",
            "annotations.tar.gz", "annotations.tar.gz.checked",
        }  # fmt: skip


class TestErrors:
    def test_they_say_what_else_works(self, server, monkeypatch, cache):
        data = put_online(server, monkeypatch, "oxford-pets", status(404))
        with pytest.raises(DownloadError) as caught:
            open_source("oxford-pets")
        told = str(caught.value)
        assert told.startswith("'oxford-pets' is not available: images.tar.gz can't be downloaded ")
        assert "the server answered 404" in told
        assert "Use 'sample' (drawn pictures), or a folder or archive of your own" in told
        for file in data.files:
            where = cache / "oxford-pets" / file.name
            assert f"{file.urls[0]} as {where} ({file.num_bytes:,} bytes)" in told

    def test_too_little_room_is_told_before_anything_is_fetched(self, server, monkeypatch):
        put_online(server, monkeypatch, "cats-vs-dogs")
        monkeypatch.setattr(
            disk_space.shutil, "disk_usage", lambda _: SimpleNamespace(free=99_000_000)
        )
        with pytest.raises(DownloadError, match="99 MB free, and 100 MB .* set PAWSURE_CACHE"):
            open_source("cats-vs-dogs")
        assert server.requests == []

    def test_a_cache_that_can_not_be_made(self, tmp_path, monkeypatch):
        (tmp_path / "file").write_bytes(b"")
        monkeypatch.setenv("PAWSURE_CACHE", str(tmp_path / "file"))
        with pytest.raises(DownloadError, match="can't be written or read: .* PAWSURE_CACHE"):
            open_source("cats-vs-dogs")


# What another process does: it opens a data set of a table that a test made, by name.
OTHER_PROCESS = """
import json, sys
from dataclasses import replace
from pawsure.data import datasets
from pawsure.data.remote_files import RemoteFile
from pawsure.data.sources import open_source
name, files = sys.argv[1], json.loads(sys.argv[2])
data = replace(datasets.DATASETS[name], files=tuple(RemoteFile(**file) for file in files))
datasets.DATASETS[name] = data
print(len(open_source(name).entries))
"""


def other_process(name: str, data: Dataset) -> subprocess.Popen[str]:
    files = json.dumps([vars(file) | {"urls": list(file.urls)} for file in data.files])
    return subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, name, files],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class TestAtTheSameTime:
    def test_threads_and_processes_fetch_once(self, server, monkeypatch):
        name = "oxford-pets"
        data = put_online(server, monkeypatch, name)
        found: list[int] = []
        threads = [
            threading.Thread(target=lambda: found.append(len(open_source(name).entries)))
            for _ in range(4)
        ]
        other = other_process(name, data)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        output, errors = other.communicate(timeout=30)
        assert found == [24] * 4
        assert output == "24\n", errors
        assert len(server.requests) == 2

    def test_who_waits_says_so(self, server, monkeypatch, cache):
        name = "cats-vs-dogs"
        put_online(server, monkeypatch, name)
        fetching = threading.Event()
        go_on = threading.Event()
        real = datasets.fetch

        def slow(*args, **options) -> None:
            fetching.set()
            assert go_on.wait(10)
            real(*args, **options)

        monkeypatch.setattr(datasets, "fetch", slow)
        first = threading.Thread(target=lambda: open_source(name))
        first.start()
        assert fetching.wait(10)
        told = Told()
        second = threading.Thread(target=lambda: open_source(name, progress=told))
        second.start()
        deadline = time.monotonic() + 10
        while not told.said and time.monotonic() < deadline:
            time.sleep(0.01)
        go_on.set()
        first.join(10)
        second.join(10)
        assert told.said == ["Another process is downloading cats-vs-dogs; waiting for it."]


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
class TestKilled:
    def test_while_fetching_the_next_goes_on(self, server, monkeypatch, cache):
        name, content = "cats-vs-dogs", ARCHIVES["kagglecatsanddogs_5340.zip"]
        half = len(content) // 2
        answers = [whole(content, hang_after=half), whole(content)]
        data = put_online(server, monkeypatch, name, *answers)
        other = other_process(name, data)
        part = cache / name / f"{data.files[0].name}.part"
        deadline = time.monotonic() + 20
        while not (part.exists() and part.stat().st_size == half):
            assert time.monotonic() < deadline and other.poll() is None, other.communicate()
            time.sleep(0.01)
        other.send_signal(signal.SIGKILL)
        other.communicate()
        told = Told()
        assert len(open_source(name, progress=told).entries) == 18
        assert server.ranges() == [None, f"bytes={half}-"]
        assert told.said[0].endswith("; 0 MB are there already.")

    @pytest.mark.parametrize("after", range(0, 28, 9))
    def test_while_unpacking_the_next_begins_anew(self, server, monkeypatch, cache, after):
        """Killed is: nothing that would tidy up runs. So leave what would lie there."""
        data = put_online(server, monkeypatch, "oxford-pets")
        folder = cache / "oxford-pets"
        folder.mkdir(parents=True)
        for file in data.files:
            (folder / file.name).write_bytes(ARCHIVES[file.name])
        litter = folder / ".unpacked-x.0123456789ab"
        (litter / "images").mkdir(parents=True)
        for path, content in list(IMAGES.items())[:after]:
            (litter / path).write_bytes(content)
        (folder / ".images.tar.gz.0123.checked").write_bytes(b"{")
        assert len(open_source("oxford-pets").entries) == 24
        assert len(os.listdir(folder)) == 2
        assert server.requests == []

    def test_an_exception_while_unpacking_leaves_the_archives(self, server, monkeypatch, cache):
        put_online(server, monkeypatch, "oxford-pets")

        def broken(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(datasets, "unpack_tar", broken)
            with pytest.raises(KeyboardInterrupt):
                open_source("oxford-pets")
        assert not [name for name in os.listdir(cache / "oxford-pets") if "unpacked" in name]
        assert len(open_source("oxford-pets").entries) == 24
        assert len(server.requests) == 2


class TestTheCommandLine:
    def test_it_says_what_it_fetches_and_fails_with_the_code_for_data(
        self, server, monkeypatch, cache
    ):
        from typer.testing import CliRunner
        from whole_app import app

        data = put_online(server, monkeypatch, "cats-vs-dogs", status(403))
        result = CliRunner().invoke(app, ["train", "cats-vs-dogs", "--out", "run"])
        assert result.exit_code == 4
        assert (
            f"Downloading {data.title}: 0 MB, once, into {cache / 'cats-vs-dogs'}." in result.output
        )
        assert "'cats-vs-dogs' is not available:" in result.output
        assert not Path("run").exists()


def test_nothing_that_fetches_is_loaded_until_something_is_fetched():
    code = (
        "import sys, pawsure.data.sources; print([m for m in ('urllib.request', 'ssl', 'tarfile',"
        " 'pawsure.data.datasets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

from __future__ import annotations

import gzip
import io
import os
import random
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unreliable_server import Told

from pawsure.data.archives import unpack_tar
from pawsure.errors import DownloadError

PICTURE = random.Random(0).randbytes(30_000)


def everything(name: str) -> bool:
    return True


def plain(name: str, content: bytes = PICTURE) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info, content


def special(name: str, type: bytes, linkname: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = type, linkname
    return info, b""


def tar(*members: tuple[tarfile.TarInfo, bytes], mode: str = "w:gz", format=tarfile.PAX_FORMAT):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode, format=format) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


@pytest.fixture
def unpack(tmp_path):
    """Unpacks bytes into a folder `in`, beside which nothing may appear."""
    (tmp_path / "in").mkdir()

    def unpack(data: bytes, wanted=everything, **options) -> dict[str, bytes]:
        path = tmp_path / "a.tar.gz"
        path.write_bytes(data)
        count = unpack_tar(path, tmp_path / "in", wanted=wanted, **options)
        found = files_in(tmp_path / "in")
        assert count == len(found)
        return found

    yield unpack
    assert set(os.listdir(tmp_path)) <= {"in", "a.tar.gz"}


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


class TestGoodArchives:
    @pytest.mark.parametrize("mode", ["w", "w:gz"])
    @pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
    def test_what_is_wanted_comes_out(self, unpack, mode, format):
        deep = "/".join(["folder"] * 40) + "/c.jpg"  # too long for a plain header
        data = tar(
            special("images", tarfile.DIRTYPE),
            plain("./images/a.jpg"),
            plain("images/b.txt", b"x"),
            plain("images/empty.jpg", b""),
            plain(deep),
            mode=mode,
            format=format,
        )
        found = unpack(data, wanted=lambda name: name.endswith(".jpg"))
        assert found == {"images/a.jpg": PICTURE, "images/empty.jpg": b"", deep: PICTURE}

    def test_files_are_ours_whatever_the_archive_says(self, unpack, tmp_path):
        info, content = plain("a.jpg")
        info.mode, info.uid = 0o4777, 12345
        unpack(tar((info, content)))
        found = (tmp_path / "in/a.jpg").stat()
        assert found.st_mode & 0o7111 == 0
        assert found.st_uid == os.geteuid()

    def test_megabytes_are_told(self, unpack):
        told = Told()
        unpack(tar(plain("a.jpg", random.Random(0).randbytes(2_500_000))), progress=told)
        assert told.bars == [("Unpacking a.tar.gz", 2, "MB")]
        assert told.steps == [2]
        assert not told.open


HOSTILE = {
    "up": plain("../up.jpg"),
    "up from inside": plain("images/../../up.jpg"),
    "absolute": plain("/tmp/absolute.jpg"),
    "drive": plain("C:/drive.jpg"),
    "backslashes": plain("..\\up.jpg"),
    "control": plain("a\x1b[2J.jpg"),
    "link": special("a.jpg", tarfile.SYMTYPE, "/etc/passwd"),
    "link to a folder": special("images", tarfile.SYMTYPE, ".."),
    "hard link": special("a.jpg", tarfile.LNKTYPE, "../a.tar.gz"),
    "character device": special("a.jpg", tarfile.CHRTYPE),
    "block device": special("a.jpg", tarfile.BLKTYPE),
    "pipe": special("a.jpg", tarfile.FIFOTYPE),
    "folder outside": special("../folder", tarfile.DIRTYPE),
}


class TestHostileArchives:
    @pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
    @pytest.mark.parametrize("member", HOSTILE.values(), ids=HOSTILE)
    def test_what_leads_out_or_is_no_file_is_refused(self, unpack, member, format):
        with pytest.raises(DownloadError, match=r"a\.tar\.gz holds .* nothing of it was kept"):
            unpack(tar(plain("first.jpg"), member, plain("images/up.jpg"), format=format))

    def test_even_where_it_is_not_wanted(self, unpack):
        with pytest.raises(DownloadError, match="which is a link"):
            unpack(tar(HOSTILE["link"]), wanted=lambda name: False)

    @pytest.mark.parametrize("again", ["a.jpg", "./a.jpg", "x/../a.jpg", ".//a.jpg"])
    def test_a_name_that_comes_twice(self, unpack, again):
        with pytest.raises(DownloadError, match="twice|lead out"):
            unpack(tar(plain("a.jpg"), plain(again, b"other")))

    def test_a_file_where_a_folder_must_be(self, unpack):
        with pytest.raises(DownloadError, match="can't be written"):
            unpack(tar(plain("a"), plain("a/b.jpg")))

    def test_a_link_that_lies_there_is_not_written_through(self, unpack, tmp_path):
        (tmp_path / "in/a.jpg").symlink_to(tmp_path / "victim")
        with pytest.raises(DownloadError, match="twice"):
            unpack(tar(plain("a.jpg")))

    def test_a_sparse_file(self, unpack):
        info, content = plain("a.jpg", bytes(512))
        info.pax_headers = {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": "a.jpg",
            "GNU.sparse.realsize": str(10**15),
        }
        with pytest.raises(DownloadError):
            unpack(tar((info, b"1\n0\n1\n".ljust(512, b"\0"))))


class TestBombs:
    def test_too_much_growth(self, unpack):
        bomb = tar(plain("a.jpg", bytes(70_000_000)))
        with pytest.raises(DownloadError, match="unpacks to more than 64,000,000 bytes"):
            unpack(bomb)

    def test_what_is_not_wanted_counts_too(self, unpack):
        bomb = tar(plain("a.jpg", bytes(70_000_000)))
        with pytest.raises(DownloadError, match="more than 64,000,000 bytes"):
            unpack(bomb, wanted=lambda name: False)

    def test_after_the_end(self, unpack):
        bomb = gzip.compress(tar(plain("a.jpg"), mode="w") + bytes(70_000_000), 1)
        with pytest.raises(DownloadError, match="goes on after its end"):
            unpack(bomb)

    def test_the_limit(self, unpack):
        data = tar(*(plain(f"{i}.jpg") for i in range(3)))
        assert len(unpack(data, max_bytes=92_000)) == 3
        with pytest.raises(DownloadError, match="unpacks to more than 91,000 bytes"):
            unpack(data, max_bytes=91_000, wanted=lambda name: False)

    def test_very_many_empty_files(self, unpack):
        with pytest.raises(DownloadError, match="unpacks to more than 50,000 bytes"):
            unpack(tar(*(plain(f"{i}.jpg", b"") for i in range(100))), max_bytes=50_000)

    @pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
    def test_an_endless_name(self, unpack, format):
        with pytest.raises(DownloadError, match="name too long"):
            unpack(tar(plain("a" * 1_000_000 + ".jpg"), format=format))

    @pytest.mark.parametrize("size", [b"\xff" * 12, b"\x80" + b"\0" * 3 + b"\x7f" * 8])
    def test_a_size_that_can_not_be(self, unpack, size):
        data = bytearray(tar(plain("a.jpg"), plain("b.jpg"), mode="w", format=tarfile.GNU_FORMAT))
        data[124:136] = size
        data[148:156] = b" " * 8
        data[148:156] = b"%06o\0 " % sum(data[:512])
        with pytest.raises(DownloadError, match=r"a\.tar\.gz (unpacks to more|can't be unpacked)"):
            unpack(bytes(data))


class TestDamage:
    DATA = tar(plain("a.jpg"), plain("b.jpg"))
    PLAIN = tar(plain("a.jpg"), plain("b.jpg"), mode="w")

    @pytest.mark.parametrize("data", [b"", b"\x1f\x8b", b"not a tar", bytes(100)])
    def test_no_archive(self, unpack, data):
        with pytest.raises(DownloadError, match=r"can't be unpacked \(.*damaged or was cut short"):
            unpack(data)

    def test_it_is_not_there(self, tmp_path):
        with pytest.raises(DownloadError, match="none.tar can't be unpacked"):
            unpack_tar(tmp_path / "none.tar", tmp_path, wanted=everything)

    def test_cut_at_the_border_of_a_member(self, unpack):
        border = 512 + 30_208
        assert self.PLAIN[border:].startswith(b"b.jpg")
        with pytest.raises(DownloadError, match="can't be unpacked"):
            unpack(self.PLAIN[:border])

    def test_a_damaged_header_is_not_taken_for_the_end(self, unpack):
        data = bytearray(self.PLAIN)
        data[512 + 30_208] ^= 1
        with pytest.raises(DownloadError, match="a header is damaged"):
            unpack(bytes(data))

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(share=st.floats(0, 1, exclude_max=True), packed=st.booleans())
    def test_cut_anywhere(self, tmp_path_factory, share, packed):
        """Property: what is cut short is never taken for whole."""
        folder = tmp_path_factory.mktemp("cut")
        data = self.DATA if packed else self.PLAIN
        # Both end in padding or a length that may be missing without harm.
        end = int((len(data) if packed else 2 * (512 + 30_208)) * share)
        (folder / "a.tar").write_bytes(data[:end])
        with pytest.raises(DownloadError, match="can't be unpacked"):
            unpack_tar(folder / "a.tar", folder / "in", wanted=everything)

    @settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(at=st.integers(0, len(DATA) - 1), bit=st.integers(0, 7))
    def test_one_bit_anywhere(self, tmp_path_factory, at, bit):
        """Property: the files are right, or there is an error of ours."""
        folder = tmp_path_factory.mktemp("bit")
        data = bytearray(self.DATA)
        data[at] ^= 1 << bit
        (folder / "a.tar").write_bytes(data)
        try:
            unpack_tar(folder / "a.tar", folder / "in", wanted=everything)
        except DownloadError:
            return
        assert files_in(folder / "in") == {"a.jpg": PICTURE, "b.jpg": PICTURE}

    @settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.binary(max_size=2000), valid=st.booleans())
    def test_any_bytes(self, tmp_path_factory, data, valid):
        """Property: nothing but our own error ever comes out, and nothing is written outside."""
        folder = tmp_path_factory.mktemp("any")
        header = bytearray(data.ljust(512, b"\0")[:512])
        if valid:
            header[148:156] = b" " * 8
            header[148:156] = b"%06o\0 " % sum(header)
        (folder / "a.tar").write_bytes(bytes(header) + data)
        (folder / "in").mkdir()
        with suppress(DownloadError):
            unpack_tar(folder / "a.tar", folder / "in", wanted=everything)
        assert set(os.listdir(folder)) == {"a.tar", "in"}

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from drawn_pictures import jpeg

from pawsure.data.sources import open_source
from pawsure.data.zip_names import named_members


def packed(path: Path, names: list[bytes], *, extra: bytes = b"") -> Path:
    """An archive whose names are these bytes, without the flag for UTF-8."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            info = zipfile.ZipInfo("x" * len(name))
            info.extra = extra
            archive.writestr(info, jpeg())
    data = path.read_bytes()
    for name in names:
        data = data.replace(b"x" * len(name), name, 1)
    for name in names:
        at = data.rindex(b"PK\x01\x02")
        data = data[:at] + data[at:].replace(b"x" * len(name), name, 1)
    path.write_bytes(data)
    return path


def names_in(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return [name for name, _ in named_members(archive)]


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("kätze.jpg", "cp437"),
        ("höhe.jpg", "cp437"),
        ("señor.jpg", "cp437"),
        ("niñ_1.jpg", "cp437"),
        ("kätze.jpg", "utf-8"),
        ("кот.jpg", "utf-8"),
        ("写真/猫.jpg", "cp932"),
        ("ねこ_1.jpg", "cp932"),
        ("cat.jpg", "ascii"),
    ],
)
def test_names_in_the_encodings_that_archivers_write(tmp_path, name, encoding):
    assert names_in(packed(tmp_path / "a.zip", [name.encode(encoding)])) == [name]


def test_the_unicode_name_that_info_zip_adds_counts(tmp_path):
    raw, name = b"k?tze.jpg", "kätze.jpg"
    field = struct.pack("<BI", 1, zlib.crc32(raw)) + name.encode()
    extra = struct.pack("<HH", 0x7075, len(field)) + field
    assert names_in(packed(tmp_path / "a.zip", [raw], extra=extra)) == [name]


def test_backslashes_part_folders(tmp_path):
    names = [f"{split}\\{label}\\IMG_{n:04}.jpg".encode()
             for n, (split, label) in enumerate((s, l) for s in ("train", "val") for l in ("a", "b"))]  # fmt: skip  # noqa: E501, E741
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            info = zipfile.ZipInfo("x")
            info.filename = name.decode()
            archive.writestr(info, jpeg())
    source = open_source(path)
    assert [(entry.label, entry.split) for entry in source.entries] == [
        ("a", "train"), ("b", "train"), ("a", "validation"), ("b", "validation"),
    ]  # fmt: skip
    assert source.read("train/a/IMG_0000.jpg") == jpeg()


def test_names_in_an_unknown_encoding_are_told(tmp_path):
    (note,) = open_source(packed(tmp_path / "a.zip", ["\u72d7/1.jpg".encode("gbk")])).notes
    assert "in an encoding that it does not state" in note
    assert not open_source(packed(tmp_path / "b.zip", ["k\xe4tze/1.jpg".encode("cp437")])).notes

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drawn_pictures import fill, jpeg, put

from pawsure.data.catalog import build_catalog
from pawsure.data.sources import open_source
from pawsure.errors import DataError, ManifestError

NAMES = ["cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/2.jpg"]
UMLAUT = "kätze"


@pytest.fixture
def home(tmp_path) -> Path:
    """A folder with pictures, to write a manifest into."""
    return fill(tmp_path / "home", NAMES)


def lines(paths: list[str], *, sep: str = ",", end: str = "\n") -> str:
    rows = [f"path{sep}label", *(f"{path}{sep}{name.split('/')[0]}" for path, name in
            zip(paths, NAMES, strict=True))]  # fmt: skip
    return end.join(rows) + end


def check_all_are_read(manifest: Path) -> None:
    catalog = build_catalog(manifest)
    assert not catalog.problems() and catalog.labels == ("cat", "dog")
    assert [catalog.read(row) for row in range(4)] == [jpeg(seed) for seed in range(4)]


@pytest.mark.parametrize(
    "data",
    [
        lines(NAMES, end="\r\n").encode("utf-16"),
        lines(NAMES, sep="\t", end="\r\n").encode("utf-16-le"),
        ("sep=;\r\n" + lines(NAMES, sep=";", end="\r\n")).encode("utf-8-sig"),
        lines(NAMES, sep="|").encode(),
        lines(NAMES).replace(",cat", ', " cat\n"').encode(),
    ],
)
def test_what_spreadsheets_write(home, data):
    check_all_are_read(put(home / "list.csv", data))


def test_paths_of_windows(home):
    check_all_are_read(put(home / "list.csv", lines([n.replace("/", "\\") for n in NAMES])))


@pytest.mark.parametrize("start", ["C:\\Users\\me\\data\\", "/home/me/data/", "file:///C:/data/"])
def test_absolute_paths_of_another_machine_are_found_beside_the_manifest(home, start):
    sep = "\\" if "\\" in start else "/"
    manifest = put(home / "list.csv", lines([start + n.replace("/", sep) for n in NAMES]))
    check_all_are_read(manifest)
    assert "which is not here; the files are beside it" in open_source(manifest).notes[0]


def test_nothing_is_taken_for_another_file_of_the_same_name(home):
    """One of them is not there: the others are not moved to where their names are."""
    moved = [f"/data/{name}" for name in (*NAMES[:3], "dog/9.jpg")]
    with pytest.raises(ManifestError, match="None of the 4 files"):
        build_catalog(put(home / "list.csv", lines(moved)))


def test_addresses_of_files(home):
    check_all_are_read(put(home / "list.csv", lines([(home / n).as_uri() for n in NAMES])))


def test_paths_from_the_folder_above_and_from_where_one_stands(home, tmp_path, monkeypatch):
    above = put(home / "list.csv", lines([f"home/{name}" for name in NAMES]))
    check_all_are_read(above)
    assert f"relative to {tmp_path}" in open_source(above).notes[0]
    monkeypatch.chdir(home)
    check_all_are_read(put(tmp_path / "elsewhere/list.csv", lines(NAMES)))


def test_names_in_another_case_and_with_accents_taken_apart(tmp_path):
    put(tmp_path / unicodedata.normalize("NFD", UMLAUT) / "IMG_1.JPG", jpeg(1))
    put(tmp_path / "hund" / "IMG_2.JPG", jpeg(2))
    text = f"path,label\n{unicodedata.normalize('NFC', UMLAUT)}/img_1.jpg,a\nHund/img_2.jpg,b\n"
    source = open_source(put(tmp_path / "list.csv", text))
    assert [source.read(entry.path) for entry in source.entries] == [jpeg(1), jpeg(2)]


def test_two_files_that_differ_in_case_are_not_guessed_between(tmp_path):
    fill(tmp_path, ["a.jpg", "A.JPG", "b.jpg"])
    if len(os.listdir(tmp_path)) < 3:
        pytest.skip("this file system does not tell case")
    source = open_source(put(tmp_path / "list.csv", "path,label\nA.jpg,x\nb.jpg,y\n"))
    assert build_catalog(source, for_training=False).problems() == {
        "A.jpg": "there is no such file"
    }


def test_blanks_that_belong_to_a_name_are_kept(tmp_path):
    fill(tmp_path, ["dog /1.jpg", " dog/2.jpg", "cat/3.jpg "])
    text = "path,label\ndog /1.jpg,dog \n dog/2.jpg, dog\ncat/3.jpg ,cat\n"
    source = open_source(put(tmp_path / "list.csv", text))
    assert [(source.read(e.path), e.label) for e in source.entries] == [
        (jpeg(0), "dog"), (jpeg(1), "dog"), (jpeg(2), "cat"),
    ]  # fmt: skip


@pytest.mark.skipif(os.name != "posix", reason="names of any bytes are a Unix matter")
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_bytes_that_are_not_unicode_lead_to_their_file(tmp_path, suffix):
    odd = os.fsdecode(b"k\xe4tze/1.jpg")
    try:
        fill(tmp_path, [odd, "hund/1.jpg"])
    except OSError:
        pytest.skip("this file system takes Unicode only")
    written = tmp_path / f"list.{suffix}"
    if suffix == "csv":
        put(written, b"path,label\nk\xe4tze/1.jpg,k\xe4tze\nhund/1.jpg,hund\n")
    else:
        table = {"path": [r"k\udce4tze/1.jpg", "hund/1.jpg"], "label": [UMLAUT, "hund"]}
        pq.write_table(pa.table(table), written)
    source = open_source(written)
    assert [entry.label for entry in source.entries] == [UMLAUT, "hund"]
    assert source.read(source.entries[0].path) == jpeg(0)


def test_a_latin_1_table_leads_to_files_with_unicode_names(tmp_path):
    fill(tmp_path, [f"{UMLAUT}/1.jpg", "hund/1.jpg"])
    text = f"path,label\n{UMLAUT}/1.jpg,{UMLAUT}\nhund/1.jpg,hund\n"
    source = open_source(put(tmp_path / "list.csv", text.encode("latin-1")))
    assert source.entries[0].label == UMLAUT and source.read(source.entries[0].path) == jpeg(0)


def test_labels_are_compared_as_those_of_folders_are(home):
    forms = [unicodedata.normalize(form, "café") for form in ("NFC", "NFD", "NFC", "NFD")]
    rows = "".join(f"{name},{form}\n" for name, form in zip(NAMES, forms, strict=True))
    source = open_source(put(home / "list.csv", "path,label\n" + rows))
    assert {entry.label for entry in source.entries} == {"café"}


def test_one_file_under_two_labels_is_found_however_it_is_written(home):
    text = "path,label\ncat/1.jpg,cat\n./cat/1.jpg,dog\n"
    with pytest.raises(ManifestError, match=r"as 'cat' and as 'dog' \(rows 2 and 3\)"):
        open_source(put(home / "list.csv", text))


def test_a_bad_row_is_named_and_the_others_are_used(home):
    text = lines(NAMES) + "cat/3.jpg,\n,dog\nhttps://x.org/1.jpg,dog\n"
    catalog = build_catalog(put(home / "list.csv", text))
    assert len(catalog.where()) == 4
    assert catalog.problems() == {
        "cat/3.jpg": "row 6: the label is empty; fill it in or remove the row",
        "(row 7)": "row 7: the path is empty; fill it in or remove the row",
        "https://x.org/1.jpg": "row 8: an address, not a file; download it, and list where it is",
    }


def test_gaps_make_no_label_and_whole_numbers_stay_whole(home):
    table = {"path": NAMES, "label": [0.0, float("nan"), 1.0, None]}
    pq.write_table(pa.table(table), home / "list.parquet")
    assert [entry.label for entry in open_source(home / "list.parquet").entries] == [
        "0", None, "1", None,
    ]  # fmt: skip


@pytest.mark.parametrize("column", ["path", "label"])
def test_lists_are_no_labels(home, column):
    table = {"path": NAMES, "label": ["cat", "cat", "dog", "dog"]}
    table[column] = [[value] for value in table[column]]
    pq.write_table(pa.table(table), home / "list.parquet")
    with pytest.raises(DataError, match=f"row 1: the column {column} holds several values"):
        open_source(home / "list.parquet")


def test_labels_that_differ_in_case_alone_are_refused(home):
    text = lines(NAMES).replace("2.jpg,cat", "2.jpg,Cat")
    with pytest.raises(DataError, match="'Cat' and 'cat', which differ only in upper and lower"):
        open_source(put(home / "list.csv", text))

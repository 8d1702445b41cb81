from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from drawn_pictures import fill

from pawsure.data.listing import list_pictures
from pawsure.data.skipped import Skipped
from pawsure.data.sources import open_source
from pawsure.errors import SourceError

LITTER = [
    "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found", "__MACOSX",
    ".Trash-1000", ".Trashes", ".thumbnails", ".picasaoriginals", ".ipynb_checkpoints", ".git",
    ".AppleDouble", ".dtrash", "Lightroom Previews.lrdata", ".stversions", ".sync",
    ".dropbox.cache", "@Recycle", "#snapshot",
]  # fmt: skip
GOOD = ["cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/2.jpg"]


@pytest.fixture(params=LITTER)
def names(request) -> list[str]:
    """Pictures, and a copy of some in litter: on top, in a label, and deeper."""
    litter = request.param
    return [
        *GOOD, f"{litter}/cat/1.jpg", f"cat/{litter}/1.jpg/thumb.jpg", f"cat/deep/{litter}/3.jpg",
        "cat/._1.jpg",
    ]  # fmt: skip


def test_litter_in_a_folder_is_passed_over(tmp_path, names):
    fill(tmp_path, names)
    assert [entry.path for entry in open_source(tmp_path).entries] == GOOD
    assert list_pictures([tmp_path]) == [tmp_path / name for name in GOOD]


def test_litter_in_an_archive_is_passed_over(tmp_path, names):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    assert [entry.path for entry in open_source(tmp_path / "a.zip").entries] == GOOD


@pytest.mark.parametrize("litter", LITTER)
def test_named_on_purpose_it_is_taken(tmp_path, litter):
    fill(tmp_path / litter, GOOD)
    assert len(list_pictures([tmp_path / litter])) == 4
    assert len(open_source(tmp_path / litter).entries) == 4


def test_what_a_shell_puts_for_a_pattern_is_passed_over(tmp_path):
    fill(tmp_path, [*GOOD, "@eaDir/1.jpg/x.jpg", "#recycle/1.jpg"])
    skipped = Skipped()
    found = list_pictures(sorted(tmp_path.glob("*")), skipped)
    assert found == [tmp_path / name for name in GOOD]
    assert skipped.sentences() == ["Skipped: 2 system folders (#recycle, @eaDir)."]


def test_what_a_shell_puts_for_a_pattern_of_any_depth_is_passed_over(tmp_path):
    fill(tmp_path, [*GOOD, "cat/@eaDir/1.jpg/thumb.jpg"])
    assert list_pictures(sorted(tmp_path.rglob("*.jpg"))) == [tmp_path / name for name in GOOD]
    alone = tmp_path / "cat/@eaDir/1.jpg/thumb.jpg"
    assert list_pictures([alone, tmp_path / "dog/1.jpg"]) == [alone, tmp_path / "dog/1.jpg"]


def test_what_was_passed_over_is_counted_and_named_shortly(tmp_path):
    fill(tmp_path, GOOD)
    for name in (
        "fox/a",
        "fox/b",
        "cat/Thumbs.db",
        "cat/clip.MP4",
        "dog/clip.mov",
        "dog/notes.txt",
    ):
        path = Path(tmp_path, name)
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "bird").mkdir()
    assert list(open_source(tmp_path).notes) == [
        "Skipped: 2 folders without pictures (bird, fox), 2 files without a suffix such as "
        ".jpg (fox/a, fox/b), 2 videos (.mp4 1, .mov 1)."
    ]


def test_the_same_is_counted_in_archives(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in (
            *GOOD,
            "bird/",
            "fox/a",
            "Thumbs.db",
            "cat/clip.mov",
            "@eaDir/x.jpg",
            "@eaDir/y.jpg",
        ):
            archive.writestr(name, b"x")
    assert list(open_source(tmp_path / "a.zip").notes) == [
        "Skipped: 2 folders without pictures (bird, fox), 1 file without a suffix such as "
        ".jpg (fox/a), 1 video (.mov 1), 1 system folder (@eaDir)."
    ]


def test_a_folder_of_archives_says_which_to_name(tmp_path):
    (tmp_path / "photos.zip").write_bytes(b"PK")
    with pytest.raises(SourceError, match=r"but archives\. Name one: .*photos\.zip"):
        open_source(tmp_path)

from __future__ import annotations

import csv
import json
import re
import sys
from dataclasses import replace

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
from drawn_pictures import encoded, put
from PIL import Image
from planted_copies import CHANGES, detailed, opened
from tiny_models import red_or_blue_model_file
from wrong_agreement import wrong_agreement

from pawsure.audit import embeddings
from pawsure.audit.audit import audit
from pawsure.audit.checks import CHECKS, KEEP, LEAVE_OUT
from pawsure.audit.embeddings import Encoder, NoEncoder, find_network
from pawsure.audit.page import build_page
from pawsure.audit.table import findings_table, write_manifest, write_table
from pawsure.data.catalog import build_catalog
from pawsure.errors import ModelFileError, UsageError
from pawsure.installation import install_command
from pawsure.model import builtin
from pawsure.progress_bars import Lines

NOBODY = NoEncoder("Nothing is at hand; give --model FILE.")


def tinted(seed: int, colour: str) -> bytes:
    """A picture with things in it, in shades of one colour."""
    pixels = np.asarray(detailed(seed)).astype(np.float32)
    weight = {"red": (1, 0.2, 0.2), "blue": (0.2, 0.2, 1), "green": (0.1, 1, 0.1)}[colour]
    return encoded(Image.fromarray((pixels * weight).astype(np.uint8)), quality=95)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Red and blue pictures with one of everything that can be wrong."""
    root = tmp_path_factory.mktemp("data")
    for seed in range(60):
        colour = "red" if seed % 2 else "blue"
        put(root / colour / f"{seed}.jpg", tinted(seed, colour))
    put(root / "blue" / "really-red.jpg", tinted(100, "red"))
    put(root / "red" / "green.jpg", tinted(101, "green"))
    put(root / "red" / "same.jpg", tinted(1, "red"))
    put(root / "red" / "mirrored.jpg", CHANGES["mirror"](opened(tinted(3, "red"))))
    put(root / "blue" / "other-label.jpg", CHANGES["quality"](opened(tinted(5, "red"))))
    put(root / "red" / "gif.jpg", encoded(opened(tinted(102, "red")), "GIF"))
    put(root / "red" / "cut.jpg", tinted(103, "red")[:900])
    put(root / "red" / "blank.png", encoded(Image.new("RGB", (90, 90), (200, 0, 0)), "PNG"))
    put(root / "red" / "<b>odd & cut.jpg", tinted(104, "red")[:900])
    return root


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return find_network(model=red_or_blue_model_file(tmp_path_factory.mktemp("m") / "m.onnx"))


@pytest.fixture(scope="module")
def found(data, network, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAWSURE_CACHE", str(tmp_path_factory.mktemp("cache")))
        return audit(data, encoder=network)


def flagged(found, check: str) -> set[str]:
    return set(found.catalog.path[found.flags[check]].tolist())


@pytest.mark.parametrize(
    ("check", "paths"),
    [
        ("unreadable", {"red/cut.jpg", "red/<b>odd & cut.jpg"}),
        ("truncated", {"red/cut.jpg", "red/<b>odd & cut.jpg"}),
        ("misnamed", {"red/gif.jpg"}),
        ("blank", {"red/blank.png"}),
        ("exact_copy", {"red/1.jpg", "red/same.jpg"}),
        ("near_copy", {"red/3.jpg", "red/mirrored.jpg", "red/5.jpg", "blue/other-label.jpg"}),
        ("conflicting_copy", set()),
        ("conflicting_near_copy", {"red/5.jpg", "blue/other-label.jpg"}),
        ("leakage", set()),
    ],
)
def test_what_was_planted_is_what_is_found(found, check, paths):
    assert flagged(found, check) == paths


def test_the_wrong_label_comes_first_with_what_it_looks_like(found):
    first = int(found.ranked("wrong_label")[0])
    assert found.catalog.path[first] == "blue/really-red.jpg"
    assert "blue/really-red.jpg" in flagged(found, "wrong_label")
    assert found.catalog.labels[found.likely[first]] == "red"
    assert "looks like 'red'" in found.reason[first]


def test_the_picture_of_neither_label_comes_first(found):
    assert found.catalog.path[found.ranked("out_of_place")[0]] == "red/green.jpg"


def test_every_score_is_between_0_and_1_for_every_check(found):
    assert set(found.scores) == set(found.flags) == {check.name for check in CHECKS}
    for score in found.scores.values():
        assert score.dtype == np.float32 and len(score) == len(found.catalog)
        assert (score >= 0).all() and (score <= 1).all()


def test_advice_leaves_one_of_each_group_and_nothing_that_teaches_nonsense(found):
    left_out = set(found.catalog.path[found.advice == LEAVE_OUT].tolist())
    assert {"red/cut.jpg", "red/blank.png"} <= left_out
    assert not left_out & {"red/5.jpg", "blue/other-label.jpg"}  # one may be wrong: look
    assert len(left_out & {"red/1.jpg", "red/same.jpg"}) == 1
    assert len(left_out & {"red/3.jpg", "red/mirrored.jpg"}) == 1
    assert not left_out & {"blue/really-red.jpg", "red/green.jpg"}  # people decide about these
    assert (found.reason[found.advice != KEEP] != "").all()


def test_the_summary_counts_what_was_found(found):
    summary = found.summary
    assert (summary.pictures, summary.unreadable) == (69, 2)
    assert (summary.exact_copies, summary.near_copies, summary.copy_groups) == (1, 2, 3)
    assert (summary.conflicting_groups, summary.conflicting_near_groups) == (0, 1)
    assert not summary.by_detail
    told = json.loads(json.dumps(summary.to_dict()))
    assert told["flagged"]["misnamed"] == 1
    assert any("1 exact one and 2 near-copies, in 3 groups" in one for one in told["sentences"])


def test_without_a_network_the_rest_is_still_found(data):
    found = audit(data, encoder=NOBODY)
    assert found.not_looked == NOBODY.reason
    assert not {"wrong_label", "out_of_place"} & set(found.flags)
    assert flagged(found, "exact_copy") == {"red/1.jpg", "red/same.jpg"}
    assert "were not checked. Nothing is at hand" in build_page(found)


def test_one_label_alone_can_be_audited(tmp_path, network):
    for seed in range(6):
        put(tmp_path / "red" / f"{seed}.jpg", tinted(seed, "red"))
    found = audit(tmp_path, encoder=network)
    assert "wrong_label" not in found.flags and "out_of_place" in found.flags
    assert build_page(found)


class TestTables:
    def test_both_forms_say_the_same(self, found, tmp_path):
        table = findings_table(found)
        for name in ("audit.csv", "audit.parquet"):
            write_table(table, tmp_path / name)
        read = pyarrow.parquet.read_table(tmp_path / "audit.parquet")
        with open(tmp_path / "audit.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == read.num_rows == 69
        for check in CHECKS:
            assert {check.name, f"{check.name}_flag"} <= set(rows[0]) & set(read.column_names)
        by_path = {row["path"]: row for row in rows}
        assert by_path["red/cut.jpg"]["advice"] == LEAVE_OUT
        assert by_path["red/cut.jpg"]["reason"].startswith("truncated")
        assert by_path["blue/really-red.jpg"]["likely_label"] == "red"

    @pytest.mark.parametrize("suffix", [".csv", ".parquet"])
    def test_a_cleaned_manifest_can_be_trained_on(self, found, data, tmp_path, suffix):
        before = {path: path.read_bytes() for path in data.rglob("*.*")}
        kept, left_out = write_manifest(found, tmp_path / f"clean{suffix}")
        catalog = build_catalog(tmp_path / f"clean{suffix}")
        assert (kept, left_out) == (len(catalog), 69 - len(catalog))
        assert not catalog.problems() and len(set(catalog.content)) == len(catalog)
        assert {path: path.read_bytes() for path in data.rglob("*.*")} == before

    def test_paths_below_the_manifest_are_relative(self, found, data):
        write_manifest(found, data / "clean.csv")
        try:
            paths = pyarrow.csv.read_csv(data / "clean.csv")["path"].to_pylist()
            assert "blue/0.jpg" in paths
        finally:
            (data / "clean.csv").unlink()

    def test_flagged_pictures_can_be_left_out_as_well(self, found, tmp_path):
        write_manifest(found, tmp_path / "clean.csv", leave_out=["wrong_label", "out_of_place"])
        paths = (tmp_path / "clean.csv").read_text()
        assert "really-red" not in paths and "mirrored" not in paths

    @pytest.mark.parametrize(
        ("name", "leave_out", "message"),
        [
            ("clean.txt", [], r"--apply writes a manifest, .csv or .parquet; got"),
            ("nowhere/clean.csv", [], "There is no folder"),
            ("clean.csv", ["blurry"], "There is no check 'blurry'. There are: unreadable"),
        ],
    )
    def test_what_can_not_be_written_is_refused(self, found, tmp_path, name, leave_out, message):
        with pytest.raises(UsageError, match=message):
            write_manifest(found, tmp_path / name, leave_out=leave_out)

    def test_a_file_that_is_there_is_not_overwritten(self, found, tmp_path):
        put(tmp_path / "clean.csv", "mine")
        with pytest.raises(UsageError, match="exists already"):
            write_manifest(found, tmp_path / "clean.csv")
        assert (tmp_path / "clean.csv").read_text() == "mine"


@pytest.fixture(scope="module")
def page(found):
    return build_page(found)


class TestPage:
    def test_it_needs_nothing_from_anywhere(self, page):
        assert "default-src 'none'" in page
        sources = re.findall(r'(?:src|href)="([^"]*)"', page)
        assert sources and all(source.startswith(("data:image/", "#")) for source in sources)
        assert "<script" not in page

    def test_names_of_files_are_text(self, page):
        assert "<b>odd" not in page
        assert "&lt;b&gt;odd &amp; cut.jpg" in page

    def test_it_has_a_part_for_each_kind_of_find(self, page):
        for part in ("copies", "labels", "outliers", "blank", "files", "make-up", "checks"):
            assert f'id="{part}"' in page and f'href="#{part}"' in page

    @pytest.mark.parametrize(
        ("part", "check"),
        [("labels", "wrong_label"), ("outliers", "out_of_place"), ("blank", "blank")],
    )
    def test_a_part_shows_the_pictures_that_its_title_counts(self, found, page, part, check):
        flagged = int(found.flags[check].sum())
        shown = re.search(rf'<section id="{part}">(.*?)</section>', page)[1]
        assert f" ({flagged})</h2>" in shown
        assert shown.count("<figure>") == flagged > 0

    def test_a_part_without_finds_shows_none_and_says_so(self, found):
        flags = {name: np.zeros_like(flag) for name, flag in found.flags.items()}
        page = build_page(replace(found, flags=flags))
        labels = re.search(r'<section id="labels">.*?</section>', page)[0]
        assert "Wrong labels (0)" in labels and "disagree on 0 labels" in labels
        outliers = re.search(r'<section id="outliers">.*?</section>', page)[0]
        assert "Outliers (0)" in outliers
        assert "<figure>" not in labels + outliers

    def test_nouns_and_verbs_agree_with_their_numbers(self, found, page):
        assert wrong_agreement(page) == []
        of_one = {name: 1 for name in found.summary.flagged}
        summary = replace(
            found.summary,
            **dict.fromkeys(("unreadable", "exact_copies", "near_copies", "copy_groups"), 1),
            conflicting_groups=1,
            flagged=of_one | dict.fromkeys(("animated", "tiny", "huge", "extreme_aspect"), 1),
        )
        sentences = summary.sentences()
        assert len(sentences) >= 10
        assert wrong_agreement(" ".join(sentences)) == []

    def test_it_is_for_light_and_dark(self, page):
        assert "prefers-color-scheme: dark" in page


class TestNetworks:
    def test_a_model_file_has_its_own_size(self, network):
        assert isinstance(network, Encoder) and network.prefix.size_px == 16

    @pytest.mark.parametrize("given", [{"weights": "pets"}, {"size_px": 128}])
    def test_a_model_file_goes_with_nothing_else(self, given, tmp_path):
        with pytest.raises(UsageError, match="give --model alone"):
            find_network(model=tmp_path / "m.onnx", **given)

    def test_a_model_file_that_is_none_is_an_error(self, tmp_path):
        with pytest.raises(ModelFileError, match="There is no model file"):
            find_network(model=tmp_path / "m.onnx")

    def test_weights_have_names(self):
        with pytest.raises(UsageError, match="--weights is imagenet or pets here; got 'cats'"):
            find_network(weights="cats")

    def test_without_keras_the_model_on_board_looks(self, monkeypatch, capsys):
        monkeypatch.setattr(embeddings.importlib.util, "find_spec", lambda name: None)
        found = find_network(progress=Lines(sys.stderr))
        assert found.prefix.path == builtin.builtin_model()
        assert found.name.startswith("the built-in model pets (trained on cats and dogs), ")
        assert "needs 'onnx', which is not installed" in capsys.readouterr().err

    def test_without_onnx_and_model_it_is_said_what_to_do(self, monkeypatch, tmp_path):
        monkeypatch.setattr(embeddings.importlib.util, "find_spec", lambda name: None)
        monkeypatch.setattr(builtin, "builtin_folder", lambda: tmp_path)
        assert install_command("lite") in find_network().reason
        with pytest.raises(UsageError, match="Give --model FILE"):
            find_network(weights="imagenet")

    @pytest.mark.slow
    def test_a_network_is_exported_once_by_another_process(self, tmp_path, monkeypatch):
        pytest.importorskip("keras")
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))  # no ImageNet weights: those on board
        found = find_network(size_px=32)
        assert "built-in weights" in found.name
        monkeypatch.setattr(embeddings, "_export", pytest.fail)
        assert find_network(size_px=32).prefix == replace(found.prefix)

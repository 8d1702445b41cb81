from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from tiny_models import SIZE_PX, tiny_backbone, tiny_model_file

from pawsure.errors import ModelFileError, ShapeError
from pawsure.model.metadata import FORMAT_VERSION, METADATA_KEY, ModelMetadata, read_metadata
from pawsure.model.onnx_file import CHECKSUM_KEY, with_checksum


def rewrite(path: Path, change) -> Path:
    """Change the JSON inside a model file."""
    model = onnx.load(path)
    content = json.loads(model.metadata_props[0].value)
    change(content)
    model.metadata_props[0].value = json.dumps(content)
    onnx.save(model, path)
    _seal_again(path)
    return path


def _seal_again(path: Path) -> None:
    """Give it a checksum that fits, whatever it says."""
    content = path.read_bytes()
    start = content.index(CHECKSUM_KEY.encode()) - 4
    path.write_bytes(with_checksum(content[:start]))


def test_labels_and_size_are_read_from_the_file(tmp_path):
    metadata = read_metadata(tiny_model_file(tmp_path / "model.onnx", labels=("a", "b", "c")))
    assert metadata.labels == ("a", "b", "c")
    assert metadata.size_px == SIZE_PX
    assert metadata.thresholds == {"unsure_below": None, "neither_below": None}


def test_every_cut_of_a_model_file_is_refused_as_such(tmp_path):
    whole = tiny_model_file(tmp_path / "model.onnx", recipe="seed = 1\n" * 30).read_bytes()
    cut = tmp_path / "cut.onnx"
    for length in range(len(whole)):
        cut.write_bytes(whole[:length])
        with pytest.raises(ModelFileError, match="was cut short"):
            read_metadata(cut)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8\xff\xe0" + bytes(100),  # JPEG
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"PK\x03\x04" + bytes(100),  # zip, .keras
        b"\x89HDF\r\n\x1a\n" + bytes(100),
        b"\x1c\x00\x00\x00TFL3" + bytes(100),
        b"version https://git-lfs.github.com/spec/v1\n",
        b"<!DOCTYPE html><html></html>",
        b"2 is a valid tag, but no model starts with it",
        bytes(100),
        b"\xff" * 100,
    ],
)
def test_other_files_are_not_onnx(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"model\.onnx is not an ONNX file"):
        read_metadata(path)


def test_onnx_of_somebody_else_is_told_apart(tmp_path):
    onnx.save(tiny_backbone(), tmp_path / "other.onnx")
    with pytest.raises(ModelFileError, match="is an ONNX file, but not a pawsure model"):
        read_metadata(tmp_path / "other.onnx")


def test_newer_format_says_who_wrote_it_and_how_to_upgrade(tmp_path):
    path = tiny_model_file(tmp_path / "model.onnx")
    rewrite(path, lambda content: content.update(format_version=99, pawsure_version="7.1"))
    with pytest.raises(ModelFileError, match=r"format 99 \(pawsure 7\.1\).*Upgrade pawsure"):
        read_metadata(path)


def test_entries_of_a_later_pawsure_are_ignored_within_the_format(tmp_path):
    path = rewrite(tiny_model_file(tmp_path / "model.onnx"), lambda content: content.update(news=1))
    assert read_metadata(path).labels == ("cat", "dog")


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("labels"),
        lambda content: content.pop("format_version"),
        lambda content: content.update(labels=["cat"]),
        lambda content: content.update(labels=None),
        lambda content: content.update(labels="cat"),
        lambda content: content.update(size_px=0),
        lambda content: content.update(size_px="big"),
    ],
)
def test_damaged_metadata_are_a_model_file_error(tmp_path, change):
    path = rewrite(tiny_model_file(tmp_path / "model.onnx"), change)
    with pytest.raises(ModelFileError, match="metadata that can't be read"):
        read_metadata(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null"])
def test_metadata_that_are_no_json_object(text):
    with pytest.raises(ModelFileError, match="can't be read"):
        ModelMetadata.from_properties({METADATA_KEY: text}, name="m")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(ModelFileError, match="no model file at"):
        read_metadata(tmp_path / "none.onnx")
    with pytest.raises(ModelFileError, match="is a folder"):
        read_metadata(tmp_path)


def test_properties_round_trip():
    metadata = ModelMetadata(labels=("a", "b"), size_px=8, recipe="x = 1")
    assert metadata.format_version == FORMAT_VERSION
    assert ModelMetadata.from_properties(metadata.to_properties(), name="m") == metadata


@pytest.mark.parametrize("labels", [(), ("cat",), ("cat", "cat")])
def test_too_few_labels_are_refused(labels):
    with pytest.raises(ShapeError, match="two or more different labels"):
        ModelMetadata(labels=labels, size_px=8)


def test_figures_that_json_has_no_word_for_are_refused():
    metadata = ModelMetadata(labels=("a", "b"), size_px=8, figures={"loss": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        metadata.to_properties()

"""A model file that was damaged or changed is refused, whatever the damage would have done."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from tiny_models import tiny_model_file

from pawsure.errors import ModelFileError
from pawsure.model.builtin import BUILTIN, builtin_model
from pawsure.model.metadata import read_metadata
from pawsure.model.onnx_file import CHECKSUM_KEY, MODEL_FIELDS, walk
from pawsure.model.predictor import Predictor
from pawsure.model.seal import seal_file


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def assert_flips_are_refused(content: bytes, path: Path, bits: list[int]) -> None:
    for bit in bits:
        path.write_bytes(flipped(content, bit))
        with pytest.raises(ModelFileError):
            Predictor(path)


def entries(path: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def without_checksum(path: Path) -> None:
    model = onnx.load(path)
    kept = [(entry.key, entry.value) for entry in model.metadata_props]
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {k: v for k, v in kept if k != CHECKSUM_KEY})
    onnx.save(model, path)


def test_200_flipped_bits_of_a_model_are_refused(tmp_path):
    content = tiny_model_file(tmp_path / "model.onnx").read_bytes()
    bits = np.random.default_rng(0).choice(len(content) * 8, 200, replace=False)
    assert_flips_are_refused(content, tmp_path / "flipped.onnx", bits.tolist())


@pytest.mark.slow
def test_every_flipped_bit_of_a_model_is_refused(tmp_path):
    content = tiny_model_file(tmp_path / "model.onnx").read_bytes()
    for bit in range(len(content) * 8):
        (tmp_path / "flipped.onnx").write_bytes(flipped(content, bit))
        with pytest.raises(ModelFileError):
            read_metadata(tmp_path / "flipped.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILTIN)
def test_200_flipped_bits_of_a_model_that_comes_with_pawsure_are_refused(tmp_path, name):
    content = builtin_model(name).read_bytes()
    bits = np.random.default_rng(1).choice(len(content) * 8, 200, replace=False)
    assert_flips_are_refused(content, tmp_path / "flipped.onnx", bits.tolist())


@pytest.mark.parametrize("name", BUILTIN)
def test_the_models_that_come_with_pawsure_have_a_checksum(name):
    assert CHECKSUM_KEY in entries(builtin_model(name))


def test_swapped_labels_are_not_believed(tmp_path):
    path = tiny_model_file(tmp_path / "model.onnx", labels=("cat", "dog"))
    content = path.read_bytes().replace(b'["cat", "dog"]', b'["dog", "cat"]')
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"damaged or was changed.*pawsure\.model\.seal"):
        read_metadata(path)


def test_a_checksum_that_was_taken_out_is_missed(tmp_path):
    path = tiny_model_file(tmp_path / "model.onnx")
    without_checksum(path)
    with pytest.raises(
        ModelFileError, match="was cut short or changed: it does not end with its checksum"
    ):
        Predictor(path)


def test_a_file_of_the_format_before_checksums_still_answers(tmp_path):
    path = tiny_model_file(tmp_path / "model.onnx")
    without_checksum(path)
    path.write_bytes(path.read_bytes().replace(b'"format_version": 2', b'"format_version": 1'))
    assert Predictor(path).labels == ("cat", "dog")


def test_what_was_changed_on_purpose_can_be_sealed_again(tmp_path):
    path = tiny_model_file(tmp_path / "model.onnx")
    graph = onnx.load(path).graph.SerializeToString(deterministic=True)
    model = onnx.load(path)
    onnx.helper.set_model_props(
        model, {entry.key: entry.value for entry in model.metadata_props} | {"license": "CC0"}
    )
    onnx.save(model, path)
    with pytest.raises(ModelFileError):
        read_metadata(path)
    command = [sys.executable, "-m", "pawsure.model.seal", str(path)]
    assert subprocess.run(command, check=False).returncode == 0
    assert read_metadata(path).labels == ("cat", "dog")
    assert entries(path)["license"] == "CC0"
    assert onnx.load(path).graph.SerializeToString(deterministic=True) == graph


def test_sealing_gives_an_older_file_the_format_that_requires_a_checksum(tmp_path):
    path = tiny_model_file(tmp_path / "model.onnx")
    whole = path.read_bytes()
    without_checksum(path)
    path.write_bytes(path.read_bytes().replace(b'"format_version": 2', b'"format_version": 1'))
    seal_file(path)
    assert path.read_bytes() == whole
    seal_file(path)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x08\x3a\xff"])
def test_what_is_no_model_is_not_sealed(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelFileError):
        seal_file(path)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_model_that_was_replaced_after_it_was_loaded_does_not_answer_a_series(tmp_path):
    path = tiny_model_file(tmp_path / "model.onnx")
    model = Predictor(path, threads=2)
    tiny_model_file(path, labels=("dog", "cat"))
    with pytest.raises(ModelFileError, match="was replaced after it was loaded"):
        list(model.predict_series(lambda index: b"", [0]))


@pytest.mark.parametrize(
    "changes",
    [
        {"thresholds": []},
        {"thresholds": {}},
        {"thresholds": {"unsure_below": "high", "neither_below": None}},
        {"figures": 3},
        {"recipe": None},
        {"size_px": 16.5},
        {"size_px": True},
        {"labels": [1, 2]},
        {"labels": {"a": 1}},
    ],
)
def test_odd_metadata_are_refused_in_a_sentence(tmp_path, changes):
    path = tiny_model_file(tmp_path / "model.onnx")
    model = onnx.load(path)
    content = json.loads(model.metadata_props[0].value) | changes
    model.metadata_props[0].value = json.dumps(content | {"format_version": 1})
    del model.metadata_props[1:]
    onnx.save(model, path)
    with pytest.raises(ModelFileError, match="metadata that can't be read"):
        Predictor(path)


def test_the_checksum_is_an_entry_that_any_onnx_tool_shows(tmp_path):
    path = tiny_model_file(tmp_path / "model.onnx")
    onnx.checker.check_model(onnx.load(path))
    assert len(entries(path)[CHECKSUM_KEY]) == 8
    assert [number for number, _ in walk(io.BytesIO(path.read_bytes()), MODEL_FIELDS, wanted=())]

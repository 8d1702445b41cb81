"""Files of a run that were damaged are noticed before anything is learned from them."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from pawsure.data.checksums import (
    CHECKSUMS,
    is_unchanged,
    read_checked_json,
    write_checked_json,
    write_checksums,
)
from pawsure.errors import RunFolderError
from pawsure.training.checkpoint import StageState, load_state, save_state
from pawsure.training.run_folder import RECIPE, RunFolder


class Said:
    """A progress that remembers what it was told."""

    def __init__(self):
        self.lines = []

    def say(self, message):
        self.lines.append(message)


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def some_bits(content: bytes, number: int) -> list[int]:
    return np.random.default_rng(0).choice(len(content) * 8, number, replace=False).tolist()


def state(epochs: int) -> StageState:
    rng = np.random.default_rng(epochs)
    arrays = [rng.normal(size=(4, 3)).astype(np.float32), np.array(epochs)]
    history = [{"validation_loss": 1 / epoch} for epoch in range(1, epochs + 1)]
    return StageState(epochs, arrays, arrays, arrays, [rng.random((2, 2))], history)


def check_checkpoint_flips(folder, number):
    path = folder / "checkpoint" / "head.npz"
    save_state(state(1), path)
    save_state(state(2), path)
    assert load_state(path).epochs_done == 2
    content = path.read_bytes()
    for bit in some_bits(content, number):
        path.write_bytes(flipped(content, bit))
        said = Said()
        found = load_state(path, said)
        assert found.epochs_done == 1 and "is damaged" in said.lines[0]
        np.testing.assert_array_equal(found.weights[0], state(1).weights[0])


def test_a_flipped_bit_in_a_checkpoint_takes_the_stage_back_to_the_epoch_before(tmp_path):
    check_checkpoint_flips(tmp_path, 20)


@pytest.mark.slow
def test_every_flipped_bit_in_a_checkpoint_is_noticed(tmp_path):
    check_checkpoint_flips(tmp_path, 2000)


@pytest.mark.parametrize("length", [0, 3, 4, 500])
def test_where_every_checkpoint_is_damaged_the_stage_starts_again(tmp_path, length):
    path = tmp_path / "checkpoint" / "head.npz"
    save_state(state(1), path)
    path.write_bytes(path.read_bytes()[:length])
    said = Said()
    assert load_state(path, said) is None and len(said.lines) == 1


def test_a_checkpoint_does_not_make_a_run_folder_anew(tmp_path):
    with pytest.raises(FileNotFoundError):
        save_state(state(1), tmp_path / "gone" / "checkpoint" / "head.npz")
    assert not list(tmp_path.iterdir())


def check_sealed_flips(path, number):
    write_checked_json(path, {"shape": [3, 4], "name": "é", "none": None})
    content = path.read_bytes()
    assert read_checked_json(path) == {"shape": [3, 4], "name": "é", "none": None}
    bits = range(len(content) * 8) if number is None else some_bits(content, number)
    for bit in bits:
        path.write_bytes(flipped(content, bit))
        assert read_checked_json(path) is None


def test_every_flipped_bit_in_a_sealed_file_is_noticed(tmp_path):
    check_sealed_flips(tmp_path / "sealed.json", None)


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"{}", b'{"crc32": 1}', b"\xff", None])
def test_what_is_no_sealed_file_is_not_read(tmp_path, content):
    path = tmp_path / "sealed.json"
    if content is not None:
        path.write_bytes(content)
    assert read_checked_json(path) is None


def test_a_damaged_recipe_or_catalog_is_not_resumed(tmp_path):
    recipe = 'seed = 0\n[[stages]]\nname = "head"\noptimizer = "logistic"\n'
    folder = RunFolder.create(tmp_path / "run", "some", recipe)
    content = (folder / RECIPE).read_bytes()
    assert RunFolder.reopen(folder.path).recipe().seed == 0
    for bit in some_bits(content, 50):
        (folder / RECIPE).write_bytes(flipped(content, bit))
        with pytest.raises(RunFolderError, match=r"recipe\.toml was damaged or changed"):
            RunFolder.reopen(folder.path)


def test_checksums_are_those_of_coreutils(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    write_checksums(tmp_path, ["a"])
    told = (tmp_path / CHECKSUMS).read_text()
    assert told == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a\n"
    (tmp_path / "b").write_bytes(b"b")
    write_checksums(tmp_path, ["b"])
    assert is_unchanged(tmp_path / "a") and is_unchanged(tmp_path / "b")
    (tmp_path / "b").unlink()
    assert not is_unchanged(tmp_path / "b")
    assert is_unchanged(tmp_path / "never noted")


def test_a_run_whose_folder_was_taken_away_ends_in_a_sentence(tmp_path):
    folder = RunFolder.create(tmp_path / "run", "some", "seed = 0")
    with pytest.raises(RunFolderError, match=r"catalog\.parquet is gone"):
        folder.refuse_if_gone()
    shutil.rmtree(folder.path)
    with pytest.raises(RunFolderError, match=r"recipe\.toml is gone: .*Start the run again"):
        folder.refuse_if_gone()


@pytest.fixture
def exported(tmp_path, monkeypatch):
    """Finds the frozen layers of a small network, exported already; and where they lie."""
    pytest.importorskip("keras")
    from pawsure.features.prefix import prefixes_dir
    from pawsure.network.build import build_backbone
    from pawsure.network.prefixes import export_prefix, find_prefix
    from pawsure.network.recipe import HEAD
    from pawsure.training.recipe import load_recipe

    monkeypatch.setenv("PAWSURE_CACHE", str(tmp_path / "cache"))
    keys = {"backbone": "mobilenet_050", "image_size": 32, "weights": "none"}
    model = load_recipe("fast", keys).model

    def build():
        return build_backbone(model.backbone, size_px=32, weights="none", seed=0)

    made = export_prefix(model, [HEAD], build, seed=0)
    return lambda said: find_prefix(model, [HEAD], seed=0, progress=said), made, prefixes_dir()


@pytest.mark.parametrize("suffix", [".onnx", ".json"])
def test_damaged_frozen_layers_are_not_used(exported, suffix):
    find, made, folder = exported
    assert find(Said()) == made
    (path,) = folder.rglob(f"*{suffix}")
    content = path.read_bytes()
    damaged = [flipped(content, bit) for bit in some_bits(content, 50)]
    for changed in (*damaged, b"", content[: len(content) // 2]):
        path.write_bytes(changed)
        said = Said()
        assert find(said) is None and "are damaged" in said.lines[0]
    path.write_bytes(content)
    assert find(Said()) == made


def test_a_damaged_encoder_is_not_used(exported, tmp_path):
    from pawsure._version import __version__
    from pawsure.features.encoders import encoder_file, find_encoder

    _, made, _ = exported
    described = encoder_file("pets", 32)
    content = {"pawsure": __version__, "key": made.prefix.key, "path": str(made.prefix.path)}
    write_checked_json(described, content | {"shape": [512]})
    assert find_encoder("pets", 32) is None  # written before encoders had titles
    write_checked_json(described, content | {"shape": [512], "title": "MobileNetV2"})
    prefix, title = find_encoder("pets", 32)
    assert (prefix.key, title) == (made.prefix.key, "MobileNetV2")
    whole = made.prefix.path.read_bytes()
    for bit in some_bits(whole, 20):
        made.prefix.path.write_bytes(flipped(whole, bit))
        assert find_encoder("pets", 32) is None
    made.prefix.path.write_bytes(whole)
    text = described.read_bytes()
    for bit in some_bits(text, 50):
        described.write_bytes(flipped(text, bit))
        assert find_encoder("pets", 32) is None


def test_the_same_network_is_exported_to_the_same_bytes_whatever_was_built_before(exported):
    import keras

    from pawsure.features.prefix import graph_key
    from pawsure.network.build import build_backbone
    from pawsure.network.prefixes import export_prefix
    from pawsure.network.recipe import HEAD
    from pawsure.training.recipe import load_recipe

    _, made, _ = exported
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    keys = {"backbone": "mobilenet_050", "image_size": 32, "weights": "none"}
    model = load_recipe("fast", keys).model

    def build():
        return build_backbone(model.backbone, size_px=32, weights="none", seed=0)

    again = export_prefix(model, [HEAD], build, seed=0)
    assert again.prefix.key == made.prefix.key == graph_key(again.prefix.path)

"""Files of a run that were damaged are noticed before anything is learned from them."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from pawsure.data.sealed import CHECKSUMS, is_as_noted, read_sealed, write_checksums, write_sealed
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
    write_sealed(path, {"shape": [3, 4], "name": "é", "none": None})
    content = path.read_bytes()
    assert read_sealed(path) == {"shape": [3, 4], "name": "é", "none": None}
    bits = range(len(content) * 8) if number is None else some_bits(content, number)
    for bit in bits:
        path.write_bytes(flipped(content, bit))
        assert read_sealed(path) is None


def test_every_flipped_bit_in_a_sealed_file_is_noticed(tmp_path):
    check_sealed_flips(tmp_path / "sealed.json", None)


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"{}", b'{"crc32": 1}', b"\xff", None])
def test_what_is_no_sealed_file_is_not_read(tmp_path, content):
    path = tmp_path / "sealed.json"
    if content is not None:
        path.write_bytes(content)
    assert read_sealed(path) is None


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
    assert is_as_noted(tmp_path / "a") and is_as_noted(tmp_path / "b")
    (tmp_path / "b").unlink()
    assert not is_as_noted(tmp_path / "b")
    assert is_as_noted(tmp_path / "never noted")


def test_a_run_whose_folder_was_taken_away_ends_in_a_sentence(tmp_path):
    folder = RunFolder.create(tmp_path / "run", "some", "seed = 0")
    with pytest.raises(RunFolderError, match=r"catalog\.parquet is gone"):
        folder.refuse_if_gone()
    shutil.rmtree(folder.path)
    with pytest.raises(RunFolderError, match=r"recipe\.toml is gone: .*Start the run again"):
        folder.refuse_if_gone()

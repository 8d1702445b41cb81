"""Rows of the feature store that were damaged are noticed before they are used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from pawsure.data import cache
from pawsure.errors import PictureError, StorageError
from pawsure.features import store as store_module
from pawsure.features.extract import extract
from pawsure.features.prefix import PIXELS, Prefix, graph_key
from pawsure.features.store import FeatureStore
from pawsure.features.views import ORIGINAL

SIZE_PX = 8


class Said:
    """A progress that remembers what it was told."""

    def __init__(self):
        self.lines = []

    def start(self, *args): ...
    def advance(self, *args): ...
    def finish(self): ...
    def say(self, message):
        self.lines.append(message)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PAWSURE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_temporary", cache._Temporary())


@pytest.fixture
def prefix(tmp_path) -> Prefix:
    """Mixes every channel of 64 places into 3 features."""
    weight = np.random.default_rng(0).normal(size=(192, 3)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("Flatten", ["float"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weight"], ["mixed"]),
        ],
        "mixing",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIZE_PX, SIZE_PX, 3])],
        [helper.make_tensor_value_info("mixed", TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(weight, "weight")],
    )
    path = tmp_path / "mixing.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    shapes = {"mixed": (3,), PIXELS: (SIZE_PX, SIZE_PX, 3)}
    return Prefix(key=graph_key(path), size_px=SIZE_PX, shapes=shapes, path=path)


@pytest.fixture
def pictures(tmp_path) -> list[bytes]:
    rng = np.random.default_rng(1)
    made = []
    for number in range(21):
        path = tmp_path / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (SIZE_PX, SIZE_PX, 3), dtype=np.uint8)).save(path)
        made.append(path.read_bytes())
    return made


def contents_of(pictures) -> list[str]:
    return [f"{number:064x}" for number in range(len(pictures))]


def filled(prefix, pictures, indices=None, said=None):
    """The rows of some pictures, computed where need be."""
    contents = contents_of(pictures)
    indices = range(len(pictures)) if indices is None else indices
    done = extract(
        pictures.__getitem__, contents, list(indices), prefix, ["mixed"], progress=said or Said()
    )
    rows = prefix.store("mixed", ORIGINAL.name).rows([contents[index] for index in indices])
    return done, np.asarray(rows[:])


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def stored(prefix: Prefix, suffix: str) -> Path:
    (path,) = prefix.store("mixed", ORIGINAL.name).folder.glob(f"*{suffix}")
    return path


def check_flips(prefix, pictures, suffix, number):
    expected = filled(prefix, pictures)[1]
    rng = np.random.default_rng(2)
    for _ in range(number):
        path = stored(prefix, suffix)
        flip(path, int(rng.integers(path.stat().st_size * 8)))
        said = Said()
        done, rows = filled(prefix, pictures, said=said)
        assert done.computed == len(pictures), "damage was not noticed"
        assert "damaged" in " ".join(said.lines)
        np.testing.assert_array_equal(rows, expected)


@pytest.mark.parametrize("suffix", [".npy", ".keys"])
def test_a_flipped_bit_in_a_store_is_noticed_and_its_rows_are_computed_again(
    prefix, pictures, suffix
):
    check_flips(prefix, pictures, suffix, 8)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".npy", ".keys"])
def test_50_flipped_bits_in_a_store_are_noticed(prefix, pictures, suffix):
    check_flips(prefix, pictures, suffix, 50)


@pytest.mark.parametrize("share", [0, 0.5])
@pytest.mark.parametrize("suffix", [".npy", ".keys"])
def test_a_cut_file_of_a_store_is_noticed(prefix, pictures, suffix, share):
    expected = filled(prefix, pictures)[1]
    path = stored(prefix, suffix)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    done, rows = filled(prefix, pictures)
    assert done.computed == len(pictures)
    np.testing.assert_array_equal(rows, expected)


def test_only_the_damaged_segment_is_computed_again(prefix, pictures):
    filled(prefix, pictures, range(10))
    flip(stored(prefix, ".npy"), 1100)
    filled(prefix, pictures, range(10, 21))
    done, _ = filled(prefix, pictures)
    assert (done.computed, done.reused) == (10, 11)


def test_rows_of_a_pawsure_that_wrote_no_checksums_are_computed_again_in_silence(prefix, pictures):
    expected = filled(prefix, pictures)[1]
    keys = stored(prefix, ".keys")
    keys.write_text(keys.read_text().partition("\n")[2])
    said = Said()
    done, rows = filled(prefix, pictures, said=said)
    assert done.computed == len(pictures) and not said.lines
    np.testing.assert_array_equal(rows, expected)


def test_rows_that_vanish_while_they_are_used_end_in_a_sentence(prefix, pictures):
    filled(prefix, pictures)
    store = prefix.store("mixed", ORIGINAL.name)
    rows = store.rows(contents_of(pictures))
    stored(prefix, ".npy").unlink()
    with pytest.raises(StorageError, match=r"removed or damaged while.*again"):
        rows[:]
    with pytest.raises(StorageError, match=r"21 pictures are missing.*again"):
        prefix.store("mixed", ORIGINAL.name).rows(contents_of(pictures))


def test_a_row_does_not_depend_on_the_company_that_it_was_computed_in(prefix, pictures):
    together = filled(prefix, pictures)[1]
    for number in (0, 7, 20):
        FeatureStore(prefix.store("mixed", ORIGINAL.name).folder, (3,))._remove(
            stored(prefix, ".keys")
        )
        alone = filled(prefix, pictures, [number])[1]
        np.testing.assert_array_equal(alone[0], together[number])


def test_another_graph_that_means_the_same_has_rows_of_its_own(prefix, tmp_path):
    model = onnx.load(prefix.path)
    model.graph.node.append(helper.make_node("Relu", ["mixed"], ["more"]))
    model.graph.output.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, ["N", 3]))
    onnx.save(model, tmp_path / "more.onnx")
    assert graph_key(tmp_path / "more.onnx") != prefix.key
    assert graph_key(prefix.path) == prefix.key


def test_a_graph_that_changed_since_it_was_found_is_not_run(prefix, pictures):
    flip(prefix.path, 900)
    with pytest.raises(StorageError, match="was changed while it was used"):
        filled(prefix, pictures)


def test_pixels_are_shared_by_all_graphs(prefix, tmp_path):
    other = Prefix(key="other", size_px=SIZE_PX, shapes=prefix.shapes, path=None)
    assert other.store(PIXELS, "v").folder == prefix.store(PIXELS, "v").folder
    assert other.store("mixed", "v").folder != prefix.store("mixed", "v").folder


def test_a_copy_stands_in_for_a_picture_that_is_gone(prefix, pictures):
    def read(index):
        if index in (0, 3):
            raise PictureError("there is no such file")
        return pictures[index]

    contents = contents_of(pictures)
    contents[5] = contents[0]
    done = extract(read, contents, range(21), prefix, ["mixed"])
    assert list(done.problems) == [3]
    assert done.computed == 19
    assert contents[0] in prefix.store("mixed", ORIGINAL.name)


@pytest.mark.parametrize("readable", [True, False])
def test_where_the_cache_cannot_be_written_rows_go_to_a_temporary_folder(
    prefix, pictures, tmp_path, readable
):
    if readable:
        filled(prefix, pictures, range(8))
        folder = prefix.store("mixed", ORIGINAL.name).folder
        before = sorted(folder.iterdir())
    said = Said()
    write = store_module._write_segment

    def full(place, *args):
        if (tmp_path / "cache") in place.parents:
            raise OSError(28, "No space left on device", str(place))
        write(place, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_module, "_write_segment", full)
        done, rows = filled(prefix, pictures, said=said)
        again, same = filled(prefix, pictures, said=said)
    assert done.computed == (13 if readable else 21)
    assert again.computed == 0
    np.testing.assert_array_equal(rows, same)
    assert len(said.lines) == 1 and "no space left" in said.lines[0]
    if readable:
        assert sorted(folder.iterdir()) == before

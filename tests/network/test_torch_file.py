"""Files of PyTorch tensors: read exactly, and whatever else is in them refused and not run."""

from __future__ import annotations

import pickle
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_files import (
    MAGIC,
    file_of,
    file_of_tensors,
    number,
    storage,
    table,
    tensor,
    text,
)

from pawsure.errors import WeightsError
from pawsure.network.torch_file import read_tensors

BLOCK = np.arange(24, dtype=np.float32)


@pytest.fixture
def refused(tmp_path):
    """Checks that a file is refused, in one sentence that has this in it."""

    def check(content: bytes, message: str) -> None:
        path = tmp_path / "weights.pth"
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=message) as caught:
            read_tensors(path)
        told = str(caught.value).replace(str(path), "FILE")
        assert told.startswith("The weights FILE are refused: ") and told.count(". ") == 0
        assert "\n" not in told and len(told) < 300

    return check


def test_tensors_come_back_as_they_were_written(tmp_path):
    rng = np.random.default_rng(0)
    tensors = {
        "conv.weight": rng.normal(size=(4, 3, 2, 2)).astype(np.float32),
        "norm.bias": rng.normal(size=7).astype(np.float32),
        "norm.num_batches_tracked": np.array(5, np.int64),
        "empty": np.zeros((0, 3), np.float32),
    }
    path = tmp_path / "weights.pth"
    path.write_bytes(file_of_tensors(tensors))
    found = read_tensors(path)
    assert list(found) == list(tensors)
    for name, values in tensors.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype and found[name].flags.writeable


def test_strides_offsets_and_shared_numbers_are_followed(tmp_path):
    entries = {
        "whole": tensor("0", (4, 6)),
        "transposed": tensor("0", (6, 4), strides=(1, 6)),
        "row": tensor("0", (6,), count=24, offset=12),
    }
    path = tmp_path / "weights.pth"
    path.write_bytes(file_of(table(entries), {"0": BLOCK}))
    found = read_tensors(path)
    np.testing.assert_array_equal(found["transposed"], found["whole"].T)
    np.testing.assert_array_equal(found["row"], found["whole"][2])


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("place", ["table", "value", "version", "keys"])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(
    refused, tmp_path, protocol, place
):
    victim = tmp_path / "victim"
    evil = pickle.dumps(Evil(Path.touch, victim), protocol=protocol)
    inner = pickle.dumps({"w": Evil(Path.touch, victim)}, protocol=protocol)
    good = file_of(table({"w": tensor("0", (24,))}), {"0": BLOCK})
    whole = {
        "table": file_of(evil, {}),
        "value": file_of(inner, {}),
        "version": MAGIC + evil + good[len(MAGIC) :],
        "keys": good.replace(b"\x80\x02](", evil[:-1] + b"0](", 1),
    }[place]
    refused(whole, "nothing of it was run|cut short|damaged|malformed")
    assert not victim.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("builtins", "eval"), ("torch._utils", "_rebuild_tensor_v2.__globals__"),
     ("collections", "namedtuple"), ("pawsure.cli.app", "main")],
)  # fmt: skip
def test_any_other_name_is_refused_before_it_is_looked_up(refused, module, name):
    calls = f"c{module}\n{name}\n(".encode() + text("echo") + b"tR"
    refused(file_of(table({"w": calls}), {}), f"it names '{module}.{name}'.*nothing of it was run")


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        (b"ccollections\nOrderedDict\n)\x81", "operation NEWOBJ"),
        (b"(cos\nsystem\no", "it names 'os.system'"),
        (b"(ios\nsystem\n", "operation INST"),
        (b"\x82\x01", "operation EXT1"),
        (b"Pname\n", "operation PERSID"),
        (b"\x8c\x02os\x8c\x06system\x93", "operation SHORT_BINUNICODE"),
        (b"I1\n", "operation INT"),
        (b"ccollections\nOrderedDict\n(I1\nd", "operation INT"),
        (b"ccollections\nOrderedDict\n" + number(1) + b"\x85R", "malformed"),
        (b"ctorch\nFloatStorage\n)R", "malformed"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n)R", "malformed|damaged"),
        (text("storage") + b"Q", "malformed"),
        (b"h\x63", "malformed"),
        (b"R", "malformed"),
        (b"u", "malformed|damaged"),
        (b"\xff", "cut short or damaged"),
    ],
)
def test_other_operations_are_refused(refused, operations, message):
    refused(file_of(table({"w": operations}), {}), message)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (tensor("0", (25,), count=24), "reaches beyond its numbers"),
        (tensor("0", (4, 6), strides=(7, 1)), "reaches beyond its numbers"),
        (tensor("0", (24,), offset=1), "reaches beyond its numbers"),
        (tensor("0", (2**30, 2**30), count=24, strides=(0, 0)), "reaches beyond its numbers"),
        (tensor("0", (-1,), count=24), "a size that no tensor has"),
        (tensor("0", (24,), strides=(-1,), offset=23), "a size that no tensor has"),
        (tensor("0", (24,), offset=-1), "a size that no tensor has"),
        (tensor("0", (1,) * 9, count=24), "malformed"),
        (tensor("0", (24,), strides=(1, 1)), "malformed"),
        (tensor("0", (24,), count=23), "reaches beyond|cut short, or has other numbers"),
        (tensor("0", (24,), count=2**31 - 1), "a size that no tensor has"),
        (tensor("0", (24,), kind="LongStorage"), "cut short, or has other numbers"),
        (tensor("1", (24,)), "list of storages"),
        (storage("0", 24), "something other than a table of tensors"),
        (number(3), "something other than a table of tensors"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(refused, entry, message):
    refused(file_of(table({"w": entry}), {"0": BLOCK}), message)


def test_a_file_cut_short_anywhere_is_refused(tmp_path):
    content = file_of(table({"w": tensor("0", (24,))}), {"0": BLOCK})
    path = tmp_path / "weights.pth"
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(WeightsError, match="are refused: "):
            read_tensors(path)


def test_what_follows_the_numbers_is_refused(refused):
    content = file_of(table({"w": tensor("0", (24,))}), {"0": BLOCK})
    refused(content + b"x", "1 bytes follow where it should end")


def test_another_count_before_the_numbers_is_refused(refused):
    content = file_of(table({"w": tensor("0", (24,))}), {"0": BLOCK})
    wrong = content.replace(struct.pack("<q", 24), struct.pack("<q", -1))
    refused(wrong, "cut short, or has other numbers")


def test_another_protocol_version_is_refused(refused):
    refused(file_of(table({}), {}, version=1002), "protocol version is not 1001")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", pickle.dumps([1])])
def test_files_of_another_kind_are_refused(refused, content):
    refused(content, "no file of tensors in PyTorch's older format")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(WeightsError, match="can't be read: No such file"):
        read_tensors(tmp_path / "none.pth")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_changed_bytes_never_end_in_anything_but_tensors_or_a_refusal(tmp_path_factory, data):
    content = bytearray(file_of(table({"w": tensor("0", (24,))}), {"0": BLOCK}))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("changed") / "weights.pth"
    path.write_bytes(content)
    try:
        found = read_tensors(path)
    except WeightsError:
        return
    assert all(isinstance(values, np.ndarray) for values in found.values())


def test_reading_imports_no_pickle_machinery_of_its_own_and_no_torch():
    code = (
        "import sys, pawsure.network.torch_file as reader; "
        "assert not {'torch', 'keras', 'tensorflow'} & set(sys.modules); "
        "assert not hasattr(reader, 'pickle')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

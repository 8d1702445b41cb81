"""Files in PyTorch's older format, written operation by operation: whole ones and evil ones."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from pawsure.network.backbones import Backbone
from pawsure.network.efficientnet_lite import convolutions

MAGIC = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
ORDERED_DICT = b"ccollections\nOrderedDict\n)R"


def text(value: str) -> bytes:
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def storage(key: str, count: int, kind: str = "FloatStorage") -> bytes:
    record = [text("storage"), f"ctorch\n{kind}\n".encode(), text(key), text("cpu"), number(count)]
    return b"(" + b"".join(record) + b"NtQ"


def tensor(
    key: str,
    shape: tuple[int, ...],
    *,
    count: int | None = None,
    offset: int = 0,
    strides: tuple[int, ...] | None = None,
    kind: str = "FloatStorage",
) -> bytes:
    """A tensor in a pickle, in C order unless `strides` say otherwise."""
    count = int(np.prod(shape)) if count is None else count
    if strides is None:
        strides = tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))
    arguments = storage(key, count, kind) + number(offset) + numbers(shape) + numbers(strides)
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"\x89" + ORDERED_DICT + b"tR"


def table(entries: Mapping[str, bytes]) -> bytes:
    """The pickle of a table of tensors."""
    items = b"".join(text(name) + entry for name, entry in entries.items())
    return b"\x80\x02" + ORDERED_DICT + b"(" + items + b"u."


def file_of(table_pickle: bytes, blocks: Mapping[str, np.ndarray], *, version: int = 1001) -> bytes:
    """A whole file: five pickles, then the numbers."""
    protocol = b"\x80\x02M" + struct.pack("<H", version) + b"."
    machine = b"\x80\x02}(" + text("little_endian") + b"\x88u."
    keys = b"\x80\x02](" + b"".join(map(text, blocks)) + b"e."
    content = b"".join(struct.pack("<q", block.size) + block.tobytes() for block in blocks.values())
    return MAGIC + protocol + machine + table_pickle + keys + content


def file_of_tensors(tensors: Mapping[str, Any]) -> bytes:
    """A file of these arrays, each with a block of its own."""
    kinds = {"f": "FloatStorage", "i": "LongStorage"}
    entries, blocks = {}, {}
    for place, (name, values) in enumerate(tensors.items()):
        values = np.asarray(values)
        entries[name] = tensor(str(place), values.shape, kind=kinds[values.dtype.kind])
        blocks[str(place)] = np.ascontiguousarray(values)
    return file_of(table(entries), blocks)


def lite_tensors(backbone: Backbone, seed: int = 0) -> dict[str, np.ndarray]:
    """Tensors as the package has them, but drawn."""
    rng = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray] = {}
    for each in convolutions(backbone.arguments["width"], backbone.arguments["depth"]):
        weight, norm = each.published_as
        inside = 1 if each.is_depthwise else each.channels_in
        shape = (each.channels_out, inside, each.kernel, each.kernel)
        spread = np.sqrt(2 / np.prod(shape[1:]))
        tensors[f"{weight}.weight"] = rng.normal(0, spread, shape)
        tensors[f"{norm}.weight"] = rng.uniform(0.5, 1.5, each.channels_out)
        tensors[f"{norm}.bias"] = rng.normal(0, 0.2, each.channels_out)
        tensors[f"{norm}.running_mean"] = rng.normal(0, 0.2, each.channels_out)
        tensors[f"{norm}.running_var"] = rng.uniform(0.5, 1.5, each.channels_out)
    tensors["_fc.weight"] = rng.normal(0, 0.1, (1000, 1280))
    tensors["_fc.bias"] = rng.normal(0, 0.1, 1000)
    return {name: values.astype(np.float32) for name, values in tensors.items()}

"""Reading a file of PyTorch tensors without PyTorch, and without running anything in it.

The older of PyTorch's two formats (before 1.6, and still what many published weights are in) is
five pickles followed by the numbers:

    magic number, protocol version, facts about the machine, table of tensors, storage keys
    for each key: how many numbers (int64), the numbers

A pickle is a program. This module does not hand it to Python's interpreter of pickles: it walks
through the operations itself and knows only those that a table of tensors consists of. All that
they can make here is numbers, texts, containers and two inert records.

Source: `torch/serialization.py` (`_legacy_save`), and `pickletools` for the operations.
"""

from __future__ import annotations

import io
import math
import pickletools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pawsure.errors import WeightsError

TORCH_START = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
"""How every file of this format begins: a pickle of the magic number."""

_PROTOCOL_VERSION = 1001
_MOST_BYTES = 2**30
_MOST_TABLE_BYTES = 2**21  # that of a network of 200 layers has 60 KB
_MOST_AXES = 8

_STORAGES: dict[str, np.dtype[Any]] = {
    "torch FloatStorage": np.dtype("<f4"),
    "torch LongStorage": np.dtype("<i8"),
}
_ORDERED_DICT = "collections OrderedDict"
_REBUILD = "torch._utils _rebuild_tensor_v2"
_GLOBALS = {_ORDERED_DICT, _REBUILD, *_STORAGES}


@dataclass(frozen=True)
class _Global:
    """A name that a pickle refers to. Never looked up."""

    name: str


@dataclass(frozen=True)
class _Storage:
    """A block of numbers that comes after the pickles."""

    key: str
    dtype: np.dtype[Any]
    count: int


@dataclass(frozen=True)
class _Tensor:
    """A view of a block of numbers; offset and strides count numbers, not bytes."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Refused(Exception):
    """Why the file is not read: the end of a sentence."""


def read_tensors(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read the tensors of a `.pth` file by name, in the file's order.

    Args:
        path: a `state_dict` as `torch.save` wrote it before PyTorch 1.6.

    Returns:
        float32 or int64 arrays, each with memory of its own.

    Raises:
        WeightsError: the file is not such a table, whole and nothing else. Nothing of it has run.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise _Refused(f"it is larger than {_MOST_BYTES / 1e9:.1f} GB")
        return _tensors(path.read_bytes())
    except OSError as exc:
        raise WeightsError(
            f"The weights {path} can't be read: {exc.strerror or exc}. Check the path."
        ) from exc
    except _Refused as exc:
        raise WeightsError(f"The weights {path} are refused: {exc}.") from exc


def _tensors(content: bytes) -> dict[str, npt.NDArray[Any]]:
    if not content.startswith(TORCH_START):
        raise _Refused("it is no file of tensors in PyTorch's older format")
    at = len(TORCH_START)
    version, at = _unpickle(content, at)
    machine, at = _unpickle(content, at)
    table, at = _unpickle(content, at)
    keys, at = _unpickle(content, at)
    if version != _PROTOCOL_VERSION:
        raise _Refused(f"its protocol version is not {_PROTOCOL_VERSION}")
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise _Refused("its numbers are not little-endian")
    if not isinstance(table, dict) or not all(
        isinstance(name, str) and isinstance(tensor, _Tensor) for name, tensor in table.items()
    ):
        raise _Refused("it holds something other than a table of tensors")
    blocks = _read_blocks(content, at, table, keys)
    return {name: _view(name, tensor, blocks[tensor.storage.key]) for name, tensor in table.items()}


def _read_blocks(
    content: bytes, at: int, table: dict[str, _Tensor], keys: Any
) -> dict[str, npt.NDArray[Any]]:
    """The blocks of numbers, which fill the file from `at` to its end."""
    storages: dict[str, _Storage] = {}
    for tensor in table.values():
        if storages.setdefault(tensor.storage.key, tensor.storage) != tensor.storage:
            raise _Refused("two tensors disagree about the numbers that they share")
    if (
        not isinstance(keys, list)
        or not all(isinstance(key, str) for key in keys)
        or sorted(keys) != sorted(storages)
    ):
        raise _Refused("its list of storages is not that of its tensors")
    blocks = {}
    for key in keys:
        storage = storages[key]
        count = int.from_bytes(content[at : at + 8], "little", signed=True)
        end = at + 8 + storage.count * storage.dtype.itemsize
        if count != storage.count or end > len(content):
            raise _Refused("it is cut short, or has other numbers than its table says")
        blocks[key] = np.frombuffer(content, storage.dtype, storage.count, at + 8)
        at = end
    if at != len(content):
        raise _Refused(f"{len(content) - at} bytes follow where it should end")
    return blocks


def _view(name: str, tensor: _Tensor, block: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A tensor's numbers in order. Bounds are checked first: strides can point anywhere."""
    size = math.prod(tensor.shape)
    last = tensor.offset + sum(
        (length - 1) * stride for length, stride in zip(tensor.shape, tensor.strides, strict=True)
    )
    if size > block.size or (size and last >= block.size):
        raise _Refused(f"tensor '{name[:80]}' reaches beyond its numbers")
    if not size:
        return np.zeros(tensor.shape, block.dtype)
    strides = [stride * block.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(block[tensor.offset :], tensor.shape, strides).copy()


# The pickles


def _unpickle(content: bytes, at: int) -> tuple[Any, int]:
    """What the pickle at `at` makes, and where it ends."""
    stream = io.BytesIO(content[at : at + _MOST_TABLE_BYTES])
    try:
        value = _evaluate(_operations(stream))
    except (IndexError, KeyError, TypeError, ValueError) as exc:
        raise _Refused("its pickle is malformed") from exc
    return value, at + stream.tell()


def _operations(stream: io.BytesIO) -> Iterator[tuple[str, Any]]:
    """Name and argument of each operation up to STOP. This reads; it executes nothing."""
    try:
        for operation, argument, _ in pickletools.genops(stream):
            yield operation.name, argument
    except ValueError as exc:  # cut short, or an operation that does not exist
        raise _Refused("it is cut short or damaged") from exc


def _evaluate(operations: Iterator[tuple[str, Any]]) -> Any:
    """Carry out the operations of a table of tensors; refuse every other."""
    stack: list[Any] = []
    marks: list[int] = []  # how high the stack was
    memo: dict[int, Any] = {}

    def pop_from(place: int) -> list[Any]:
        if place < (marks[-1] if marks else 0):
            raise IndexError
        items = stack[place:]
        del stack[place:]
        return items

    def pop_to_mark() -> list[Any]:
        return pop_from(marks.pop())

    def pop(count: int) -> list[Any]:
        return pop_from(len(stack) - count)

    for name, argument in operations:
        match name:
            case "PROTO":
                pass
            case "STOP":
                (value,) = stack
                return value
            case "BINUNICODE" | "BININT" | "BININT1" | "BININT2" | "LONG1":
                stack.append(argument)
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[name])
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_TUPLE":
                stack.append(())
            case "MARK":
                marks.append(len(stack))
            case "TUPLE":
                stack.append(tuple(pop_to_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(pop(int(name[-1]))))
            case "APPEND" | "APPENDS":
                items = pop_to_mark() if name == "APPENDS" else pop(1)
                _require(stack[-1], list).extend(items)
            case "SETITEM" | "SETITEMS":
                items = pop_to_mark() if name == "SETITEMS" else pop(2)
                _require(stack[-1], dict).update(zip(items[::2], items[1::2], strict=True))
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "GLOBAL":
                if argument not in _GLOBALS:
                    raise _Refused(
                        f"it names '{argument[:80].replace(' ', '.')}', which no table of tensors "
                        "needs; nothing of it was run"
                    )
                stack.append(_Global(argument))
            case "BINPERSID":
                stack.append(_storage(*pop(1)))
            case "REDUCE":
                stack.append(_reduce(*pop(2)))
            case "BUILD":
                # `state_dict` hangs version numbers of its layers on the table: not needed.
                target, _state = pop(2)
                stack.append(_require(target, dict))
            case _:
                raise _Refused(
                    f"it has the operation {name}, which no table of tensors needs; "
                    "nothing of it was run"
                )
    raise _Refused("it is cut short")


def _require(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError
    return value


def _storage(described: Any) -> _Storage:
    """The record that a persistent id stands for."""
    kind, storage, key, device, count, view = _require(described, tuple)
    dtype = _STORAGES.get(_require(storage, _Global).name)
    if kind != "storage" or dtype is None or view is not None:
        raise TypeError
    return _Storage(_require(key, str), dtype, _count(count))


def _reduce(called: Any, arguments: Any) -> Any:
    """The two calls that a table of tensors makes, as the records that they stand for."""
    name, arguments = _require(called, _Global).name, _require(arguments, tuple)
    if name == _ORDERED_DICT and not arguments:
        return {}
    if name != _REBUILD:
        raise TypeError
    storage, offset, shape, strides, _requires_grad, _hooks = arguments
    shape, strides = _require(shape, tuple), _require(strides, tuple)
    if len(shape) != len(strides) or len(shape) > _MOST_AXES:
        raise TypeError
    return _Tensor(
        _require(storage, _Storage),
        _count(offset),
        tuple(map(_count, shape)),
        tuple(map(_count, strides)),
    )


def _count(value: Any) -> int:
    """A number of things, none of them absurd."""
    if type(value) is not int or not 0 <= value <= _MOST_BYTES:
        raise _Refused("its table has a size that no tensor has")
    return value

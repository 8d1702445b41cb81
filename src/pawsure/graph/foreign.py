"""Any frozen ONNX file as a backbone: timm's, DINOv2's, one's own.

What a file takes and gives differs from one exporter to the next; what pawsure needs of a
backbone is always

    uint8 "image" (N, S, S, 3)  →  float32 "feature_map" (N, h, w, F)

`foreign_graph` writes what lies between: scaling before the network, layout behind it. The
network itself is not changed, and becomes part of the model file.

| output of the network | feature map |
| --- | --- |
| (N, F, h, w) or (N, h, w, F) | the same, channels last |
| (N, T, F), tokens of a transformer | leading tokens dropped until the rest is a square |
| (N, F), pooled | (N, 1, 1, F): a single place, so there are no heat maps |
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
import onnx.version_converter
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import load_external_data_for_tensor

from pawsure.errors import WeightsError
from pawsure.graph.prune import copy_of, drop_unneeded
from pawsure.graph.scaling import Scaling, standardised

LARGEST_BYTES = 2_000_000_000
"""A model file is one protobuf message, which can't be over 2 GiB; the rest is room for ours."""

_OPSET = 17  # what older files are brought to
_OLDEST_OPSET = 13  # that the nodes of a model file can be written in
_IR_VERSION = 8
_MOST_LEADING_TOKENS = 16  # a class token and registers
_PREFIX = "backbone/"
_IMAGE = "image"
_SAME = 1e-3
"""How far features of a picture may move, relative to the largest, with its place in a batch."""

AS_THEY_ARE = Scaling((1.0,) * 3, (0.0,) * 3)
"""Pixels from 0 to 255, as they come."""

# What may be done to pixels before it shows where their channels are.
_PIXEL_BY_PIXEL = frozenset(["Cast", "Identity", "Add", "Sub", "Mul", "Div", "Clip", "Resize"])

_FLOATS = {TensorProto.FLOAT: "float32", TensorProto.FLOAT16: "float16"}


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What a file says of itself.

    Attributes:
        fixed_px: the only side of pictures that it takes; None: any.
        size_px: the side that it was trained on, by its input or its metadata; None: not said.
        scaling: by its metadata; `AS_THEY_ARE` where it takes bytes; None: not said.
        output: the tensor to take, by its metadata; "": not said.
        takes_bytes: its input is uint8: it scales pixels itself.
    """

    fixed_px: int | None
    size_px: int | None
    scaling: Scaling | None
    output: str
    takes_bytes: bool


def content_hash(path: str | Path) -> str:
    """SHA-256 of a file and of the external data that belong to it.

    Raises:
        WeightsError: it can't be read.
    """
    path = Path(path)
    return _hash_of(path, tuple(_stamp(file) for file in _files(path)))


def declared(path: str | Path) -> Declared:
    """What a file says of itself, without its weights being read.

    Raises:
        WeightsError: it is no network that can be taken.
    """
    path = Path(path)
    model = _read(path)
    given = _only_input(model.graph, path)
    height, width = given.sides
    told = _told(model)
    fixed = height if height and height == width else None
    size = told.get("size")
    takes_bytes = given.kind == TensorProto.UINT8
    return Declared(
        fixed_px=fixed,
        size_px=fixed or size,
        scaling=AS_THEY_ARE if takes_bytes else told.get("scaling"),
        output=told.get("output", ""),
        takes_bytes=takes_bytes,
    )


def foreign_graph(
    path: str | Path, *, size_px: int, scaling: Scaling, output: str = ""
) -> onnx.ModelProto:
    """A file's network as a backbone.

    Args:
        path: of the file.
        size_px: side S of the pictures.
        scaling: of their pixels, where the network does not take bytes.
        output: the tensor to take as features, an output or any other; "": the only output.

    Returns:
        uint8 "image" (N, S, S, 3) to float32 "feature_map" (N, h, w, F).

    Raises:
        WeightsError: it is no network that can be taken.
    """
    path = Path(path)
    model = _with_weights(_read(path), path)
    given = _only_input(model.graph, path)
    taken = _choose_output(model.graph, output, path)
    del model.graph.output[:]
    model.graph.output.append(helper.make_empty_tensor_value_info(taken))
    drop_unneeded(model.graph, {taken})
    if given.name not in {name for node in model.graph.node for name in node.input}:
        raise WeightsError(f"The output '{taken}' of {path} does not depend on the picture.")

    _put_prefix(model.graph)
    graph = _between(model, given, scaling, size_px, path)
    try:
        session = _session(graph)
    except Exception as exc:  # ONNX Runtime raises classes of its own, none of them public
        if not given.sides[0] and "ShapeInferenceError" in str(exc):
            raise _wrong_size(path, size_px, _first_line(exc)) from exc
        raise _not_accepted(path, exc) from exc
    trouble, values = _try(session, size_px)
    if values is None:  # perhaps for the only reason that a batch is written into it
        try:
            freed = _between(_with_free_batch(model, given.batch), given, scaling, size_px, path)
            _, values = _try(_session(freed), size_px)
        except Exception:  # of ONNX Runtime's own classes; the first trouble is the one to tell
            values = None
        graph = freed if values is not None else graph
    if values is None and not given.sides[0] and not _takes(session, given.batch, size_px):
        raise _wrong_size(path, size_px, trouble)
    if values is None:
        raise WeightsError(
            f"{path} can't be run on several pictures of {size_px} pixels at once ({trouble}); "
            "export it with a dynamic batch."
        )
    graph = _as_feature_map(graph, values, given, path)
    try:
        onnx.checker.check_model(graph)
    except onnx.checker.ValidationError as exc:
        raise _not_accepted(path, exc) from exc
    return graph


# Reading


def _files(path: Path) -> list[Path]:
    """The file itself, then its external data."""
    model = _read(path)
    return [path, *sorted({_inside(path, tensor) for tensor in _external(model)})]


def _stamp(path: Path) -> tuple[str, int, int]:
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns


@lru_cache(maxsize=8)
def _hash_of(_: Path, stamps: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for file, size, _time in stamps:
        digest.update(size.to_bytes(8, "little"))
        with open(file, "rb") as opened:
            while block := opened.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _read(path: Path) -> onnx.ModelProto:
    """The network as it is stored, external data not loaded.

    Raises:
        WeightsError: there is none, or it is too large.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST_BYTES:
            raise _too_large(path, size)
        model = onnx.load(path, load_external_data=False)
    except FileNotFoundError as exc:
        raise WeightsError(f"There is no file {path} to take as a backbone.") from exc
    except OSError as exc:
        raise WeightsError(f"{path} can't be read: {exc.strerror or exc}.") from exc
    except WeightsError:
        raise
    except Exception as exc:  # protobuf's own error, which has no types
        raise WeightsError(f"{path} is not an ONNX file, or is damaged.") from exc
    if not model.graph.node or not model.opset_import:
        raise WeightsError(f"{path} is not an ONNX file, or is empty.")
    total = size + sum(_external_bytes(path, tensor) for tensor in _external(model))
    if total > LARGEST_BYTES:
        raise _too_large(path, total)
    return model


def _too_large(path: Path, size: int) -> WeightsError:
    return WeightsError(
        f"{path} holds {size / 1e9:.1f} GB with its weights; the network becomes part of one model "
        f"file, so at most {LARGEST_BYTES / 1e9:g} GB can be taken. Choose a smaller network, or "
        "export it in float16."
    )


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Every constant, those of inner graphs too."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _tensors_of_nodes(graph.node)


def _tensors_of_nodes(nodes: Sequence[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _tensors(inner)


def _external(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    for tensor in _tensors(model.graph):
        if tensor.data_location == TensorProto.EXTERNAL:
            yield tensor
    for function in model.functions:
        for tensor in _tensors_of_nodes(function.node):
            if tensor.data_location == TensorProto.EXTERNAL:
                yield tensor


def _inside(path: Path, tensor: onnx.TensorProto) -> Path:
    """The file with a tensor's data.

    Raises:
        WeightsError: it lies outside the network's folder, or is missing.
    """
    location = _external_field(tensor, "location", "")
    folder = path.parent.resolve()
    place = (folder / location).resolve()
    if not location or Path(location).is_absolute() or not place.is_relative_to(folder):
        raise WeightsError(
            f"{path} keeps weights in '{location}', outside its own folder, which is not read. "
            "Put the file beside it, or export the network as one file."
        )
    if not place.is_file():
        raise WeightsError(f"{path} keeps weights in '{location}', which is not beside it.")
    return place


def _external_field(tensor: onnx.TensorProto, key: str, default: str) -> str:
    return next((str(item.value) for item in tensor.external_data if item.key == key), default)


def _external_bytes(path: Path, tensor: onnx.TensorProto) -> int:
    """How many bytes a tensor takes of its file.

    Raises:
        WeightsError: the file has fewer.
    """
    size = _inside(path, tensor).stat().st_size
    try:
        offset = int(_external_field(tensor, "offset", "0"))
        length = int(_external_field(tensor, "length", str(size - offset)))
    except ValueError:
        offset, length = -1, -1
    if offset < 0 or length < 0 or offset + length > size:
        where = _external_field(tensor, "location", "")
        raise WeightsError(f"{path} keeps weights in '{where}', which is shorter than it says.")
    return length


def _with_weights(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """The network in one piece, of plain operators, in a set that a model file can have.

    Raises:
        WeightsError: that can't be had.
    """
    try:
        for tensor in _external(model):
            load_external_data_for_tensor(tensor, str(path.parent.resolve()))
            tensor.data_location = TensorProto.DEFAULT
            del tensor.external_data[:]
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
        _refuse_custom(model.graph.node, path)
        kept = [item for item in model.opset_import if item.domain in ("", "ai.onnx")]
        if not kept:
            raise WeightsError(f"{path} does not say which ONNX operators it uses.")
        del model.opset_import[:]
        model.opset_import.append(helper.make_opsetid("", kept[0].version))
        if model.opset_import[0].version < _OLDEST_OPSET:
            model = onnx.version_converter.convert_version(model, _OPSET)
        model.ir_version = max(model.ir_version, _IR_VERSION)
        # Before version 4 of the format, constants were listed as inputs too.
        constants = {item.name for item in model.graph.initializer}
        for place in reversed(range(len(model.graph.input))):
            if model.graph.input[place].name in constants:
                del model.graph.input[place]
    except WeightsError:
        raise
    except Exception as exc:  # the libraries' own errors are of many kinds
        raise _not_accepted(path, exc) from exc
    for field in (model.metadata_props, model.graph.value_info, model.training_info):
        del field[:]
    return model


def _not_accepted(path: Path, error: Exception) -> WeightsError:
    return WeightsError(f"{path} is not a network that ONNX accepts: {_first_line(error)}.")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _refuse_custom(nodes: Sequence[onnx.NodeProto], path: Path) -> None:
    for node in nodes:
        if node.domain not in ("", "ai.onnx"):
            raise WeightsError(
                f"{path} uses the operator '{node.op_type}' of '{node.domain}', which is not one "
                "of ONNX's own. Export it with standard operators only."
            )
        for attribute in node.attribute:
            for inner in (*attribute.graphs, attribute.g):
                _refuse_custom(inner.node, path)


def _put_prefix(graph: onnx.GraphProto) -> None:
    """Begin every name with `_PREFIX`, in place, so that none is one of a model file's own.

    Inner graphs take constants from around them, so theirs have to change alike, which
    `onnx.compose.add_prefix` leaves out.
    """
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = _PREFIX + value.name
    for sparse in graph.sparse_initializer:
        sparse.values.name = _PREFIX + sparse.values.name
    for node in graph.node:
        node.name = _PREFIX + (node.name or node.output[0])
        for names in (node.input, node.output):
            # An input that is left out has an empty name.
            names[:] = [_PREFIX + name if name else "" for name in names]
        for attribute in node.attribute:
            for inner in attribute.graphs:
                _put_prefix(inner)
            if attribute.HasField("g"):
                _put_prefix(attribute.g)


# What goes in


@dataclass(frozen=True, kw_only=True)
class _Input:
    """The input of a network.

    Attributes:
        name: in the file.
        kind: ONNX's number of its type.
        is_nchw: channels come before height and width.
        sides: height and width in pixels; 0 where any will do.
        batch: pictures at once; 1 where any number will do.
    """

    name: str
    kind: int
    is_nchw: bool
    sides: tuple[int, int]
    batch: int


def _only_input(graph: onnx.GraphProto, path: Path) -> _Input:
    constants = {item.name for item in graph.initializer}
    inputs = [item for item in graph.input if item.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(f"'{item.name}'" for item in inputs) or "none"
        raise WeightsError(
            f"{path} has {len(inputs)} inputs ({names}); a backbone has one, the picture."
        )
    tensor = inputs[0].type.tensor_type
    if tensor.elem_type not in (*_FLOATS, TensorProto.UINT8):
        kind = TensorProto.DataType.Name(tensor.elem_type).lower()
        raise WeightsError(
            f"{path} takes numbers of type {kind}; a backbone takes float32, float16 or uint8."
        )
    sizes = [dim.dim_value for dim in tensor.shape.dim]
    is_nchw = _channels_come_first(graph, inputs[0]) if len(sizes) == 4 else None
    if is_nchw is None:
        shape = ", ".join(str(dim.dim_value or dim.dim_param or "?") for dim in tensor.shape.dim)
        raise WeightsError(
            f"{path} takes ({shape}); a backbone takes colour pictures, (N, 3, S, S) or "
            "(N, S, S, 3)."
        )
    height, width = sizes[2:] if is_nchw else sizes[1:3]
    if height and width and height != width:
        raise WeightsError(f"{path} takes pictures of {width} x {height}; only squares are read.")
    side = height or width
    return _Input(
        name=inputs[0].name,
        kind=tensor.elem_type,
        is_nchw=is_nchw,
        sides=(side, side),
        batch=sizes[0] or 1,
    )


def _channels_come_first(graph: onnx.GraphProto, picture: onnx.ValueInfoProto) -> bool | None:
    """Whether an input of four dimensions is (N, 3, S, S), not (N, S, S, 3); None: neither.

    Some exporters leave the number of channels open, as all the others; then it shows in what
    the network does with its input first.
    """
    dims = picture.type.tensor_type.shape.dim
    first, last = dims[1].dim_value, dims[3].dim_value
    if (first == 3) != (last == 3):
        return first == 3
    if first not in (0, 3) and last not in (0, 3):
        return None
    shapes = {item.name: list(item.dims) for item in graph.initializer}
    followed = {picture.name}
    for node in graph.node:
        if not followed & set(node.input):
            continue
        if node.op_type == "Conv":
            return True if shapes.get(node.input[1], [0, 3])[1] == 3 else None
        if node.op_type == "Transpose":
            order = next((list(each.ints) for each in node.attribute if each.name == "perm"), [])
            return {(0, 3, 1, 2): False, (0, 2, 3, 1): True}.get(tuple(order))
        if node.op_type in _PIXEL_BY_PIXEL:
            followed.update(node.output)
    return None


def _told(model: onnx.ModelProto) -> dict[str, Any]:
    """What the metadata say of size, scaling and output, by the names that exporters use."""
    told: dict[str, Any] = {}
    for item in model.metadata_props:
        try:
            value = json.loads(item.value)
        except ValueError:
            value = item.value
        told |= value if isinstance(value, Mapping) else {item.key: value}
    found: dict[str, Any] = {}
    mean = _numbers(told.get("mean", told.get("image_mean")))
    deviation = _numbers(told.get("std", told.get("deviation", told.get("image_std"))))
    if mean and deviation and all(each > 0 for each in deviation):
        found["scaling"] = standardised(mean, deviation)
    for key in ("input_size", "image_size", "size", "crop_size"):
        size = told.get(key)
        if isinstance(size, Mapping):
            size = size.get("height", size.get("shortest_edge"))
        if isinstance(size, Sequence) and not isinstance(size, str) and size:
            size = size[-1]
        if isinstance(size, int) and size > 0:
            found["size"] = size
            break
    if isinstance(told.get("output"), str):
        found["output"] = told["output"]
    return found


def _numbers(value: Any) -> tuple[float, ...] | None:
    """Three numbers, as a list or as text; one stands for all three."""
    if isinstance(value, str):
        value = re.findall(r"[-+0-9.eE]+", value)
    if isinstance(value, int | float):
        value = [value] * 3
    try:
        numbers = tuple(float(each) for each in value)
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == 3 and all(map(math.isfinite, numbers)) else None


def _between(
    model: onnx.ModelProto, given: _Input, scaling: Scaling, size_px: int, path: Path
) -> onnx.ModelProto:
    """The network with its input made of pixels; its output is called "features"."""
    if given.sides[0] not in (0, size_px):
        raise WeightsError(
            f"{path} takes pictures of {given.sides[0]} pixels only; {size_px} were asked for."
        )
    graph = copy_of(model).graph
    before: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def emit(kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        before.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    pixels = _IMAGE
    if given.is_nchw:
        pixels = emit("Transpose", [pixels], "scaling/NCHW", perm=[0, 3, 1, 2])
    if given.kind != TensorProto.UINT8:
        shape = (3, 1, 1) if given.is_nchw else (3,)
        for name, value in (("scale", scaling.scale), ("offset", scaling.offset)):
            held = np.array(value, np.float32).reshape(shape)
            constants.append(numpy_helper.from_array(held, f"scaling/{name}"))
        pixels = emit("Cast", [pixels], "scaling/float", to=TensorProto.FLOAT)
        pixels = emit("Mul", [pixels, "scaling/scale"], "scaling/scaled")
        pixels = emit("Add", [pixels, "scaling/offset"], "scaling/moved")
        if given.kind == TensorProto.FLOAT16:
            pixels = emit("Cast", [pixels], "scaling/half", to=TensorProto.FLOAT16)
    emit("Identity", [pixels], _PREFIX + given.name)
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", size_px, size_px, 3])
    made = helper.make_graph(
        [*before, *graph.node],
        "backbone",
        [image],
        list(graph.output),
        [*constants, *graph.initializer],
        sparse_initializer=list(graph.sparse_initializer),
    )
    return helper.make_model(
        made,
        producer_name="pawsure",
        ir_version=model.ir_version,
        opset_imports=list(model.opset_import),
    )


# What comes out


def _choose_output(graph: onnx.GraphProto, output: str, path: Path) -> str:
    outputs = [item.name for item in graph.output]
    if not output:
        if len(outputs) == 1:
            return outputs[0]
        raise WeightsError(
            f"{path} has the outputs {', '.join(outputs)}. Say which one are the features: "
            f"--set model.output={outputs[0]}"
        )
    made = {name for node in graph.node for name in node.output if name}
    if output not in made:
        raise WeightsError(
            f"{path} has no tensor '{output}'. Its outputs are {', '.join(outputs)}; other "
            "tensors have the names that a viewer such as Netron shows."
        )
    return output


def _with_free_batch(model: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """A copy in which the batch is as it comes where a fixed one is written.

    Reshapes that begin with it take the size over from their input, and constants of one row
    that are put beside rows of pictures (the class token of a transformer) are repeated. Whether
    that was right is for whoever runs it to check.
    """
    model = copy_of(model)
    shapes = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].HasField("t"):
            held[node.output[0]] = node.attribute[0].t
    rows = _constant_rows(model)
    for name in shapes & set(held):
        _free_first(held[name], batch)
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        if node.op_type == "Concat" and node.attribute[0].i > 0:
            for place, name in enumerate(node.input):
                if name in rows:
                    node.input[place] = _repeated(model.graph, name, rows[name])
        for attribute in node.attribute:
            if node.op_type == "Reshape" and attribute.name == "allowzero":
                attribute.i = 0
        model.graph.node.append(node)
    return model


def _constant_rows(model: onnx.ModelProto) -> dict[str, int]:
    """Tensors of one row that depend on no picture, with their number of axes."""
    sizes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    constant = set(sizes)
    for value in onnx.shape_inference.infer_shapes(model, data_prop=True).graph.value_info:
        sizes[value.name] = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    for node in model.graph.node:
        if constant.issuperset(filter(None, node.input)):
            constant.update(node.output)
            if node.op_type == "Expand" and 0 in sizes.get(node.output[0], [0]):
                sizes[node.output[0]] = sizes.get(node.input[0], [])  # of a batch of 1
    return {
        name: len(shape)
        for name, shape in sizes.items()
        if name in constant and len(shape) > 1 and shape[0] == 1
    }


def _free_first(tensor: onnx.TensorProto, batch: int) -> None:
    shape = numpy_helper.to_array(tensor)
    if shape.ndim == 1 and len(shape) > 1 and shape[0] == batch:
        # 0 takes the size over from what is reshaped.
        free = np.array([0, *shape[1:]], np.int64)
        tensor.CopyFrom(numpy_helper.from_array(free, tensor.name))


def _repeated(graph: onnx.GraphProto, name: str, rank: int) -> str:
    """Add nodes that repeat a constant of one row for each picture; the result's name."""
    made = f"{name}/repeated"
    if any(made in node.output for node in graph.node):
        return made
    ones = numpy_helper.from_array(np.ones(rank - 1, np.int64), f"{name}/ones")
    first = numpy_helper.from_array(np.zeros(1, np.int64), f"{name}/first")
    graph.initializer.extend([ones, first])
    for kind, inputs, output, attributes in (
        ("Shape", [_IMAGE], f"{name}/sizes", {}),
        ("Gather", [f"{name}/sizes", first.name], f"{name}/batch", {"axis": 0}),
        ("Concat", [f"{name}/batch", ones.name], f"{name}/shape", {"axis": 0}),
        ("Expand", [name, f"{name}/shape"], made, {}),
    ):
        graph.node.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
    return made


def _session(graph: onnx.ModelProto) -> Any:
    from pawsure.onnx_runtime import ONLY_FATAL, make_session

    return make_session(graph.SerializeToString(), severity=ONLY_FATAL)


def _try(session: Any, size_px: int) -> tuple[str, np.ndarray | None]:
    """Features of two pictures at once; none, and why, where they are not those of each alone."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (2, size_px, size_px, 3), dtype=np.uint8)
    try:
        both, *alone = (
            np.asarray(session.run(None, {"image": some})[0])
            for some in (pictures, pictures[:1], pictures[1:])
        )
    except Exception as exc:
        node = re.search(rf"Name:'(?:{_PREFIX})?([^']+)'", str(exc))
        return f"it stops at its node '{node[1]}'" if node else _first_line(exc), None
    expected = np.concatenate([each.reshape(1, -1) for each in alone]).astype(np.float64)
    found = both.reshape(len(both), -1).astype(np.float64) if both.ndim else both
    if found.shape != expected.shape:
        return f"its output for two pictures has the shape {both.shape}", None
    if not np.isfinite(expected).all():
        return "its output is not finite", None
    if np.abs(found - expected).max() > _SAME * max(np.abs(expected).max(), 1e-6):
        return "what it gives for one depends on the others", None
    return "", both


def _takes(session: Any, batch: int, size_px: int) -> bool:
    """Whether the size of pictures is no trouble, if a free batch is."""
    try:
        session.run(None, {"image": np.zeros((batch, size_px, size_px, 3), np.uint8)})
    except Exception:  # ONNX Runtime raises classes of its own, none of them public
        return False
    return True


def _wrong_size(path: Path, size_px: int, trouble: str) -> WeightsError:
    return WeightsError(
        f"{path} can't be run on pictures of {size_px} pixels ({trouble}). Name the size that it "
        "was made for by --image-size, or as image_size in the recipe."
    )


def _as_feature_map(
    model: onnx.ModelProto, values: np.ndarray, given: _Input, path: Path
) -> onnx.ModelProto:
    """The graph with its output as a feature map, and nothing else put out."""
    if values.dtype not in (np.float32, np.float16):
        raise WeightsError(f"{path} gives numbers of type {values.dtype}; features are floats.")
    features = model.graph.output[0].name
    add: list[onnx.NodeProto] = []

    def emit(kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        add.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def hold(name: str, value: Sequence[int]) -> str:
        held = numpy_helper.from_array(np.array(value, np.int64), f"layout/{name}")
        model.graph.initializer.append(held)
        return held.name

    if values.dtype == np.float16:
        features = emit("Cast", [features], "layout/float", to=TensorProto.FLOAT)
    shape = values.shape[1:]
    if values.ndim == 2:
        axes = hold("axes", [1, 2])
        emit("Unsqueeze", [features, axes], "feature_map")
        shape = (1, 1, *shape)
    elif values.ndim == 3:
        side = math.isqrt(shape[0])
        leading = shape[0] - side**2
        if leading > _MOST_LEADING_TOKENS:
            raise WeightsError(f"The {shape[0]} tokens of {path} are no square of places.")
        if leading:
            bounds = [hold("start", [leading]), hold("end", [shape[0]]), hold("tokens", [1])]
            features = emit("Slice", [features, *bounds], "layout/places")
        grid = hold("grid", [0, side, side, shape[1]])
        emit("Reshape", [features, grid], "feature_map")
        shape = (side, side, shape[1])
    elif values.ndim == 4 and _is_channels_first(shape, given):
        emit("Transpose", [features], "feature_map", perm=[0, 2, 3, 1])
        shape = (shape[1], shape[2], shape[0])
    elif values.ndim == 4 and shape[0] == shape[1]:
        emit("Identity", [features], "feature_map")
    else:
        raise WeightsError(
            f"{path} gives {('N', *shape)} for N pictures; features are (N, F, h, w), "
            "(N, h, w, F), (N, T, F) or (N, F)."
        )
    model.graph.node.extend(add)
    del model.graph.output[:]
    model.graph.output.append(
        helper.make_tensor_value_info("feature_map", TensorProto.FLOAT, ["N", *shape])
    )
    return model


def _is_channels_first(shape: tuple[int, ...], given: _Input) -> bool:
    """Pictures are squares, so the two equal sizes are the places."""
    first, last = shape[1] == shape[2], shape[0] == shape[1]
    return first and (not last or given.is_nchw)

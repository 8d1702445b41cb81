"""Files that hold a network's weights: reading each kind, and writing our own.

Whatever the kind, a file is read whole and checked against the network before the first
variable is changed.
"""

from __future__ import annotations

import hashlib
import json
import struct
import warnings
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pawsure.data.files import atomic_path
from pawsure.errors import WeightsError
from pawsure.network.backbones import BACKBONES
from pawsure.network.framework import keras
from pawsure.network.hdf5_layers import read_layers
from pawsure.network.lite_weights import is_lite, read_variables
from pawsure.network.torch_file import TORCH_START
from pawsure.network.variables import named_variables

Arrays = dict[str, npt.NDArray[Any]]

HDF5_START = b"\x89HDF\r\n\x1a\n"
"""How every HDF5 file begins."""

_ZIP_START = b"PK"

# The smallest magnitude that float16 holds with its full eleven bits.
_LEAST_FULL_FLOAT16 = 2.0**-14


def load_weights_file(model: keras.Model, path: Path) -> None:
    """Give a network the weights of a file.

    The kind is told by the content: `.npz` (as `save_weights_float16` writes), `.keras` (a
    whole model, of which the network is a part), `.weights.h5` of Keras 3, the older `.h5` in
    which Keras Applications come, or the older `.pth` in which EfficientNet-Lite does. A file
    may hold more than the network, such as a head.

    Args:
        model: a network; unchanged if an error is raised (except for `.weights.h5`).
        path: the file.

    Raises:
        WeightsError: no such file, a damaged one, or weights of another network; the message
            names the layer with the expected and the found shape.
    """
    start = _first_bytes(path)
    if start.startswith(_ZIP_START):
        arrays = _read_archive(path)
        _assign(_matched_by_name(model, arrays, path))
    elif start.startswith(HDF5_START):
        _load_hdf5(model, path)
    elif start == TORCH_START[: len(start)]:
        _assign(_matched_by_name(model, _read_torch(model, path), path))
    else:
        raise WeightsError(
            f"{path} is not a file of weights (it begins with {start[:8]!r}). "
            "Expected .npz, .keras, .weights.h5, .h5 or .pth."
        )


def save_weights_float16(model: keras.Model, path: Path, provenance: Mapping[str, Any]) -> None:
    """Write a network's weights in half the space, and beside them where they come from.

    Variables are rounded to float16, which changes a value by at most 0.05%; those for which
    that does not hold (BatchNorm variances below 6e-5, values above 65504) stay float32. The
    same weights give the same bytes.

    Args:
        model: the network.
        path: the `.npz` to write; the provenance goes beside it as `.json`.
        provenance: what they were trained on, how, by which version: anything JSON can hold.
    """
    arrays = {
        name: _rounded(keras.ops.convert_to_numpy(variable), name)
        for name, variable in named_variables(model).items()
    }
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    described = {
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "network": model.name,
        "variables": len(arrays),
        "provenance": dict(provenance),
    }
    with atomic_path(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(described, indent=2, sort_keys=True) + "\n")


def weights_id(model: keras.Model) -> str:
    """SHA-256 over every variable of a network in order: its name, shape and values.

    Two networks with the same weights but a different way of computing (a cut before or
    after an activation) have the same; the bytes of their ONNX graphs differ.
    """
    digest = hashlib.sha256()
    for name, variable in named_variables(model).items():
        values = np.ascontiguousarray(keras.ops.convert_to_numpy(variable))
        digest.update(f"{name} {values.dtype} {values.shape}\n".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def _rounded(values: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """The values as float16 where that keeps them, else as they are."""
    magnitude = np.abs(values)
    # A variance is divided by, so that its relative error counts however small it is.
    too_small = name.endswith("variance") and bool((magnitude < _LEAST_FULL_FLOAT16).any())
    too_large = bool((magnitude > np.finfo(np.float16).max).any())
    return values.astype(np.float32 if too_small or too_large else np.float16)


def _first_bytes(path: Path) -> bytes:
    """How the file begins, which tells its kind."""
    try:
        with path.open("rb") as file:
            return file.read(8)
    except OSError as exc:
        raise WeightsError(
            f"The weights {path} can't be read: {exc.strerror or exc}. Check the path."
        ) from exc


def _damaged(path: Path, exc: Exception) -> WeightsError:
    """The error for a file of a known kind that can't be read to its end."""
    return WeightsError(
        f"The weights {path} are damaged or cut short ({exc}). Fetch or write the file again."
    )


# Archives: .npz and .keras


def _read_archive(path: Path) -> Arrays:
    """Variables by name from a `.npz` or `.keras` file."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
            damaged = archive.testzip()  # some readers of members pass over their checksums
        if damaged is not None:
            raise ValueError(f"'{damaged}' in it does not fit its checksum")
        if "config.json" in members:
            whole = keras.saving.load_model(path, compile=False)
            return {
                name: keras.ops.convert_to_numpy(variable)
                for name, variable in named_variables(whole).items()
            }
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except _DAMAGED_ARCHIVE as exc:
        raise _damaged(path, exc) from exc


_DAMAGED_ARCHIVE = (
    *(OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError),  # RuntimeError: encrypted
    *(zipfile.BadZipFile, zlib.error, struct.error),
)


def _read_torch(model: keras.Model, path: Path) -> Arrays:
    """Variables by name from a `.pth` file of the published EfficientNet-Lite."""
    backbone = BACKBONES.get(model.name)
    if backbone is None or not is_lite(backbone):
        raise WeightsError(
            f"{path} holds PyTorch tensors, which are read for EfficientNet-Lite only; the "
            f"network is {model.name}. Give the file of this backbone, or choose another."
        )
    return dict(read_variables(backbone, path))


def _matched_by_name(
    model: keras.Model, arrays: Arrays, path: Path
) -> list[tuple[Any, npt.NDArray[Any]]]:
    """Each variable of the network with its values in the file, found by name.

    In a file of a larger model the network may be nested, and its names begin with that
    model's; so the end of a name will do where it is the only one.
    """
    endings: dict[str, list[str]] = {}
    for name in arrays:
        parts = name.split("/")
        for first in range(1, len(parts) - 1):
            endings.setdefault("/".join(parts[first:]), []).append(name)
    pairs, missing = [], []
    for name, variable in named_variables(model).items():
        found = [name] if name in arrays else endings.get(name, [])
        if len(found) == 1:
            _require_shape(model, name, variable.shape, arrays[found[0]], path)
            pairs.append((variable, arrays[found[0]]))
        else:
            missing.append(name)
    if missing:
        raise WeightsError(
            f"{path} does not hold weights of {model.name}: there are none for layer "
            f"'{missing[0].rpartition('/')[0]}' ('{missing[0]}') and {len(missing) - 1} other "
            f"variables; it holds {len(arrays)}, such as '{next(iter(arrays), '')}'. "
            "Give the file of this backbone, or choose the backbone of the file."
        )
    return pairs


def _require_shape(
    model: keras.Model,
    name: str,
    expected: Sequence[int],
    values: npt.NDArray[Any],
    path: Path,
) -> None:
    """Refuse values that are not of the variable's shape, or no numbers."""
    layer, _, variable = name.rpartition("/")
    if tuple(values.shape) != tuple(expected):
        raise WeightsError(
            f"Layer '{layer}' of {model.name} expects {variable} of shape {tuple(expected)}; "
            f"{path} has {tuple(values.shape)}. It is of another network or width: give the "
            "file of this backbone, or choose the backbone of the file."
        )
    if values.dtype.kind != "f" or not np.isfinite(values).all():
        raise WeightsError(
            f"{path} has values that are no numbers for {variable} of layer '{layer}'. "
            "Fetch or write the file again."
        )


def _assign(pairs: Sequence[tuple[Any, npt.NDArray[Any]]]) -> None:
    """Set variables to values that were checked."""
    for variable, values in pairs:
        variable.assign(values.astype(np.float32))


# HDF5: .h5 of Keras Applications, .weights.h5 of Keras 3


def _load_hdf5(model: keras.Model, path: Path) -> None:
    """Load either of Keras's HDF5 kinds."""
    import h5py

    try:
        with h5py.File(path) as file:
            group = file.get("model_weights", file)
            saved = read_layers(group) if "layer_names" in group.attrs else None
    except (OSError, KeyError, RuntimeError) as exc:
        raise _damaged(path, exc) from exc
    if saved is None:
        _load_keras3(model, path)
    else:
        _assign(_matched_by_layer(model, saved, path))


def _matched_by_layer(
    model: keras.Model, saved: Mapping[str, list[npt.NDArray[Any]]], path: Path
) -> list[tuple[Any, npt.NDArray[Any]]]:
    """Each variable of the network with its values in an older `.h5`.

    Its layers stand in the network's order, under names that may be older than today's; a
    file with more layers (a classifier) is matched by name.
    """
    layers = [layer for layer in model.layers if layer.weights]
    if len(saved) == len(layers):
        held = list(saved.values())
    elif all(layer.name in saved for layer in layers):
        held = [saved[layer.name] for layer in layers]
    else:
        raise WeightsError(
            f"{path} has {len(saved)} layers with weights; {model.name} has {len(layers)}. "
            "Give the file of this backbone (without its classifier), or choose the backbone "
            "of the file."
        )
    pairs = []
    for layer, arrays in zip(layers, held, strict=True):
        # The order of such files: what learns, then what does not (moving statistics).
        variables = [*layer.trainable_weights, *layer.non_trainable_weights]
        if len(arrays) != len(variables):
            raise WeightsError(
                f"Layer '{layer.name}' of {model.name} has {len(variables)} variables; "
                f"{path} has {len(arrays)} for it. Give the file of this backbone."
            )
        for variable, values in zip(variables, arrays, strict=True):
            name = f"{layer.name}/{variable.name}"
            _require_shape(model, name, variable.shape, values, path)
            pairs.append((variable, values))
    return pairs


def _load_keras3(model: keras.Model, path: Path) -> None:
    """Load a `.weights.h5`, which holds layers by kind and number and not by name."""
    try:
        with warnings.catch_warnings(record=True) as told:
            model.load_weights(path)
        # What Keras finds no values for it only warns about, layer by layer.
        skipped = [each for each in told if "Skipping" in str(each.message)]
        if skipped:
            raise ValueError(str(skipped[0].message))
    except (ValueError, KeyError, OSError) as exc:
        raise WeightsError(
            f"{path} does not fit {model.name}: {exc} "
            "Give the file of this backbone, or choose the backbone of the file."
        ) from exc

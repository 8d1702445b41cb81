"""The older HDF5 kind of weights, in which Keras Applications come; read without Keras."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def read_layers(group: Any) -> dict[str, list[npt.NDArray[Any]]]:
    """The layers of an older `.h5` that have weights, in the file's order."""
    layers: dict[str, list[npt.NDArray[Any]]] = {}
    for name in _texts(group.attrs, "layer_names"):
        weights = _texts(group[name].attrs, "weight_names")
        if weights:
            layers[name] = [np.asarray(group[name][weight]) for weight in weights]
    return layers


def _texts(attributes: Any, name: str) -> list[str]:
    """A list of texts in HDF5, which Keras splits in numbered parts when it is long."""
    if name in attributes:
        parts = [attributes[name]]
    else:
        parts = []
        while f"{name}{len(parts)}" in attributes:
            parts.append(attributes[f"{name}{len(parts)}"])
    texts = [text for part in parts for text in part]
    return [text.decode() if isinstance(text, bytes) else str(text) for text in texts]

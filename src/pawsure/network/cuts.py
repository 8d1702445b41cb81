"""Where a network can be cut in two, and the two halves.

A cut is a tensor through which all data flows (an articulation point of the layer graph):
what comes before it, the prefix, can be run once and its output kept; what comes after it,
the suffix, can learn from what was kept.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pawsure.errors import UsageError
from pawsure.network.framework import keras
from pawsure.network.graph import Call, calls_in_order

NEAR = 0.125
"""How far from a wanted share of the layers a cut may lie to be preferred for being narrow."""

DEPTHS = (0.65, 0.25, 0.1)
"""Shares of the layers that stay frozen, in the order in which depths are tried."""


@dataclass(frozen=True)
class Cut:
    """A tensor through which all data of a model flows.

    Attributes:
        name: the operation that makes it; for the model's input, its input layer.
        index: the place in `model.layers` of the last layer of the prefix; the suffix has
            exactly the layers with larger places.
        shape: its shape without the batch, channels last.
    """

    name: str
    index: int
    shape: tuple[int, ...]

    @property
    def is_input(self) -> bool:
        """Whether it is the model's input, so that the suffix is the whole model."""
        return self.index == 0


def find_cuts(model: keras.Model) -> list[Cut]:
    """All cuts of a model with one input and one output, in the order data flows.

    The input is left out (see `input_cut`); the last one is the model's output.
    """
    return [cut for cut, _ in _cuts_and_tensors(model)]


def input_cut(model: keras.Model) -> Cut:
    """The cut before the first layer: nothing is frozen."""
    tensor = _only_tensor(model, "inputs")
    return Cut(model.layers[0].name, 0, tuple(tensor.shape[1:]))


def cut_before(model: keras.Model, layer: str | int) -> Cut:
    """The last cut such that `layer` and all layers after it lie in the suffix.

    Args:
        model: a model with one input and one output.
        layer: the first layer that is to learn: its name, or its place in `model.layers`
            as Keras counts them (the input layer is 0; `len(model.layers)`: none learns).

    Returns:
        A cut; `input_cut(model)` when no other lies before the layer. Layers between it and
        `layer` belong to the suffix: freeze them with `set_trainable_from`.

    Raises:
        UsageError: the model has no such layer.
    """
    index = layer_index(model, layer)
    before = [cut for cut in find_cuts(model) if cut.index < index]
    return before[-1] if before else input_cut(model)


def narrow_cut(model: keras.Model, share: float) -> Cut:
    """A cut with about this share of the layers before it, where the network is narrow.

    Of the cuts within an eighth of the layers around it, the one with the fewest numbers, which
    is cheapest to keep; of equals the last, which leaves the least to compute.

    Args:
        model: a model with one input and one output.
        share: in (0, 1).
    """
    cuts = find_cuts(model)
    off = {cut: abs(cut.index / len(model.layers) - share) for cut in cuts}
    near = [cut for cut in cuts[:-1] if off[cut] <= NEAR]
    if not near:
        return min(cuts, key=off.__getitem__)
    return min(near, key=lambda cut: (math.prod(cut.shape), -cut.index))


def depth_candidates(model: keras.Model) -> list[Cut]:
    """Cuts to try in turn when nobody knows how deep to learn, the shallowest first."""
    return list(dict.fromkeys(narrow_cut(model, share) for share in DEPTHS))


def prefix(model: keras.Model, cut: Cut) -> keras.Model:
    """The part of a model from its input to a cut, with the same layers and variables.

    At the input's cut it hands its input through.
    """
    tensor = _tensor_of(model, cut)
    return keras.Model(_only_tensor(model, "inputs"), tensor, name=f"{model.name}_to_{cut.name}")


def suffix(model: keras.Model, cut: Cut) -> keras.Model:
    """The part of a model from a cut to its output, with the same layers and variables.

    At the last cut it hands its input through.
    """
    name = f"{model.name}_from_{cut.name}"
    output = _only_tensor(model, "outputs")
    tensor = _tensor_of(model, cut)
    if tensor is output:
        feature_map = keras.Input(cut.shape, dtype=tensor.dtype, name=cut.name)
        return keras.Model(feature_map, feature_map, name=name)
    part = keras.Model(tensor, output, name=name)
    if not cut.is_input:
        # Keras makes an input layer and names it by a count that runs through the process.
        part.layers[0].name = f"{cut.name}_input"
    return part


def layer_index(model: keras.Model, layer: str | int) -> int:
    """The place of a layer in `model.layers`.

    Args:
        model: any model.
        layer: a name, or a place from 0 to `len(model.layers)`, which is returned as it is.

    Raises:
        UsageError: no such layer; the message says which come near.
    """
    names = [each.name for each in model.layers]
    if isinstance(layer, int):
        if not 0 <= layer <= len(names):
            raise UsageError(
                f"{model.name} has {len(names)} layers; there is none at place {layer}. "
                f"Give a number from 0 to {len(names)}, or a layer's name."
            )
        return layer
    if layer not in names:
        near = get_close_matches(layer, names, n=3) or names[1:4]
        raise UsageError(f"{model.name} has no layer '{layer}'. Did you mean {' or '.join(near)}?")
    return names.index(layer)


def _cuts_and_tensors(model: keras.Model) -> list[tuple[Cut, Any]]:
    """Every cut but the input's, with its tensor.

    One sweep over the calls with the set of tensors that are made and still wanted: where
    that is a single tensor, everything that follows is computed from it. Any order in which
    each call comes after what it needs finds them all: whatever is not needed for such a
    tensor is computed from it, so nothing else can be alive when it has just been made.
    """
    source, output = _only_tensor(model, "inputs"), _only_tensor(model, "outputs")
    calls = calls_in_order(model)
    wanted = Counter(id(tensor) for call in calls for tensor in call.inputs)
    wanted[id(output)] += 1
    places = {id(layer): place for place, layer in enumerate(model.layers)}
    alive, reached = {id(source)}, 0
    found = []
    for call in calls:
        reached = max(reached, places.get(id(call.operation), 0))
        _advance(alive, wanted, call)
        if len(alive) == 1 and len(call.outputs) == 1:
            tensor = call.outputs[0]
            cut = Cut(call.operation.name, reached, tuple(tensor.shape[1:]))
            found.append((cut, tensor))
    return found


def _advance(alive: set[int], wanted: Counter[int], call: Call) -> None:
    """Bring the set of living tensors past one call."""
    for tensor in call.inputs:
        wanted[id(tensor)] -= 1
        if not wanted[id(tensor)]:
            alive.discard(id(tensor))
    alive.update(id(tensor) for tensor in call.outputs if wanted[id(tensor)])


def _tensor_of(model: keras.Model, cut: Cut) -> Any:
    """The tensor of a cut in this model."""
    if cut == input_cut(model):
        return _only_tensor(model, "inputs")
    for candidate, tensor in _cuts_and_tensors(model):
        if candidate == cut:
            return tensor
    raise UsageError(
        f"{model.name} has no cut '{cut.name}' of shape {cut.shape}. "
        "Take one from find_cuts of the same model."
    )


def _only_tensor(model: keras.Model, which: str) -> Any:
    """The model's single input or output."""
    tensors = keras.tree.flatten(getattr(model, which))
    if len(tensors) != 1:
        raise UsageError(
            f"{model.name} has {len(tensors)} {which}; only a model with one can be cut."
        )
    return tensors[0]

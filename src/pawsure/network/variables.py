"""The variables of a network by name: what weight files and exported graphs are keyed by."""

from __future__ import annotations

from collections.abc import Iterator

from pawsure.errors import UsageError
from pawsure.network.framework import keras


def named_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Every weight of a model, in the model's order, under a name that is its own.

    The name is Keras's path of it (`block_1_expand/kernel`), spelled with the names that the
    layers have now: a variable's own `path` keeps the name that its layer was created with.
    Layers of nested models have those models' names before theirs.

    Raises:
        UsageError: two variables would have the same name.
    """
    named: dict[str, keras.Variable] = {}
    seen: set[int] = set()
    for name, variable in _walk(model, ""):
        if id(variable) in seen:  # a layer that is used twice
            continue
        if name in named:
            raise UsageError(f"{model.name} has two variables '{name}'. Rename one of the layers.")
        seen.add(id(variable))
        named[name] = variable
    return named


def _walk(model: keras.Model, above: str) -> Iterator[tuple[str, keras.Variable]]:
    """Names and variables of a model's layers, layer by layer."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _walk(layer, f"{above}{layer.name}/")
        else:
            for variable in layer.weights:
                yield f"{above}{layer.name}/{variable.name}", variable

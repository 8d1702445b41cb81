"""The frozen part of a recipe's network as an ONNX file, kept for later runs.

Which tensor a stage is cut at can only be told from the Keras network, so what was found is
written beside the exported file; a later run with the same backbone, weights and size needs
neither Keras nor another export.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pawsure.data.files import atomic_path
from pawsure.data.images import WAY_IN_VERSION
from pawsure.errors import WeightsError
from pawsure.features.prefix import (
    FEATURE_MAP,
    PIXELS,
    POOLED,
    Prefix,
    identity,
    prefixes_dir,
)
from pawsure.network.backbones import ZERO_TO_ONE, Scaling, find_backbone
from pawsure.network.weights import weights_identity
from pawsure.training.recipe import AUTO, HEAD, WHOLE, ModelRecipe

if TYPE_CHECKING:
    import keras

    from pawsure.network.cuts import Cut

CONVERTER_VERSION = 3
"""Raised when exported prefixes of an older pawsure compute something else, or when the cuts
that "auto" or a share stands for are others."""


@dataclass(frozen=True)
class Source:
    """Where a stage's rows come from.

    Attributes:
        output: the prefix's output that is stored: `POOLED`, `PIXELS`, or a cut's name.
        first: the place in `model.layers` of the first layer that learns.
        shape: of one row.
    """

    output: str
    first: int
    shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class CutPrefix:
    """A prefix with the sources for each `train_from` of a recipe: one, or several to try."""

    prefix: Prefix
    sources: dict[str | int | float, tuple[Source, ...]]


def scaling_of(model: ModelRecipe) -> Scaling:
    """How pixels are scaled for the network."""
    return ZERO_TO_ONE if model.scaling == "unit" else find_backbone(model.backbone).scaling


def prefix_key(model: ModelRecipe, seed: int) -> str | None:
    """What decides the prefix's outputs, as a short name; needs no Keras.

    Returns:
        None while ImageNet weights are yet to be fetched.

    Raises:
        WeightsError: the weights can't be had.
    """
    weights = weights_identity(
        find_backbone(model.backbone), model.weights, size_px=model.image_size, seed=seed
    )
    if weights is None:
        return None
    return identity(
        backbone=model.backbone,
        image_size=model.image_size,
        weights=weights,
        scaling=asdict(scaling_of(model)),
        converter=CONVERTER_VERSION,
        way_in=WAY_IN_VERSION,
    )


def find_prefix(
    model: ModelRecipe, train_froms: Sequence[str | int | float], *, seed: int
) -> CutPrefix | None:
    """The prefix that an earlier run exported for these stages, or None."""
    key = prefix_key(model, seed)
    if key is None:
        return None
    path = _file(key, train_froms)
    told = path.with_suffix(".json")
    if not told.is_file():
        return None
    found = json.loads(told.read_text(encoding="utf-8"))
    return _assemble(
        key,
        model.image_size,
        path if path.is_file() else None,
        {
            train_from: tuple(
                Source(row["output"], row["first"], tuple(row["shape"])) for row in rows
            )
            for train_from, rows in zip(train_froms, found["sources"], strict=True)
        },
    )


def export_prefix(
    model: ModelRecipe,
    train_froms: Sequence[str | int | float],
    build: Callable[[], keras.Model],
    *,
    seed: int,
) -> CutPrefix:
    """Find the cuts of these stages, export what comes before them, and keep it.

    Args:
        model: the network's recipe.
        train_froms: of the stages.
        build: makes the backbone in Keras with its starting weights.
        seed: decides the starting weights when they are drawn.
    """
    backbone = build()
    key = prefix_key(model, seed)
    if key is None:  # fetched, but not to where Keras's cache was looked for
        raise WeightsError(
            f"The ImageNet weights of {model.backbone} were fetched, but are not in Keras's cache."
        )
    sources = {train_from: _sources(backbone, train_from) for train_from in train_froms}
    path = _file(key, train_froms)
    outputs = {source.output for each in sources.values() for source in each} - {PIXELS}
    if outputs:
        _export(backbone, [*sorted(outputs), FEATURE_MAP], scaling_of(model), path)
    rows: list[list[dict[str, Any]]] = [
        [asdict(source) for source in each] for each in sources.values()
    ]
    told = {"sources": rows}
    with atomic_path(path.with_suffix(".json")) as temporary:
        Path(temporary).write_text(json.dumps(told), encoding="utf-8")
    return _assemble(key, model.image_size, path if outputs else None, sources)


def _file(key: str, train_froms: Sequence[str | int | float]) -> Path:
    folder = prefixes_dir() / key
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{identity(train_froms=list(train_froms))}.onnx"


def _assemble(
    key: str,
    size_px: int,
    path: Path | None,
    sources: dict[str | int | float, tuple[Source, ...]],
) -> CutPrefix:
    shapes = {source.output: source.shape for each in sources.values() for source in each}
    return CutPrefix(
        prefix=Prefix(key=key, size_px=size_px, shapes=shapes, path=path), sources=sources
    )


def _sources(backbone: keras.Model, train_from: str | int | float) -> tuple[Source, ...]:
    """What a stage that learns from this layer on is fed with."""
    from pawsure.network.cuts import cut_before, depth_candidates, layer_index, narrow_cut

    if train_from == HEAD:
        return (Source(POOLED, len(backbone.layers), (backbone.output.shape[-1],)),)
    if train_from == AUTO:
        return tuple(_behind(cut) for cut in depth_candidates(backbone))
    if isinstance(train_from, float):
        return (_behind(narrow_cut(backbone, train_from)),)
    first = 0 if train_from == WHOLE else layer_index(backbone, train_from)
    cut = cut_before(backbone, first)
    return (Source(PIXELS if cut.is_input else cut.name, first, cut.shape),)


def _behind(cut: Cut) -> Source:
    """All layers behind a cut learn."""
    return Source(cut.name, cut.index + 1, cut.shape)


def _export(backbone: keras.Model, outputs: Sequence[str], scaling: Scaling, path: Path) -> None:
    """Write the prefix."""
    import keras

    from pawsure.network.cuts import find_cuts, prefix
    from pawsure.network.onnx_graph import to_onnx

    cuts = {cut.name: cut for cut in find_cuts(backbone)}
    ends = {
        FEATURE_MAP: lambda: backbone.output,
        POOLED: lambda: keras.layers.GlobalAveragePooling2D(name=POOLED)(backbone.output),
    }
    tensors = [
        ends[output]() if output in ends else prefix(backbone, cuts[output]).output
        for output in outputs
    ]
    graph = to_onnx(keras.Model(backbone.input, tensors), scaling=scaling, outputs=outputs)
    with atomic_path(path) as temporary:
        Path(temporary).write_bytes(graph.SerializeToString(deterministic=True))

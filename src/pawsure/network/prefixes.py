"""The frozen layers of a recipe's network as an ONNX file, kept for later runs.

Where only a head learns, the frozen layers are all of the backbone: one graph, which for some
backbones needs no Keras (see `pawsure.network.frozen`). Which tensor another stage is cut at can
only be told from the Keras network, so what was found is written beside the exported file; a
later run with the same backbone, weights and size needs neither Keras nor another export.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pawsure.data.cache import in_cache
from pawsure.data.checksums import read_checked_json, write_checked_json
from pawsure.data.files import atomic_path
from pawsure.data.images import PREPROCESSING_VERSION
from pawsure.errors import MissingExtraError, WeightsError
from pawsure.features.prefix import (
    FEATURE_MAP,
    PIXELS,
    POOLED,
    Prefix,
    graph_key,
    identity,
    prefixes_dir,
)
from pawsure.graph.foreign import content_hash, declared, foreign_graph
from pawsure.graph.pool import with_pooled_output
from pawsure.graph.scaling import Scaling, standardised
from pawsure.network.backbones import (
    IMAGENET_STANDARDISED,
    ZERO_TO_ONE,
    find_backbone,
)
from pawsure.network.frozen import frozen_graph, needs_keras
from pawsure.network.recipe import AUTO, HEAD, WHOLE, ModelRecipe, Standardisation, is_file
from pawsure.network.weights import weights_identity
from pawsure.progress import NO_PROGRESS, Progress

if TYPE_CHECKING:
    import keras
    import onnx

    from pawsure.network.cuts import Cut

CONVERTER_VERSION = 3
"""Raised when exported prefixes of an older pawsure compute something else, or when the cuts
that "auto" or a share stands for are others."""


@dataclass(frozen=True)
class StageInput:
    """The input of the layers that a stage trains.

    Attributes:
        output: of the prefix, as stored: `POOLED`, `PIXELS`, or a cut's name.
        first: index in `model.layers` of the first trained layer; None: the head alone.
        shape: for one picture.
    """

    output: str
    first: int | None
    shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class CutPrefix:
    """A prefix with the inputs for each `train_from` of a recipe: one, or several to try."""

    prefix: Prefix
    inputs: Mapping[str | int | float, tuple[StageInput, ...]]


def scaling_of(model: ModelRecipe) -> Scaling:
    """How pixels are scaled for the network.

    Raises:
        WeightsError: a file that says nothing of it, nor does the recipe.
    """
    if isinstance(model.scaling, Standardisation):
        return standardised(model.scaling.mean, model.scaling.deviation)
    if model.scaling == "imagenet":
        return IMAGENET_STANDARDISED
    if is_file(model.backbone) and model.scaling == "backbone":
        scaling = declared(model.backbone).scaling
        if scaling is None:
            raise WeightsError(
                f"{model.backbone} does not say how pixels are scaled. Say it: "
                "--set scaling=imagenet, --set scaling=unit, or the mean and deviation as "
                "model.scaling in a recipe."
            )
        return scaling
    return ZERO_TO_ONE if model.scaling == "unit" else find_backbone(model.backbone).scaling


def prefix_key(model: ModelRecipe, seed: int) -> str | None:
    """What decides what is exported, as a short name; needs no Keras.

    Returns:
        None while ImageNet weights are yet to be fetched.

    Raises:
        WeightsError: the weights can't be had.
    """
    if is_file(model.backbone):
        return identity(
            file=content_hash(model.backbone),
            output=model.output,
            image_size=model.image_size,
            scaling=asdict(scaling_of(model)),
            converter=CONVERTER_VERSION,
            way_in=PREPROCESSING_VERSION,
        )
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
        way_in=PREPROCESSING_VERSION,
    )


def prefix_needs_keras(model: ModelRecipe, train_froms: Sequence[str | int | float]) -> bool:
    """Whether only Keras can export the prefix of these stages.

    Raises:
        WeightsError: the weights can't be had.
    """
    if is_file(model.backbone):
        return False
    return set(train_froms) != {HEAD} or needs_keras(
        find_backbone(model.backbone), model.weights, size_px=model.image_size
    )


def require_keras() -> None:
    """Say what to do where Keras is needed and is not installed.

    Raises:
        MissingExtraError: it is not.
    """
    if sys.modules.get("keras") is None and find_spec("keras") is None:
        raise MissingExtraError("keras", "train", otherwise="--recipe fast")


def find_prefix(
    model: ModelRecipe,
    train_froms: Sequence[str | int | float],
    *,
    seed: int,
    progress: Progress = NO_PROGRESS,
) -> CutPrefix | None:
    """The prefix that an earlier run exported for these stages, or None.

    None as well where the files are not what was written: the caller exports them again.
    """
    key = prefix_key(model, seed)
    if key is None:
        return None
    path = _file(key, train_froms)
    described = path.with_suffix(".json")
    found = read_checked_json(described)
    if found is not None and found["graph"] == (_digest(path) if found["graph"] else ""):
        return _assemble(
            model.image_size,
            path if found["graph"] else None,
            {
                train_from: tuple(
                    StageInput(row["output"], row["first"], tuple(row["shape"])) for row in rows
                )
                for train_from, rows in zip(train_froms, found["sources"], strict=True)
            },
        )
    if described.exists():
        progress.say(f"The cached frozen layers in {path} are damaged; they are exported again.")
    return None


def export_prefix(
    model: ModelRecipe,
    train_froms: Sequence[str | int | float],
    build: Callable[[], keras.Model],
    *,
    seed: int,
) -> CutPrefix:
    """Find the cuts of these stages, export what comes before them, and keep it.

    Where the cache can't be written, it is kept in a temporary folder.

    Args:
        model: the network's recipe.
        train_froms: of the stages.
        build: makes the backbone in Keras with its starting weights.
        seed: decides the starting weights when they are drawn.

    Raises:
        WeightsError: the weights can't be had.
        MissingExtraError: this takes Keras, which is not installed.
    """
    if prefix_needs_keras(model, train_froms):
        require_keras()
    if set(train_froms) == {HEAD}:
        return _export_whole(model, train_froms, _whole_graph(model, build), seed=seed)
    backbone = build()
    inputs = {train_from: _inputs_of(backbone, train_from) for train_from in train_froms}
    outputs = {cut.output for each in inputs.values() for cut in each} - {PIXELS}
    graph = None
    if outputs:
        graph = _graph(backbone, [*sorted(outputs), FEATURE_MAP], scaling_of(model))
    return _store(model, graph, inputs, seed=seed)


def _whole_graph(model: ModelRecipe, build: Callable[[], keras.Model]) -> onnx.ModelProto:
    """A frozen backbone from pixels to `FEATURE_MAP`: of the table, or a file of one's own."""
    if is_file(model.backbone):
        return foreign_graph(
            model.backbone, size_px=model.image_size, scaling=scaling_of(model), output=model.output
        )
    return frozen_graph(
        find_backbone(model.backbone),
        model.weights,
        size_px=model.image_size,
        scaling=scaling_of(model),
        build=build,
    )


def _export_whole(
    model: ModelRecipe,
    train_froms: Sequence[str | int | float],
    graph: onnx.ModelProto,
    *,
    seed: int,
) -> CutPrefix:
    """Keep a backbone that stays frozen, from pixels to `FEATURE_MAP`, with its pooled features."""
    width = graph.graph.output[0].type.tensor_type.shape.dim[3].dim_value
    graph = with_pooled_output(graph, FEATURE_MAP, POOLED)
    inputs = {train_from: (StageInput(POOLED, None, (width,)),) for train_from in train_froms}
    return _store(model, graph, inputs, seed=seed)


def _store(
    model: ModelRecipe,
    graph: onnx.ModelProto | None,
    inputs: Mapping[str | int | float, tuple[StageInput, ...]],
    *,
    seed: int,
) -> CutPrefix:
    """Write a prefix, and what it is for `find_prefix`; None: nothing is frozen."""
    key = _key_of_fetched(model, seed)
    rows: list[list[dict[str, Any]]] = [[asdict(cut) for cut in each] for each in inputs.values()]

    def stored() -> CutPrefix:
        path = _file(key, list(inputs))
        path.parent.mkdir(parents=True, exist_ok=True)
        if graph is not None:
            with atomic_path(path) as temporary:
                Path(temporary).write_bytes(graph.SerializeToString(deterministic=True))
        digest = "" if graph is None else _digest(path)
        described = {"sources": rows, "graph": digest}
        write_checked_json(path.with_suffix(".json"), described)
        return _assemble(model.image_size, path if graph else None, inputs)

    return in_cache(stored)


def _key_of_fetched(model: ModelRecipe, seed: int) -> str:
    """The key, once the backbone was built and its weights were so fetched if need be."""
    key = prefix_key(model, seed)
    if key is None:  # fetched, but not to where Keras's cache was looked for
        raise WeightsError(
            f"The ImageNet weights of {model.backbone} were fetched, but are not in Keras's cache."
        )
    return key


def _file(key: str, train_froms: Sequence[str | int | float]) -> Path:
    return prefixes_dir() / key / f"{identity(train_froms=list(train_froms))}.onnx"


def _digest(path: Path) -> str:
    """SHA-256 of a file; nothing where it can't be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "?"


def _assemble(
    size_px: int,
    path: Path | None,
    inputs: Mapping[str | int | float, tuple[StageInput, ...]],
) -> CutPrefix:
    shapes = {cut.output: cut.shape for each in inputs.values() for cut in each}
    key = "" if path is None else graph_key(path)
    return CutPrefix(
        prefix=Prefix(key=key, size_px=size_px, shapes=shapes, path=path), inputs=inputs
    )


def _inputs_of(backbone: keras.Model, train_from: str | int | float) -> tuple[StageInput, ...]:
    """What a stage that learns from this layer on is fed with."""
    from pawsure.network.cuts import cut_before, depth_candidates, layer_index, narrow_cut

    if train_from == HEAD:
        return (StageInput(POOLED, None, (backbone.output.shape[-1],)),)
    if train_from == AUTO:
        return tuple(_behind(cut) for cut in depth_candidates(backbone))
    if isinstance(train_from, float):
        return (_behind(narrow_cut(backbone, train_from)),)
    first = 0 if train_from == WHOLE else layer_index(backbone, train_from)
    cut = cut_before(backbone, first)
    return (StageInput(PIXELS if cut.is_input else cut.name, first, cut.shape),)


def _behind(cut: Cut) -> StageInput:
    """All layers behind a cut learn."""
    return StageInput(cut.name, cut.index + 1, cut.shape)


def _graph(backbone: keras.Model, outputs: Sequence[str], scaling: Scaling) -> onnx.ModelProto:
    """The prefix up to some cuts."""
    from pawsure.network.cuts import find_cuts, prefix
    from pawsure.network.framework import keras
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
    # Keras would number the name by what the process built before, and the graph has it.
    model = keras.Model(backbone.input, tensors, name=f"{backbone.name}_prefix")
    return to_onnx(model, scaling=scaling, outputs=outputs)

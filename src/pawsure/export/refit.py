"""Fit trust again, for a graph whose outputs have changed; see `pawsure.trust.fit`.

An OOD detector keeps its weights, since the OOD pictures are not available.
"""

from __future__ import annotations

import tomllib
from dataclasses import replace

import onnx

from pawsure.data.catalog import Catalog
from pawsure.export.agreement import columns_of
from pawsure.graph.prune import copy_of
from pawsure.model.metadata import ModelMetadata
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.trust.background import with_within
from pawsure.trust.fit import fit_trust
from pawsure.trust.nodes import parts_of, without_trust


def refit_trust(
    model: onnx.ModelProto,
    metadata: ModelMetadata,
    catalog: Catalog,
    *,
    seed: int = 0,
    progress: Progress = NO_PROGRESS,
) -> tuple[onnx.ModelProto, dict[str, float | None]]:
    """A copy of a graph with trust fitted on its outputs; missing parts are not added.

    Args:
        model: the graph; left as it is.
        metadata: of the source model file.
        catalog: the training data, split as in training.
        seed: of samples and folds.
        progress: told of every picture.

    Returns:
        The graph, and the thresholds for its metadata.

    Raises:
        DataError: there are no readable validation pictures.
    """
    parts = parts_of(model)
    if not parts:
        return copy_of(model), dict(metadata.thresholds)
    bare = without_trust(model)
    recipe = tomllib.loads(metadata.recipe)
    backbone = recipe.get("model", {}).get("backbone", "")
    parts = replace(parts, known=with_within(parts.known, backbone))
    asked = recipe.get("trust", {})
    had = metadata.thresholds
    trust = fit_trust(
        bare,
        catalog,
        max_error=asked.get("max_error", 0.01) if had.get("unsure_below") is not None else 1.0,
        rejected=had.get("neither_below") or 0.0,
        size_px=metadata.size_px,
        seed=seed,
        column=columns_of(catalog, metadata.labels),
        parts=parts,
        progress=progress,
    )
    return trust.attach(bare), trust.thresholds

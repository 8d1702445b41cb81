"""Fit a model file's trust anew, for a graph whose outputs have shifted.

See `pawsure.trust.fit`. A detector of strangers keeps its weights, as the strangers are not
available.
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
    """A copy of a graph with trust that was fitted on its own outputs.

    What the graph lacks is not added.

    Args:
        model: the graph; left as it is.
        metadata: of the model file that it came from.
        catalog: the pictures that it was trained on, split as then.
        seed: draws training pictures and folds.
        progress: told of every picture.

    Returns:
        The graph, and the thresholds for its metadata.

    Raises:
        DataError: there are no validation pictures that can be read.
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

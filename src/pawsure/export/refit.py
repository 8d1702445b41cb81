"""Fit a model file's trust anew, for a graph whose outputs have shifted.

The same fits as at the end of training, on the outputs of the graph that is shipped:
calibration and the threshold for "unsure" on validation pictures, familiarity on training and
validation pictures. A detector of strangers keeps its weights, as the strangers are not at hand.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace

import numpy as np
import onnx
from onnx import helper, numpy_helper

from pawsure.data.catalog import Catalog
from pawsure.data.loader import iter_batches
from pawsure.errors import DataError
from pawsure.evaluation.calibration import fit_calibration
from pawsure.evaluation.evaluate import stays_out
from pawsure.evaluation.familiarity import Familiarity, fit_gaussian, with_shares
from pawsure.evaluation.selective import choose_threshold
from pawsure.export.agreement import columns_of
from pawsure.export.prune import copy_of, drop_unneeded
from pawsure.export.trust import (
    FAMILIARITY,
    FEATURES,
    attach_familiarity,
    calibrate,
    measure_features,
)
from pawsure.model.metadata import ModelMetadata
from pawsure.onnx_runtime import onnxruntime
from pawsure.progress import NO_PROGRESS, Progress

MOST_PICTURES = 4000
"""Training pictures that familiarity is learned from, as in training."""

_HALVED_FROM = 1000  # numbers; smaller constants are not worth a node

_BATCH_SIZE = 32

Thresholds = dict[str, float | None]


def refit_trust(
    model: onnx.ModelProto,
    metadata: ModelMetadata,
    catalog: Catalog,
    *,
    seed: int = 0,
    progress: Progress = NO_PROGRESS,
) -> tuple[onnx.ModelProto, Thresholds]:
    """A copy of a graph with trust that was fitted on its own outputs.

    What the graph lacks is not added. Large constants of familiarity are kept as float16.

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
    parts = _Parts.of(model)
    if not parts:
        return copy_of(model), metadata.thresholds
    bare = without_trust(model)
    run = _Runner(bare, parts, catalog, metadata.size_px, progress)
    kept, logit, held_out = run(catalog.where("validation"), "Fitting trust anew")
    if not len(kept):
        raise DataError(
            f"{catalog.source.name} has no validation pictures to fit trust on. Give the data "
            "that the model was trained on."
        )
    label = columns_of(catalog, metadata.labels)[catalog.label[kept]]
    fitted, probability = bare, None
    if parts.is_calibrated:
        calibration, _ = fit_calibration(logit, label, seed=seed)
        fitted = calibrate(fitted, calibration)
        probability = calibration.probabilities(logit).astype(np.float32)
    familiar = None
    if parts.has_familiarity:
        rows = catalog.where("train")
        some = np.sort(np.random.default_rng(seed).permutation(rows)[:MOST_PICTURES])
        _, _, features = run(some, "Learning what is familiar")
        familiarity = _familiarity(parts, features, held_out)
        fitted = halve_familiarity(attach_familiarity(fitted, familiarity))
        familiar = familiarity(held_out)
    thresholds = dict(metadata.thresholds)
    if thresholds.get("unsure_below") is not None and probability is not None:
        max_error = tomllib.loads(metadata.recipe).get("trust", {}).get("max_error", 0.01)
        neither, _ = stays_out(
            probability, familiar, {"neither_below": thresholds.get("neither_below")}
        )
        judged = ~neither if (~neither).any() else np.ones(len(label), bool)
        thresholds["unsure_below"] = choose_threshold(
            probability.max(axis=1)[judged],
            (probability.argmax(axis=1) == label)[judged],
            max_error,
        ).threshold
    return fitted, thresholds


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """What a graph has of trust.

    Attributes:
        is_calibrated: whether its probabilities are.
        has_familiarity: whether it has that output.
        detector: float32 (D,), of its familiarity; None: there is none.
        gaussian_weight: the Gaussian's, beside the detector.
    """

    is_calibrated: bool
    has_familiarity: bool
    detector: np.ndarray | None
    gaussian_weight: float

    @classmethod
    def of(cls, model: onnx.ModelProto) -> _Parts:
        # Kept as float16 where it was fitted anew before.
        constants = {item.name.removesuffix("/half"): item for item in model.graph.initializer}
        detector = constants.get("familiarity/detected_kernel")
        weight = constants.get("familiarity/minus_weight")
        return cls(
            is_calibrated=any(node.output[0] == "calibration/logit" for node in model.graph.node),
            has_familiarity=any(output.name == FAMILIARITY for output in model.graph.output),
            detector=None
            if detector is None
            else numpy_helper.to_array(detector)[:, 0].astype(np.float32),
            gaussian_weight=0.0 if weight is None else -float(numpy_helper.to_array(weight)),
        )

    def __bool__(self) -> bool:
        return self.is_calibrated or self.has_familiarity


def without_trust(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a graph as it was before trust was attached; its features stay, if it had any."""
    parts = _Parts.of(model)
    model = copy_of(model)
    graph = model.graph
    outputs = [output for output in graph.output if output.name != FAMILIARITY]
    del graph.output[:]
    graph.output.extend(outputs)
    wanted = {output.name for output in outputs}
    if parts.has_familiarity:
        wanted.add(FEATURES)
    if parts.is_calibrated:
        scaled = "head/scaled_logit"  # what `calibrate` looks for
        softmax = next(node for node in graph.node if node.output[0] == "probability")
        softmax.input[0] = scaled
        place = list(graph.node).index(softmax)
        one = helper.make_node("Identity", ["logit"], [scaled], name=scaled)
        graph.node.insert(place, one)
    drop_unneeded(graph, wanted)
    return model


def _familiarity(parts: _Parts, features: np.ndarray, held_out: np.ndarray) -> Familiarity:
    gaussian = fit_gaussian(features)
    # As the file will have them.
    directions = gaussian.directions.astype(np.float16).astype(np.float32)
    nothing = np.array([0.0, 1.0], np.float32)
    return with_shares(
        Familiarity(
            gaussian=replace(gaussian, directions=directions),
            gaussian_weight=parts.gaussian_weight,
            detector=parts.detector,
            knots=nothing,
            shares=nothing,
        ),
        held_out,
    )


def halve_familiarity(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with familiarity's large constants as float16, made float32 when it is loaded."""
    model = copy_of(model)
    graph = model.graph
    casts = []
    for item in graph.initializer:
        values = numpy_helper.to_array(item)
        large = values.dtype == np.float32 and values.size >= _HALVED_FROM
        if not item.name.startswith("familiarity/") or not large:
            continue
        name, half = item.name, f"{item.name}/half"
        item.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [name], name=name, to=onnx.TensorProto.FLOAT))
    for cast in reversed(casts):
        graph.node.insert(0, cast)
    return model


class _Runner:
    """A graph with logits and, where it has them, features as its outputs."""

    def __init__(
        self,
        model: onnx.ModelProto,
        parts: _Parts,
        catalog: Catalog,
        size_px: int,
        progress: Progress,
    ) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # its warnings mean nothing to who exports
        self._names = ["logit", FEATURES] if parts.has_familiarity else ["logit"]
        content = measure_features(model) if parts.has_familiarity else model
        self._session = onnxruntime.InferenceSession(
            content.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._catalog = catalog
        self._size_px = size_px
        self._progress = progress

    def __call__(self, rows: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows that could be read, their logits (N, K) and features (N, D)."""
        done: list[tuple[np.ndarray, ...]] = []
        self._progress.start(what, len(rows))
        try:
            for batch in iter_batches(
                self._catalog.read, rows, size_px=self._size_px, batch_size=_BATCH_SIZE
            ):
                if len(batch):
                    values = self._session.run(self._names, {"image": batch.pictures})
                    done.append((batch.indices, values[0], values[-1]))
                self._progress.advance(len(batch) + len(batch.problems))
        finally:
            self._progress.finish()
        if not done:
            nothing = np.zeros((0, 1), np.float32)
            return np.zeros(0, np.int64), nothing, nothing
        indices, logit, features = (np.concatenate(part) for part in zip(*done, strict=True))
        return indices, logit, features

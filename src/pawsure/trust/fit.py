"""Fit calibration, "unsure" and "neither" on what a graph puts out; one function for all of it.

Everything is fitted on the graph that is written, after the stages and after an export that
shifts its outputs (int8, test-time augmentation) alike, so a model of any recipe has it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import onnx

from pawsure.errors import DataError
from pawsure.evaluation.evaluate import LabelledPictures
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.trust.abstention import UnsureThreshold, choose_threshold
from pawsure.trust.calibration import Calibration, Trial, fit_calibration
from pawsure.trust.familiarity import Familiarity, fit_familiarity
from pawsure.trust.nodes import (
    Parts,
    attach_familiarity,
    calibrate,
    halve_familiarity,
    with_features,
)
from pawsure.trust.outputs import Found, Outputs
from pawsure.trust.rule import NEITHER, Thresholds, outcomes

MOST_PICTURES = 4000
"""Training pictures that familiarity is learned from; more do not change 672 means."""

Stored = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Rows of a catalog, int (N,), to their logits (N, K) and features (N, D)."""


class Examples(Protocol):
    """Pictures outside the labels, as a user gives them with `--neither`."""

    @property
    def kind(self) -> np.ndarray:
        """Object (N,), the folder that each lies in."""

    def read(self, row: int, /) -> bytes:
        """The bytes of one picture."""

    def where(self, split: str, /) -> np.ndarray:
        """int64, rows of a split, "train" or "test"."""


@dataclass(frozen=True, kw_only=True)
class Trust:
    """What was fitted.

    Attributes:
        calibration: None: not asked for.
        trials: ways to calibrate that were tried.
        familiarity: None: not asked for.
        unsure: the abstention threshold; None: there is no calibration to set it on.
        neither_below: the familiarity below which an answer is "neither"; None: never.
        num_pictures: training pictures that familiarity was learned from.
        num_strangers: examples of "neither" that it was learned from.
    """

    calibration: Calibration | None
    trials: list[Trial]
    familiarity: Familiarity | None
    unsure: UnsureThreshold | None
    neither_below: float | None
    num_pictures: int
    num_strangers: int

    @property
    def thresholds(self) -> dict[str, float | None]:
        """For the metadata of the model file."""
        return {
            "unsure_below": None if self.unsure is None else self.unsure.threshold,
            "neither_below": self.neither_below,
        }

    def attach(self, graph: onnx.ModelProto) -> onnx.ModelProto:
        """A copy of a graph without trust, with all of it inside."""
        if self.calibration is not None:
            graph = calibrate(graph, self.calibration)
        if self.familiarity is not None:
            graph = attach_familiarity(with_features(graph), self.familiarity)
            graph = halve_familiarity(graph)
        return graph

    def sentences(self) -> list[str]:
        """For people, as it is fitted."""
        calibration, unsure = self.calibration, self.unsure
        if calibration is None or unsure is None:
            return []
        how = (
            f"temperature {calibration.temperature:.2f}"
            if calibration.temperature is not None
            else f"a curve of {len(calibration.slopes)} pieces"
        )
        lines = [f"Calibrated ({how})."]
        below = f"Unsure below {unsure.threshold or 0:.4f}: coverage {unsure.coverage:.1%}"
        if unsure.method == "bound":
            lines.append(
                f"{below} of validation, error at most {unsure.max_error:.2%} with "
                f"{unsure.level:.0%} confidence."
            )
        elif unsure.method == "estimate":
            lines.append(
                f"{below} of validation, error {unsure.error:.2%}. There are too few validation "
                f"pictures, or too many errors, to guarantee {unsure.max_error:.2%}."
            )
        return lines


def fit_trust(
    graph: onnx.ModelProto,
    pictures: LabelledPictures,
    *,
    max_error: float,
    rejected: float,
    size_px: int,
    seed: int,
    column: np.ndarray | None = None,
    parts: Parts | None = None,
    strangers: Examples | None = None,
    stored: Stored | None = None,
    progress: Progress = NO_PROGRESS,
) -> Trust:
    """Run a graph over pictures and fit what is asked for.

    Args:
        graph: of `attach_head`, without trust.
        pictures: with the splits "train" and "validation".
        max_error: see `choose_threshold`.
        rejected: the familiarity below which an answer is "neither"; 0: never.
        size_px: of the pictures that the graph takes.
        seed: picks training pictures, where there are many, and folds.
        column: int (K,), the place of each of the pictures' labels in the graph's output;
            None: they are the same.
        parts: what to fit, with the detector of an earlier fit; None: everything anew.
        strangers: examples of "neither"; those for training are learned from.
        stored: gives what the graph puts out for some pictures, where that is known already;
            None: the graph is run on them.
        progress: told of every picture.

    Raises:
        DataError: there are no validation pictures that can be read.
    """
    parts = parts or Parts()
    run = _runner(graph, pictures, size_px, stored, progress)
    held_out = run(pictures.where("validation"), "Calibrating")
    if not len(held_out):
        raise DataError(
            "There are no validation pictures to fit calibration and thresholds on. Give the "
            "data that the model was trained on."
        )
    label = pictures.label[held_out.rows]
    label = label if column is None else column[label]
    calibration: Calibration | None = None
    trials: list[Trial] = []
    if parts.calibration:
        calibration, trials = fit_calibration(held_out.logit, label, seed=seed)
    familiarity = None
    num_pictures = num_strangers = 0
    if parts.familiarity:
        some = _some(pictures.where("train"), seed)
        features = run(some, "Learning what is familiar").features
        strange = kinds = None
        if strangers is not None:
            shown = Outputs(graph, size_px, progress)(
                strangers.read, strangers.where("train"), "Learning examples of neither"
            )
            strange, kinds = shown.features, strangers.kind[shown.rows]
            num_strangers = len(shown)
        familiarity = fit_familiarity(
            features,
            held_out.features,
            strange,
            kinds,
            detector=parts.detector,
            gaussian_weight=parts.gaussian_weight,
        )
        num_pictures = len(features)
    neither_below = (rejected or None) if parts.familiarity else None
    unsure = None
    if calibration is not None:
        # The file works in float32: thresholds are chosen on what it will say.
        probability = calibration.probabilities(held_out.logit).astype(np.float32)
        familiar = None if familiarity is None else familiarity(held_out.features)
        unsure = _fit_unsure(
            probability, familiar, label, {"neither_below": neither_below}, max_error
        )
    return Trust(
        calibration=calibration,
        trials=trials,
        familiarity=familiarity,
        unsure=unsure,
        neither_below=neither_below,
        num_pictures=num_pictures,
        num_strangers=num_strangers,
    )


def _runner(
    graph: onnx.ModelProto,
    pictures: LabelledPictures,
    size_px: int,
    stored: Stored | None,
    progress: Progress,
) -> Callable[[np.ndarray, str], Found]:
    """What gives the graph's outputs for rows of the pictures."""
    if stored is not None:
        return lambda rows, _: Found.of(rows, *stored(rows))
    outputs = Outputs(graph, size_px, progress)
    return lambda rows, task: outputs(pictures.read, rows, task)


def _some(rows: np.ndarray, seed: int) -> np.ndarray:
    return np.sort(np.random.default_rng(seed).permutation(rows)[:MOST_PICTURES])


def _fit_unsure(
    probability: np.ndarray,
    familiarity: np.ndarray | None,
    label: np.ndarray,
    thresholds: Thresholds,
    max_error: float,
) -> UnsureThreshold:
    """On the pictures that are not "neither"; on all, should none be left."""
    judged = outcomes(probability, familiarity, thresholds) != NEITHER
    judged = judged if judged.any() else np.ones(len(label), bool)
    return choose_threshold(
        probability.max(axis=1)[judged], (probability.argmax(axis=1) == label)[judged], max_error
    )

"""Fit calibration, "unsure" and "neither" on what a graph puts out; one function for all of it.

Everything is fitted on the graph that is written, after the stages and after an export that
shifts its outputs (int8, test-time augmentation) alike, so a model of any recipe has it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import onnx

from pawsure.errors import DataError
from pawsure.evaluation.evaluate import LabelledPictures
from pawsure.evaluation.intervals import wilson
from pawsure.evaluation.measure import measure_answers
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.trust.abstention import UnsureThreshold, choose_threshold, pictures_needed
from pawsure.trust.calibration import Calibration, Trial, fit_calibration
from pawsure.trust.familiarity import Familiarity, HeldOut, fit_familiarity
from pawsure.trust.nodes import Parts, attach_familiarity, calibrate
from pawsure.trust.outputs import Found, Outputs
from pawsure.trust.rule import NEITHER, Thresholds, outcomes

MOST_PICTURES = 4000
"""Training pictures that familiarity is learned from; more do not change a Gaussian."""

MOST_CHANGED = 1000
"""Validation pictures that are changed at random, each once: seconds."""

ENOUGH_CHANGED = 400
"""Of few pictures, each is changed several times, up to about so many in all."""

MOST_CHANGES = 8

FEW_PICTURES = 200
"""For validation; below, shares are of pictures as they are, training pictures included."""

VERSIONS = 2
"""Of each validation picture: as it is, and changed."""

ROUGH_BELOW = 150
"""Pictures below which a sentence says how roughly they set the threshold for "neither"."""

Stored = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Rows of a catalog, int (N,), to their logits (N, K) and embeddings (N, F)."""


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
        num_held_out: pictures whose changes its shares are of.
        num_ood: examples of "neither" that it was given.
        answers: "clean" and "changed": what the validation pictures get, as they are and changed
            at random; see `measure_answers`. Empty: there is no calibration.
    """

    calibration: Calibration | None
    trials: list[Trial]
    familiarity: Familiarity | None
    unsure: UnsureThreshold | None
    neither_below: float | None
    num_pictures: int
    num_held_out: int
    num_ood: int
    answers: dict[str, Any]

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
            graph = attach_familiarity(graph, self.familiarity)
        return graph

    def sentences(self) -> list[str]:
        """For people, as it is fitted."""
        calibration = self.calibration
        lines = []
        if calibration is not None:
            how = (
                f"temperature {calibration.temperature:.2f}"
                if calibration.temperature is not None
                else f"a curve of {len(calibration.slopes)} pieces"
            )
            lines.append(f"Calibrated on validation pictures, clean and changed ({how}).")
        return [*lines, *self._on_unsure(), *self._on_neither()]

    def _on_unsure(self) -> list[str]:
        unsure = self.unsure
        if unsure is None or unsure.method == "none":
            return []
        if unsure.method == "bound":
            return [
                f"Unsure below {unsure.threshold or 0:.4f}: error at most {unsure.max_error:.2%} "
                f"with {unsure.level:.0%} confidence. {self._coverage()}"
            ]
        needed = pictures_needed(unsure.max_error) if unsure.max_error else None
        if unsure.threshold is None:
            return [
                f'No "unsure" threshold: guaranteeing {unsure.max_error:.2%} error needs at least '
                f"{needed or 0:,} validation pictures. {self._coverage()}"
            ]
        few = f" (at least {needed:,} validation pictures are needed)" if needed else ""
        return [
            f"Unsure below {unsure.threshold or 0:.4f}, an estimate: an error of at most "
            f"{unsure.max_error:.2%} can't be guaranteed{few}. {self._coverage()}"
        ]

    def _coverage(self) -> str:
        parts = []
        for name, answers in self.answers.items():
            error = answers["error"]
            wrong = "" if error is None else f" with {error['value']:.2%} error"
            parts.append(f"{answers['answered']['value']:.1%}{wrong} of {name} pictures")
        return f"Coverage: {', '.join(parts)}."

    def _on_neither(self) -> list[str]:
        found, below = self.familiarity, self.neither_below
        if found is None or below is None:
            return []
        relative = len(found.backgrounds)
        lines = [
            "Familiarity: likeness to the training pictures"
            + (f" relative to {relative} background(s)" if relative else ", without a background")
            + (", and what the pretrained classifier says." if found.classes else ".")
        ]
        if self.num_held_out < ROUGH_BELOW:
            most = wilson(round(below * self.num_held_out), self.num_held_out).high
            lines.append(
                f'The threshold of "neither" rests on {self.num_held_out} pictures. It is meant to '
                f"refuse {below:.0%} of pictures of your labels, but may refuse up to "
                f"{most:.0%}."
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
    ood: Examples | None = None,
    stored: Stored | None = None,
    progress: Progress = NO_PROGRESS,
) -> Trust:
    """Run a graph over pictures and fit what is asked for.

    Calibration and thresholds are fitted on validation pictures as they are and changed at random,
    half and half; shares of familiarity are of changed ones, where there are enough.

    Args:
        graph: of `attach_head`, without trust.
        pictures: with the splits "train" and "validation".
        max_error: see `choose_threshold`.
        rejected: the familiarity below which an answer is "neither"; 0: never.
        size_px: of the pictures that the graph takes.
        seed: picks training pictures, where there are many, and folds.
        column: int (K,), the place of each of the pictures' labels in the graph's output;
            None: they are the same.
        parts: what to fit, and what familiarity may build on; None: all, on nothing.
        ood: examples of "neither"; those for training are learned from.
        stored: gives what the graph puts out for some pictures as they are, where that is known
            already; None: the graph is run on them.
        progress: told of every picture.

    Raises:
        DataError: there are no validation pictures that can be read.
    """
    parts = parts or Parts()
    outputs = Outputs(graph, size_px, progress)

    def run(rows: np.ndarray, task: str) -> Found:
        if stored is None:
            return outputs(pictures.read, rows, task)
        logit, embedding = stored(rows)
        return Found(rows=rows, logit=logit, embedding=embedding)

    clean = run(pictures.where("validation"), "Calibrating")
    if not len(clean):
        raise DataError(
            "There are no validation pictures to fit calibration and thresholds on. Give the "
            "data that the model was trained on."
        )
    num_changes = _changes_of(len(clean))
    changed = outputs.changed(
        pictures.read,
        _some(clean.rows, MOST_CHANGED, seed),
        num_changes,
        "Calibrating on changed pictures",
    )
    first = np.arange(0, len(changed), num_changes)
    both = Found(
        rows=np.concatenate([clean.rows, changed.rows[first]]),
        logit=np.concatenate([clean.logit, changed.logit[first]]),
        embedding=np.concatenate([clean.embedding, changed.embedding[first]]),
    )
    label = pictures.label[both.rows]
    label = label if column is None else column[label]
    calibration: Calibration | None = None
    trials: list[Trial] = []
    if parts.calibration:
        calibration, trials = fit_calibration(both.logit, label, picture=both.rows, seed=seed)
    familiarity = None
    num_pictures = num_held_out = num_ood = 0
    if parts.familiarity:
        train = run(
            _some(pictures.where("train"), MOST_PICTURES, seed), "Learning what is familiar"
        )
        held_out = _held_out(clean, changed, train)
        shown = None
        if ood is not None:
            shown = outputs(ood.read, ood.where("train"), "Learning other pictures")
            num_ood = len(shown)
        familiarity = fit_familiarity(
            train.embedding,
            held_out,
            parts.known,
            label=pictures.label[train.rows],
            others=None if shown is None else shown.embedding,
            kinds=None if shown is None or ood is None else ood.kind[shown.rows],
        )
        num_pictures = len(train)
        num_held_out = len(first) + (0 if held_out.of is None else len(held_out.of))
    neither_below = (rejected or None) if parts.familiarity else None
    unsure = None
    answers = {}
    if calibration is not None:
        # The file works in float32: thresholds are chosen on what it will say.
        probability = calibration.probabilities(both.logit).astype(np.float32)
        familiar = None if familiarity is None else familiarity(both.embedding)
        right = probability.argmax(axis=1) == label
        unsure = _fit_unsure(
            probability, familiar, right, {"neither_below": neither_below}, max_error
        )
        thresholds = {"unsure_below": unsure.threshold, "neither_below": neither_below}
        outcome = outcomes(probability, familiar, thresholds)
        for name, these in (
            ("clean", slice(0, len(clean))),
            ("changed", slice(len(clean), None)),
        ):
            if len(right[these]):
                answers[name] = measure_answers(right[these], outcome[these])
    return Trust(
        calibration=calibration,
        trials=trials,
        familiarity=familiarity,
        unsure=unsure,
        neither_below=neither_below,
        num_pictures=num_pictures,
        num_held_out=num_held_out,
        num_ood=num_ood,
        answers=answers,
    )


def _changes_of(num: int) -> int:
    """How many times each of so many pictures is changed."""
    return min(MOST_CHANGES, max(1, ENOUGH_CHANGED // num))


def _held_out(clean: Found, changed: Found, train: Found) -> HeldOut:
    """What shares of familiarity are of.

    Of few pictures, a change at random makes some unlike all others, and a threshold below these
    lets nearly everything pass: of three classes with 18 training pictures each, 26% of other
    pictures, in place of 5%. So few pictures are taken as they are, with the training pictures.
    """
    if len(clean) >= FEW_PICTURES:
        return HeldOut(validation=changed.embedding)
    return HeldOut(validation=clean.embedding, training=train.embedding, of=np.arange(len(train)))


def _some(rows: np.ndarray, most: int, seed: int) -> np.ndarray:
    return np.sort(np.random.default_rng(seed).permutation(rows)[:most])


def _fit_unsure(
    probability: np.ndarray,
    familiarity: np.ndarray | None,
    right: np.ndarray,
    thresholds: Thresholds,
    max_error: float,
) -> UnsureThreshold:
    """On the pictures that are not "neither"; on all, should none be left."""
    judged = outcomes(probability, familiarity, thresholds) != NEITHER
    judged = judged if judged.any() else np.ones(len(right), bool)
    return choose_threshold(
        probability.max(axis=1)[judged], right[judged], max_error, versions=VERSIONS
    )

"""How answers fare as pictures get blurrier, darker, smaller, recompressed, cropped.

Each picture is corrupted in every way once, the strengths in turn, so that a table of all ways and
five strengths costs no more than eight passes over some pictures.

Source: Hendrycks and Dietterich 2019, arXiv:1903.12261.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from pawsure.data.changes import CORRUPTIONS, ROOM, STRENGTHS, corrupt
from pawsure.data.images import read
from pawsure.data.parallel import available_cores, in_order
from pawsure.errors import PictureError
from pawsure.evaluation.measure import measure_answers, share_figure
from pawsure.evaluation.metrics import correct
from pawsure.progress import NO_PROGRESS, Progress

MOST_PICTURES = 150
"""Thirty for each strength of each way: an interval of about six points at 98%, for 1,200 forward
passes, seconds."""


class _Outputs(Protocol):
    @property
    def probability(self) -> np.ndarray: ...
    @property
    def familiarity(self) -> np.ndarray | None: ...


class PixelPredictor(Protocol):
    """Whatever can be measured; `pawsure.Predictor` is one."""

    @property
    def size_px(self) -> int:
        """Side of the square pictures that it takes."""

    def predict_batch(self, pictures: np.ndarray, /) -> _Outputs:
        """Run uint8 (N, S, S, 3)."""

    def outcomes(self, probability: np.ndarray, familiarity: np.ndarray | None, /) -> np.ndarray:
        """(N,) of "label", "unsure" or "neither"."""


def measure_robustness(
    predictor: PixelPredictor,
    read_bytes: Callable[[int], bytes],
    rows: np.ndarray,
    label: np.ndarray,
    *,
    seed: int = 0,
    progress: Progress = NO_PROGRESS,
) -> dict[str, Any]:
    """Corrupt held-out pictures and measure what becomes of their answers.

    Args:
        predictor: the model file.
        read_bytes: gives the bytes of a picture.
        rows: int (N,), held-out pictures; `MOST_PICTURES` of them are taken.
        label: int (N,), the true labels, as columns of the predictor's output.
        seed: picks the pictures and deals out the strengths.
        progress: told of every picture.

    Returns:
        JSON-ready: "n", pictures; "clean", the same pictures as they are: "n", "accuracy",
        "answers" (see `measure_answers`); "kinds": by way of corruption the same over all
        strengths, and "strengths", a list of five. Accuracies have Wilson intervals.
    """
    rng = np.random.default_rng(seed)
    some = np.sort(rng.permutation(len(rows))[:MOST_PICTURES])
    kinds = list(CORRUPTIONS)
    # A Latin square, shuffled: every strength of every way meets about as many pictures.
    place = rng.permutation(len(some))
    strengths = (place[:, np.newaxis] + np.arange(len(kinds))) % len(STRENGTHS)

    def load(number: int) -> np.ndarray | None:
        try:
            picture = read(
                read_bytes(int(rows[some[number]])), size_px=math.ceil(predictor.size_px * ROOM)
            )
            clean = read(read_bytes(int(rows[some[number]])), size_px=predictor.size_px)
        except PictureError:
            return None
        changed = [
            corrupt(picture, kind, STRENGTHS[strengths[number, at]], predictor.size_px)
            for at, kind in enumerate(kinds)
        ]
        return np.stack([clean, *changed])

    right: list[np.ndarray] = []
    outcome: list[np.ndarray] = []
    kept: list[int] = []
    progress.start("Measuring robustness", len(some))
    try:
        cores = available_cores()
        loaded = in_order(load, range(len(some)), workers=cores, ahead=2 * cores)
        for number, pictures in enumerate(loaded):
            progress.advance(1)
            if pictures is None:
                continue
            outputs = predictor.predict_batch(pictures)
            truth = np.repeat(label[some[number]], len(pictures))
            right.append(correct(outputs.probability, truth))
            outcome.append(predictor.outcomes(outputs.probability, outputs.familiarity))
            kept.append(number)
    finally:
        progress.finish()
    if not kept:
        return {"n": 0, "clean": None, "kinds": {}}
    rights, outcomes, dealt = np.array(right), np.array(outcome), strengths[kept]
    return {
        "n": len(kept),
        "clean": _figures(rights[:, 0], outcomes[:, 0]),
        "kinds": {
            kind: {
                **_figures(rights[:, at + 1], outcomes[:, at + 1]),
                "strengths": [
                    _figures(rights[these, at + 1], outcomes[these, at + 1])
                    for strength in range(len(STRENGTHS))
                    if (these := dealt[:, at] == strength).any()
                ],
            }
            for at, kind in enumerate(kinds)
        },
    }


def _figures(right: np.ndarray, outcome: np.ndarray) -> dict[str, Any]:
    return {
        "n": len(right),
        "accuracy": share_figure(int(right.sum()), len(right)),
        "answers": measure_answers(right, outcome),
    }


def sentence(found: dict[str, Any]) -> str | None:
    """The way that costs the most accuracy, if any does beyond noise."""
    if not found["kinds"]:
        return None
    kind, worst = min(found["kinds"].items(), key=lambda item: float(item[1]["accuracy"]["value"]))
    clean = found["clean"]["accuracy"]["value"]
    if worst["accuracy"]["high"] >= clean:
        return f"Robustness: no corruption costs accuracy beyond noise ({found['n']} pictures)."
    error = worst["answers"]["error"]
    wrong = "" if error is None else f", {error['value']:.1%} of the answered wrong"
    return (
        f"Robustness: accuracy falls most as pictures get {kind}: {worst['accuracy']['value']:.1%} "
        f"instead of {clean:.1%}{wrong}."
    )

"""How answers fare as pictures get blurrier, darker, smaller, recompressed, cropped.

Each picture is corrupted in every way once, the strengths in turn, so that a table of all ways and
five strengths costs no more than eight passes over some pictures. A batch is one picture in all
ways, decoded, changed and run in one thread, as `pawsure.model.predictor` does.

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
"""For each way, a 95% interval of 94.3% to 99.3% at 98%, and of 84.2% to 93.8% at 90%. Each
strength has thirty of them, which shows no more than where accuracy breaks down."""


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
        """Run uint8 (N, S, S, 3); called from several threads, so best of one thread a pass."""

    def outcomes(self, probability: np.ndarray, familiarity: np.ndarray | None, /) -> np.ndarray:
        """(N,) of "label", "unsure" or "neither"."""


def measure_robustness(
    predictor: PixelPredictor,
    read_bytes: Callable[[int], bytes],
    rows: np.ndarray,
    label: np.ndarray,
    *,
    clean: tuple[np.ndarray, np.ndarray] | None = None,
    seed: int = 0,
    progress: Progress = NO_PROGRESS,
) -> dict[str, Any]:
    """Corrupt held-out pictures and measure what becomes of their answers.

    Args:
        predictor: the model file.
        read_bytes: gives the bytes of a picture.
        rows: int (N,), held-out pictures; `MOST_PICTURES` of them are taken.
        label: int (N,), the true labels, as columns of the predictor's output.
        clean: probabilities (N, K) and outcomes (N,) of the pictures as they are, where these are
            known; else they are run as well.
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

    def run(number: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Whether the answers to one picture, as it is and in all ways, are right; outcomes."""
        row, size_px = some[number], predictor.size_px
        try:
            content = read_bytes(int(rows[row]))
            pictures = corrupt(
                read(content, size_px=math.ceil(size_px * ROOM)),
                [STRENGTHS[at] for at in strengths[number]],
                size_px,
            )
            if clean is None:
                pictures = np.stack([read(content, size_px=size_px), *pictures])
        except PictureError:
            return None
        outputs = predictor.predict_batch(pictures)
        probability = outputs.probability
        outcome = predictor.outcomes(probability, outputs.familiarity)
        if clean is not None:
            probability = np.concatenate([clean[0][row : row + 1], probability])
            outcome = np.concatenate([clean[1][row : row + 1], outcome])
        return correct(probability, np.repeat(label[row], len(probability))), outcome

    right: list[np.ndarray] = []
    outcome: list[np.ndarray] = []
    kept: list[int] = []
    progress.start("Measuring robustness", len(some))
    try:
        workers = available_cores() + 1  # see `pawsure.model.predictor`
        ran = in_order(run, range(len(some)), workers=workers, ahead=2 * workers)
        for number, found in enumerate(ran):
            progress.advance(1)
            if found is not None:
                right.append(found[0])
                outcome.append(found[1])
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

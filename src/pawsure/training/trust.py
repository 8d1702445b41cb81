"""The last step of training: calibrate, and learn when not to answer, from held-out pictures.

Everything is fitted on what the exported graph puts out for training, validation and stranger
pictures, after the stages and on their result, so a run by any recipe has it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from pawsure.data.catalog import Catalog
from pawsure.data.loader import iter_batches
from pawsure.evaluation.calibration import Calibration, Trial, fit_calibration, softmax
from pawsure.evaluation.calibration_error import (
    calibration_error_interval,
    expected_calibration_error,
)
from pawsure.evaluation.evaluate import Predictions, mean_figure, share_figure, stays_out
from pawsure.evaluation.familiarity import Familiarity, auroc, fit_familiarity
from pawsure.evaluation.metrics import brier_scores, log_losses
from pawsure.evaluation.selective import UnsureThreshold, choose_threshold, pictures_needed
from pawsure.export.parity import compare
from pawsure.export.trust import (
    FEATURES,
    attach_familiarity,
    calibrate,
    measure_features,
    with_features,
)
from pawsure.model.predictor import BATCH_SIZE, Predictor
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.training.recipe import TrustRecipe
from pawsure.training.strangers import Strangers

MOST_PICTURES = 4000
"""Training pictures that familiarity is learned from; more do not change 672 means."""

TOLERANCE = 1e-4
"""Between the graph and NumPy: float32 against float64, measured below 1e-6."""


Stored = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Rows of a catalog, int (N,), to their logits (N, K) and features (N, D)."""


@dataclass(frozen=True, kw_only=True)
class Trust:
    """What was fitted.

    Attributes:
        calibration: see `Calibration`.
        trials: ways to calibrate that were tried.
        familiarity: see `Familiarity`.
        unsure: see `UnsureThreshold`.
        neither_below: the familiarity below which an answer is "neither"; None: never.
        num_pictures: training pictures that familiarity was learned from.
        num_strangers: strangers that it was learned from; 0: none were given.
    """

    calibration: Calibration
    trials: list[Trial]
    familiarity: Familiarity
    unsure: UnsureThreshold
    neither_below: float | None
    num_pictures: int
    num_strangers: int

    @property
    def thresholds(self) -> dict[str, float | None]:
        """For the metadata of the model file."""
        return {"unsure_below": self.unsure.threshold, "neither_below": self.neither_below}

    def attach(self, graph: onnx.ModelProto) -> onnx.ModelProto:
        """A graph of `attach_head` with all of it inside."""
        return attach_familiarity(
            with_features(calibrate(graph, self.calibration)), self.familiarity
        )

    def check(self, found: Predictions) -> None:
        """Whether a file puts out what was fitted.

        Raises:
            ParityError: it does not.
        """
        assert found.logit is not None
        expected = self.calibration.probabilities(found.logit)
        compare(expected, found.probability, tolerance=TOLERANCE)

    def sentences(self) -> list[str]:
        """For people, as it is fitted."""
        calibration, unsure = self.calibration, self.unsure
        how = (
            f"a temperature of {calibration.temperature:.2f}"
            if calibration.temperature is not None
            else f"a curve of {len(calibration.slopes)} pieces"
        )
        lines = [f"Calibrated on validation by {how}."]
        below = f"Unsure below {unsure.threshold or 0:.4f}: {unsure.coverage:.1%} of validation is"
        if unsure.method == "bound":
            lines.append(
                f"{below} answered, at most {unsure.max_error:.2%} wrongly with "
                f"{unsure.level:.0%} confidence."
            )
        elif unsure.method == "estimate":
            lines.append(
                f"{below} answered, {unsure.error:.2%} wrongly. There are too few validation "
                f"pictures, or too many wrong, to promise {unsure.max_error:.2%} for others."
            )
        return lines

    def figures(
        self,
        validation: Predictions,
        test: Predictions,
        strangers: tuple[np.ndarray, np.ndarray] | None,
    ) -> dict[str, Any]:
        """What `metrics.json` says of it, all of it JSON-ready.

        Args:
            validation: by the file that is shipped.
            test: the same.
            strangers: probability (S, K) and familiarity (S,) of those that nothing was learned
                from; None: there are none.
        """
        return {
            "calibration": {
                **self.calibration.to_dict(),
                "trials": [trial.to_dict() for trial in self.trials],
                "validation": before_and_after(validation),
                "test": before_and_after(test),
            },
            "unsure": {
                **self.unsure.to_dict(),
                "pictures_needed": pictures_needed(self.unsure.max_error)
                if self.unsure.max_error
                else None,
            },
            "neither": {
                "threshold": self.neither_below,
                "num_pictures": self.num_pictures,
                "num_strangers": self.num_strangers,
                "num_bytes": self.familiarity.num_bytes,
                "has_detector": self.familiarity.detector is not None,
                "validation": histogram(validation.familiarity),
                "test": histogram(test.familiarity),
                "strangers": None
                if strangers is None
                else self._strangers(*strangers, test.familiarity),
            },
        }

    def _strangers(
        self, probability: np.ndarray, familiarity: np.ndarray, known: np.ndarray | None
    ) -> dict[str, Any]:
        neither, unsure = stays_out(probability, familiarity, self.thresholds)
        return {
            "n": len(familiarity),
            "accepted": share_figure(int((~neither).sum()), len(neither)),
            "answered": share_figure(int((~neither & ~unsure).sum()), len(neither)),
            "auroc": None if known is None else auroc(known, familiarity),
            "familiarity": histogram(familiarity),
        }


def fit_trust(
    graph: onnx.ModelProto,
    catalog: Catalog,
    recipe: TrustRecipe,
    *,
    size_px: int,
    seed: int,
    strangers: Strangers | None = None,
    stored: Stored | None = None,
    progress: Progress = NO_PROGRESS,
) -> Trust:
    """Run the graph over pictures and fit calibration, familiarity and both thresholds.

    Args:
        graph: of `attach_head`.
        catalog: of the run.
        recipe: what is asked for.
        size_px: of the pictures that the graph takes.
        seed: picks training pictures, where there are many, and folds.
        strangers: of the user, if any; those for training are learned from.
        stored: gives what the graph puts out for pictures of the catalog, where that is known
            already; None: the graph is run on them.
        progress: told of every picture.
    """
    rows = catalog.where("train")
    some = np.sort(np.random.default_rng(seed).permutation(rows)[:MOST_PICTURES])
    strange = kinds = None
    if stored is None or strangers is not None:
        run = _Runner(graph, size_px, progress)
    if stored is not None:
        _, features = stored(some)
        kept = catalog.where("validation")
        logit, held_out = stored(kept)
    else:
        _, _, features = run(catalog.read, some, "Learning what is familiar")
        kept, logit, held_out = run(catalog.read, catalog.where("validation"), "Calibrating")
    if strangers is not None:
        shown, _, strange = run(strangers.read, strangers.where("train"), "Learning strangers")
        kinds = strangers.kind[shown]
    label = catalog.label[kept]
    calibration, trials = fit_calibration(logit, label, seed=seed)
    familiarity = fit_familiarity(features, held_out, strange, kinds)
    neither_below = recipe.rejected or None
    # The file works in float32: thresholds are chosen on what it will say.
    probability = calibration.probabilities(logit).astype(np.float32)
    strange_here, _ = stays_out(
        probability, familiarity(held_out), {"neither_below": neither_below}
    )
    judged = ~strange_here if (~strange_here).any() else np.ones(len(label), bool)
    unsure = choose_threshold(
        probability.max(axis=1)[judged],
        (probability.argmax(axis=1) == label)[judged],
        recipe.max_error,
    )
    return Trust(
        calibration=calibration,
        trials=trials,
        familiarity=familiarity,
        unsure=unsure,
        neither_below=neither_below,
        num_pictures=len(features),
        num_strangers=0 if strange is None else len(strange),
    )


def run_strangers(
    predictor: Predictor, strangers: Strangers
) -> tuple[np.ndarray, np.ndarray] | None:
    """Probability and familiarity of the strangers that nothing was learned from, by a file."""
    batches = [
        batch.outputs for batch in predictor.predict_series(strangers.read, strangers.where("test"))
    ]
    if not sum(map(len, batches)):
        return None
    familiarity = [batch.familiarity for batch in batches if batch.familiarity is not None]
    return np.concatenate([batch.probability for batch in batches]), np.concatenate(familiarity)


def before_and_after(found: Predictions) -> dict[str, Any]:
    """Log loss, Brier score and calibration error of plain and of calibrated probabilities."""
    assert found.logit is not None
    return {
        "before": _how_calibrated(softmax(found.logit).astype(np.float32), found.label),
        "after": _how_calibrated(found.probability, found.label),
    }


def _how_calibrated(probability: np.ndarray, label: np.ndarray) -> dict[str, Any]:
    error = calibration_error_interval(probability, label, binning="mass")
    return {
        "log_loss": mean_figure(log_losses(probability, label)),
        "brier_score": mean_figure(brier_scores(probability, label)),
        "calibration_error": {
            "value": expected_calibration_error(probability, label, binning="mass"),
            "low": error.interval.low,
            "high": error.interval.high,
            "by_chance": error.by_chance,
        },
    }


def histogram(familiarity: np.ndarray | None, num_bins: int = 20) -> list[int] | None:
    """How many pictures there are in each of so many equal parts of 0 to 1."""
    if familiarity is None:
        return None
    return np.histogram(familiarity, bins=num_bins, range=(0, 1))[0].tolist()


class _Runner:
    """The graph with `FEATURES` and logits as its outputs."""

    def __init__(self, graph: onnx.ModelProto, size_px: int, progress: Progress) -> None:
        from pawsure.onnx_runtime import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # its warnings mean nothing to who trains
        content = measure_features(with_features(graph)).SerializeToString()
        self._session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
        self._size_px = size_px
        self._progress = progress

    def __call__(
        self, read: Callable[[int], bytes], rows: np.ndarray, what: str
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows that could be read, their logits (N, K) and features (N, D)."""
        done: list[tuple[np.ndarray, ...]] = []
        self._progress.start(what, len(rows))
        try:
            for batch in iter_batches(read, rows, size_px=self._size_px, batch_size=BATCH_SIZE):
                if len(batch.indices):
                    values = self._session.run(["logit", FEATURES], {"image": batch.pictures})
                    done.append((batch.indices, *values))
                self._progress.advance(len(batch.indices) + len(batch.problems))
        finally:
            self._progress.finish()
        indices, logit, features = (np.concatenate(part) for part in zip(*done, strict=True))
        return indices, logit, features

"""Measure a predictor on one split of a catalog: figures with intervals, JSON-ready."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from pawsure.errors import DataError
from pawsure.evaluation import metrics
from pawsure.evaluation.calibration_error import (
    NUM_BINS,
    calibration_error_interval,
    expected_calibration_error,
)
from pawsure.evaluation.intervals import Interval, bootstrap, wilson
from pawsure.progress import NO_PROGRESS, Progress


class _Outputs(Protocol):
    @property
    def probability(self) -> np.ndarray: ...


class _PredictedBatch(Protocol):
    @property
    def indices(self) -> np.ndarray: ...
    @property
    def outputs(self) -> _Outputs: ...
    @property
    def problems(self) -> Sequence[tuple[int, str]]: ...


class SeriesPredictor(Protocol):
    """Whatever can be measured; `pawsure.Predictor` is one."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The K class names, in the order of the columns of `probability`."""

    def predict_series(
        self, read: Callable[[int], bytes], indices: np.ndarray, /
    ) -> Iterable[_PredictedBatch]:
        """Run encoded pictures, in order, batch by batch."""


class LabelledPictures(Protocol):
    """What is measured on; `pawsure.data.catalog.Catalog` is one."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The class names."""

    @property
    def path(self) -> np.ndarray:
        """Object (N,) of str."""

    @property
    def label(self) -> np.ndarray:
        """int64 (N,), index into `labels`."""

    @property
    def problem(self) -> np.ndarray:
        """Object (N,) of str, empty where the picture can be read."""

    def read(self, index: int, /) -> bytes:
        """The bytes of one picture."""

    def where(self, split: str | None, /) -> np.ndarray:
        """int64, the readable pictures of a split; None: of all."""


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What a predictor said of N labelled pictures.

    Attributes:
        indices: int64 (N,), rows of the catalog.
        probability: float32 (N, K).
        label: int64 (N,), the true ones, as columns of `probability`.
        problems: (row of the catalog, reason) of those that could not be read.
    """

    indices: np.ndarray
    probability: np.ndarray
    label: np.ndarray
    problems: list[tuple[int, str]]


def evaluate(
    predictor: SeriesPredictor,
    pictures: LabelledPictures,
    *,
    split: str | None = "test",
    seed: int = 0,
    progress: Progress = NO_PROGRESS,
) -> dict[str, Any]:
    """Measure a predictor on the pictures of a split.

    Args:
        predictor: a `Predictor`, so that what is measured is what is shipped.
        pictures: a `Catalog`; its labels must be known to the predictor.
        split: "train", "validation" or "test"; None takes every picture.
        seed: of the bootstrap.
        progress: told of every picture.

    Returns:
        The figures of `measure`, with "split" and "unreadable": path and error of each
        picture of the catalog that can't be read, whichever split it would have been in.

    Raises:
        DataError: a label is unknown to the predictor, or no picture of the split can be read.
    """
    predictions = predict(predictor, pictures, split=split, progress=progress)
    known = [(int(row), pictures.problem[row]) for row in np.flatnonzero(pictures.problem != "")]
    return {
        "split": split,
        **measure(predictions.probability, predictions.label, predictor.labels, seed=seed),
        "unreadable": [
            {"path": str(pictures.path[row]), "error": str(reason)}
            for row, reason in known + predictions.problems
        ],
    }


def predict(
    predictor: SeriesPredictor,
    pictures: LabelledPictures,
    *,
    split: str | None = "test",
    progress: Progress = NO_PROGRESS,
) -> Predictions:
    """Run the pictures of a split through a predictor; see `evaluate`."""
    column = _columns(predictor.labels, pictures.labels)
    rows = pictures.where(split)
    indices: list[np.ndarray] = []
    probability: list[np.ndarray] = []
    problems: list[tuple[int, str]] = []
    progress.start("Evaluating", len(rows))
    try:
        for batch in predictor.predict_series(pictures.read, rows):
            indices.append(batch.indices)
            probability.append(batch.outputs.probability)
            problems.extend(batch.problems)
            progress.advance(len(batch.indices) + len(batch.problems))
    finally:
        progress.finish()
    if not sum(map(len, indices)):
        raise DataError(_nothing_to_measure(split, problems))
    answered = np.concatenate(indices)
    return Predictions(
        indices=answered,
        probability=np.concatenate(probability),
        label=column[pictures.label[answered]],
        problems=problems,
    )


def measure(
    probability: np.ndarray, label: np.ndarray, labels: Sequence[str], *, seed: int = 0
) -> dict[str, Any]:
    """Every figure of a set of probabilities.

    Args:
        probability: float (N, K), rows sum to 1.
        label: int (N,) in [0, K).
        labels: the K class names.
        seed: of the bootstrap.

    Returns:
        JSON-ready: "n", "labels"; "accuracy" (with its Wilson interval), "log_loss",
        "brier_score" (bootstrap), "calibration_error" (15 bins of equal mass; `by_chance`
        is what a calibrated model would show on as many pictures): each with "value", "low"
        and "high", a 95% interval; "calibration_error_equal_width", to compare with other
        tools; "confusion_matrix", a row for each true label; "per_class": by label, "n",
        "precision", "recall" (with its Wilson interval), "f1". null: nothing to divide by.

    Raises:
        ShapeError: the arrays do not go together.
    """
    right = metrics.correct(probability, label)
    confusion = metrics.confusion_matrix(probability.argmax(axis=1), label, len(labels))
    calibration = calibration_error_interval(probability, label, binning="mass", seed=seed)
    error = expected_calibration_error(probability, label, binning="mass")
    return {
        "n": len(label),
        "labels": list(labels),
        "accuracy": _share(int(right.sum()), len(right)),
        "log_loss": _mean(metrics.log_losses(probability, label), seed),
        "brier_score": _mean(metrics.brier_scores(probability, label), seed),
        "calibration_error": {
            **_with_interval(error, calibration.interval),
            "by_chance": calibration.by_chance,
            "num_bins": NUM_BINS,
        },
        "calibration_error_equal_width": expected_calibration_error(probability, label),
        "confusion_matrix": confusion.tolist(),
        "per_class": {
            name: {
                **asdict(figures),
                "recall": _share(int(confusion[k, k]), figures.n) if figures.n else None,
            }
            for k, (name, figures) in enumerate(
                zip(labels, metrics.per_class(confusion), strict=True)
            )
        },
    }


def _share(successes: int, n: int) -> dict[str, float]:
    return _with_interval(successes / n, wilson(successes, n))


def _mean(values: np.ndarray, seed: int) -> dict[str, float]:
    interval = bootstrap(lambda drawn: float(drawn.mean()), values, seed=seed)
    return _with_interval(float(values.mean()), interval)


def _with_interval(value: float, interval: Interval) -> dict[str, float]:
    return {"value": value, "low": interval.low, "high": interval.high}


def _columns(known: tuple[str, ...], given: tuple[str, ...]) -> np.ndarray:
    """int64: for each label of the pictures, its column in the predictor's output."""
    strange = [label for label in given if label not in known]
    if strange:
        raise DataError(
            f"The model knows {len(known)} labels ({', '.join(known)}); the pictures have "
            f"{len(given)} ({', '.join(given)}). Remove {', '.join(map(repr, strange))} "
            "or train a new model."
        )
    return np.array([known.index(label) for label in given], dtype=np.int64)


def _nothing_to_measure(split: str | None, problems: list[tuple[int, str]]) -> str:
    where = f"the split '{split}'" if split else "the data"
    if problems:
        return f"None of the {len(problems)} pictures of {where} can be read: {problems[0][1]}."
    return f"There are no readable pictures in {where}. Give another split or other data."

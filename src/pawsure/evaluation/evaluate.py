"""Measure a predictor on one split of a catalog: figures with intervals, JSON-ready."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np

from pawsure.errors import DataError, ShapeError
from pawsure.evaluation import metrics
from pawsure.evaluation.calibration_error import (
    NUM_BINS,
    calibration_error_interval,
    expected_calibration_error,
    reliability,
)
from pawsure.evaluation.compare import compare_paired
from pawsure.evaluation.intervals import Interval, bootstrap, wilson
from pawsure.evaluation.precision_recall import precision_recall
from pawsure.evaluation.selective import risk_coverage
from pawsure.progress import NO_PROGRESS, Progress


class _Probabilities(Protocol):
    @property
    def probability(self) -> np.ndarray: ...


class _PredictedBatch(Protocol):
    @property
    def indices(self) -> np.ndarray: ...
    @property
    def outputs(self) -> _Probabilities: ...
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
        logit: float32 (N, K), before calibration; None where the predictor gives none.
        familiarity: float32 (N,); None likewise.
        outcome: (N,) of "label", "unsure" or "neither", as the predictor decides; None where it
            always gives a label.
    """

    indices: np.ndarray
    probability: np.ndarray
    label: np.ndarray
    problems: list[tuple[int, str]]
    logit: np.ndarray | None = None
    familiarity: np.ndarray | None = None
    outcome: np.ndarray | None = None

    def at(self, which: np.ndarray) -> Predictions:
        """Those of some of the pictures: bool (N,)."""
        return replace(
            self,
            indices=self.indices[which],
            probability=self.probability[which],
            label=self.label[which],
            logit=None if self.logit is None else self.logit[which],
            familiarity=None if self.familiarity is None else self.familiarity[which],
            outcome=None if self.outcome is None else self.outcome[which],
        )


def evaluate(
    predictor: SeriesPredictor,
    pictures: LabelledPictures,
    *,
    split: str | None = "test",
    against: SeriesPredictor | None = None,
    seen: np.ndarray | None = None,
    against_seen: np.ndarray | None = None,
    source: np.ndarray | None = None,
    seed: int = 0,
    progress: Progress = NO_PROGRESS,
) -> dict[str, Any]:
    """Measure a predictor on the pictures of a split.

    Args:
        predictor: a `Predictor`, so that what is measured is what is shipped.
        pictures: a `Catalog`; its labels must be known to the predictor.
        split: "train", "validation" or "test"; None takes every picture.
        against: another predictor, to be compared with on the same pictures.
        seen: object (N,), for each picture of the catalog whether the predictor was made from it:
            "train", "validation" or "" (see `pawsure.data.saved_catalog`); None: not known.
        against_seen: the same for the other predictor.
        source: object (rows of the catalog,) of str, where each picture comes from, if known.
        seed: of the bootstrap.
        progress: told of every picture.

    Returns:
        The figures of `measure`, with "split"; "seen": null, or how many of the pictures are
        "train" and "validation"; "unseen": the figures of `measure` for the others, null where
        there are none or all are; "unreadable": path and error of each picture of the catalog
        that can't be read, whichever split it would have been in; "sources": figures by source,
        see `pawsure.evaluation.sources`, null where none is known; and "against", see
        `compare_predictions`, where there is another predictor: with "seen" of that, and
        "unseen", the comparison on pictures that neither has seen.

    Raises:
        DataError: a label is unknown to the predictor, or no picture of the split can be read.
    """
    predictions = predict(predictor, pictures, split=split, progress=progress)
    other = against and predict(against, pictures, split=split, progress=progress)
    from pawsure.evaluation.sources import by_source  # which imports this module

    known = [(int(row), pictures.problem[row]) for row in np.flatnonzero(pictures.problem != "")]

    def figures(found: Predictions) -> dict[str, Any]:
        return measure(
            found.probability,
            found.label,
            predictor.labels,
            outcome=found.outcome,
            seed=seed,
        )

    new = _unseen(predictions, seen)
    return {
        "split": split,
        **figures(predictions),
        "seen": _count_seen(predictions, seen),
        "unseen": figures(predictions.at(new)) if new.any() and not new.all() else None,
        "unreadable": [
            {"path": str(pictures.path[row]), "error": str(reason)}
            for row, reason in known + predictions.problems
        ],
        "sources": None
        if source is None
        else by_source(predictions, source, predictor.labels, seed=seed),
        **(
            {
                "against": _compared(
                    other, predictions, new & _unseen(predictions, against_seen), seed
                )
                | {"seen": _count_seen(predictions, against_seen)}
            }
            if other
            else {}
        ),
    }


def _unseen(predictions: Predictions, seen: np.ndarray | None) -> np.ndarray:
    """Bool (N,): what is not known to have been seen."""
    if seen is None:
        return np.ones(len(predictions.indices), bool)
    return np.asarray(seen[predictions.indices] == "", bool)


def _count_seen(predictions: Predictions, seen: np.ndarray | None) -> dict[str, int] | None:
    if seen is None:
        return None
    of_these = seen[predictions.indices]
    return {split: int((of_these == split).sum()) for split in ("train", "validation")}


def _compared(other: Predictions, this: Predictions, new: np.ndarray, seed: int) -> dict[str, Any]:
    """Two predictors on all pictures, and on those that neither has seen."""
    found = compare_predictions(other, this, seed=seed)
    if not new.any() or new.all():
        return {**found, "unseen": None}
    return {**found, "unseen": compare_predictions(other.at(new), this.at(new), seed=seed)}


def compare_predictions(other: Predictions, this: Predictions, *, seed: int = 0) -> dict[str, Any]:
    """What two predictors said of the same pictures, paired; JSON-ready.

    Args:
        other: to be compared with.
        this: of the same pictures.
        seed: of the bootstrap.

    Returns:
        "n"; "accuracy", "log_loss" of the other, with intervals; "difference" in accuracy and
        "log_loss_difference", this less other, with paired 95% intervals; "only_other",
        "only_this": pictures that only one got right; "p_value" of McNemar's test.

    Raises:
        ShapeError: they are of other pictures.
    """
    if not np.array_equal(other.indices, this.indices):
        raise ShapeError("To compare two predictors give what they said of the same pictures.")
    first, second = (metrics.correct(each.probability, each.label) for each in (other, this))
    losses = [metrics.log_losses(each.probability, each.label) for each in (other, this)]
    paired = compare_paired(first, second, seed=seed)
    return {
        "n": len(first),
        "accuracy": share_figure(int(first.sum()), len(first)),
        "log_loss": mean_figure(losses[0], seed),
        "difference": _with_interval(paired.difference, paired.interval),
        "log_loss_difference": mean_figure(losses[1] - losses[0], seed),
        "only_other": paired.only_first,
        "only_this": paired.only_second,
        "p_value": paired.p_value,
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
    outputs: list[_Outputs] = []
    problems: list[tuple[int, str]] = []
    progress.start("Evaluating", len(rows))
    try:
        for batch in predictor.predict_series(pictures.read, rows):
            indices.append(batch.indices)
            outputs.append(_without_maps(batch.outputs))
            problems.extend(batch.problems)
            progress.advance(len(batch.indices) + len(batch.problems))
    finally:
        progress.finish()
    if not sum(map(len, indices)):
        raise DataError(_nothing_to_measure(split, problems))
    answered = np.concatenate(indices)
    probability = np.concatenate([each.probability for each in outputs])
    familiarity = _joined([each.familiarity for each in outputs])
    decide = getattr(predictor, "outcomes", None)
    return Predictions(
        indices=answered,
        probability=probability,
        label=column[pictures.label[answered]],
        problems=problems,
        logit=_joined([each.logit for each in outputs]),
        familiarity=familiarity,
        outcome=None if decide is None else decide(probability, familiarity),
    )


@dataclass(frozen=True)
class _Outputs:
    """What is kept of each batch: little enough for any number of pictures."""

    probability: np.ndarray
    logit: np.ndarray | None
    familiarity: np.ndarray | None


def _without_maps(outputs: _Probabilities) -> _Outputs:
    return _Outputs(
        outputs.probability,
        getattr(outputs, "logit", None),
        getattr(outputs, "familiarity", None),
    )


def _joined(parts: list[np.ndarray | None]) -> np.ndarray | None:
    present = [part for part in parts if part is not None]
    return np.concatenate(present) if len(present) == len(parts) else None


def measure(
    probability: np.ndarray,
    label: np.ndarray,
    labels: Sequence[str],
    *,
    outcome: np.ndarray | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Every figure of a set of probabilities.

    Args:
        probability: float (N, K), rows sum to 1.
        label: int (N,) in [0, K).
        labels: the K class names.
        outcome: (N,) of "label", "unsure" or "neither"; None: each picture gets a label.
        seed: of the bootstrap.

    Returns:
        JSON-ready: "n", "labels"; "accuracy" (with its Wilson interval), "log_loss",
        "brier_score" (bootstrap), "calibration_error" (15 bins of equal mass; `by_chance`
        is what a calibrated model would show on as many pictures): each with "value", "low"
        and "high", a 95% interval; "calibration_error_equal_width", to compare with other
        tools; "confusion_matrix", a row for each true label; "per_class": by label, "n",
        "precision", "recall" (with its Wilson interval), "f1". null: nothing to divide by.
        "answers": how many pictures were "answered" with a label, "unsure" and "neither", and
        the "error" among the answered, shares with their Wilson intervals. To be drawn:
        "reliability" (the bins of "calibration_error"), "risk_coverage", "precision_recall" by
        label; see `Reliability`, `RiskCoverage`, `PrecisionRecall`.

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
        "accuracy": share_figure(int(right.sum()), len(right)),
        "log_loss": mean_figure(metrics.log_losses(probability, label), seed),
        "brier_score": mean_figure(metrics.brier_scores(probability, label), seed),
        "calibration_error": {
            **_with_interval(error, calibration.interval),
            "by_chance": calibration.by_chance,
            "num_bins": NUM_BINS,
        },
        "calibration_error_equal_width": expected_calibration_error(probability, label),
        "answers": measure_answers(right, outcome),
        "reliability": _bins(probability, label),
        "risk_coverage": risk_coverage(probability.max(axis=1), right).to_dict(),
        "precision_recall": _precision_recall(probability, label, labels),
        "confusion_matrix": confusion.tolist(),
        "per_class": {
            name: {
                **asdict(figures),
                "recall": share_figure(int(confusion[k, k]), figures.n) if figures.n else None,
            }
            for k, (name, figures) in enumerate(
                zip(labels, metrics.per_class(confusion), strict=True)
            )
        },
    }


def measure_answers(right: np.ndarray, outcome: np.ndarray | None) -> dict[str, Any]:
    """How many pictures get a label, "unsure" or "neither" for an answer, and how many err.

    Args:
        right: bool (N,), whether the most probable label is the true one.
        outcome: see `measure`.

    Returns:
        JSON-ready: "answered", "unsure", "neither": shares of all, with "n"; "error": the share
        of wrong ones among the answered, null where none is. Each with its Wilson interval.
    """
    n = len(right)
    outcome = np.full(n, "label") if outcome is None else outcome
    answered = outcome == "label"
    counts = {"answered": "label", "unsure": "unsure", "neither": "neither"}
    return {
        **{name: _counted(int((outcome == value).sum()), n) for name, value in counts.items()},
        "error": share_figure(int((~right[answered]).sum()), int(answered.sum()))
        if answered.any()
        else None,
    }


def _counted(count: int, n: int) -> dict[str, float]:
    return {"n": count, **share_figure(count, n)}


def _bins(probability: np.ndarray, label: np.ndarray) -> dict[str, Any]:
    """The reliability diagram, with an interval for each bin's accuracy."""
    bins = reliability(probability, label, binning="mass")
    hits = np.round(bins.accuracy * bins.count).astype(int).tolist()
    intervals = [wilson(hit, n) for hit, n in zip(hits, bins.count.tolist(), strict=True)]
    return {
        "count": bins.count.tolist(),
        "confidence": bins.confidence.tolist(),
        "accuracy": bins.accuracy.tolist(),
        "low": [interval.low for interval in intervals],
        "high": [interval.high for interval in intervals],
    }


def _precision_recall(
    probability: np.ndarray, label: np.ndarray, labels: Sequence[str]
) -> dict[str, Any]:
    most = max(20, 400 // len(labels))  # so that a hundred labels do not fill a megabyte
    curves = {
        name: precision_recall(probability[:, k], label == k) for k, name in enumerate(labels)
    }
    return {name: None if curve is None else curve.to_dict(most) for name, curve in curves.items()}


def share_figure(successes: int, n: int) -> dict[str, float]:
    """A share with its Wilson interval, JSON-ready."""
    return _with_interval(successes / n, wilson(successes, n))


def mean_figure(values: np.ndarray, seed: int = 0) -> dict[str, float]:
    """A mean over pictures with its bootstrap interval, JSON-ready."""
    interval = bootstrap(lambda drawn: float(drawn.mean()), values, seed=seed)
    return _with_interval(float(values.mean()), interval)


def _with_interval(value: float, interval: Interval) -> dict[str, float]:
    return {"value": value, "low": interval.low, "high": interval.high}


def _columns(known: tuple[str, ...], given: tuple[str, ...]) -> np.ndarray:
    """int64: for each label of the pictures, its column in the predictor's output."""
    strange = [label for label in given if label not in known]
    if strange:
        names = _some(list(map(repr, strange)))
        raise DataError(
            f"The model does not know {names}; it knows {_some(known)}. Leave the pictures of "
            f"{'these labels' if len(strange) > 1 else 'this label'} out, rename "
            f"{'them' if len(strange) > 1 else 'it'} to one that the model knows, or train a new "
            "model."
        )
    return np.array([known.index(label) for label in given], dtype=np.int64)


def _some(names: Sequence[str], most: int = 20) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def _nothing_to_measure(split: str | None, problems: list[tuple[int, str]]) -> str:
    where = f"the split '{split}'" if split else "the data"
    if problems:
        return f"None of the {len(problems)} pictures of {where} can be read: {problems[0][1]}."
    remedy = "To measure on all pictures: --split all." if split else "Give other data."
    return f"There are no readable pictures in {where}. {remedy}"

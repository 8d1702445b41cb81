"""Measure a predictor on one split of a catalog: figures with intervals, JSON-ready."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pawsure.errors import DataError
from pawsure.evaluation.measure import Predictions, compare_predictions, measure
from pawsure.evaluation.sources import by_source
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

"""What a training run shows about itself: overfitting, the gap, what each stage brought.

Facts here; `verdict` puts them into words and `advice` into what to try next. Everything is
computed from what the run did on its own pictures, with the noise of those pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import numpy as np

from pawsure.errors import ShapeError
from pawsure.evaluation.advice import suggest
from pawsure.evaluation.compare import compare_paired
from pawsure.evaluation.findings import (
    Diagnosis,
    Gap,
    Limit,
    Moment,
    Overfitting,
    Precision,
    StageGain,
    StageRecord,
)
from pawsure.evaluation.intervals import LEVEL, Interval, bootstrap, newcombe, wilson
from pawsure.evaluation.metrics import correct, log_losses
from pawsure.evaluation.power import pictures_to_tell, pictures_to_tell_half
from pawsure.evaluation.selected import Selected, last_selected
from pawsure.evaluation.verdict import sentences, verdict

_RESAMPLES = 4000
"""Enough for the ends of the widest interval here, 99.5%: ten draws lie beyond each."""

_MOST_CHOICES = 10
"""Epochs next to each other are nearly the same model; more count as this many choices."""


def diagnose(
    stages: Sequence[StageRecord],
    validation_label: np.ndarray,
    *,
    train_probability: np.ndarray | None = None,
    train_label: np.ndarray | None = None,
    validation_probability: np.ndarray | None = None,
    tta: bool = False,
    recipe: Mapping[str, Any] | None = None,
    data: str = "DATA",
    recipe_name: str = "default",
    run: str = "RUN",
    seed: int = 0,
) -> Diagnosis:
    """Say what a run shows about itself.

    Args:
        stages: in order, at least one.
        validation_label: int (M,), in [0, K).
        train_probability: float (N, K) by the final weights, of training pictures as they
            are, unaugmented; None if it is not known.
        train_label: int (N,).
        validation_probability: float (M, K) by the model file, as `train_probability`; None: by
            the weights of the last stage that was not discarded.
        tta: whether the model file uses test-time augmentation.
        recipe: as plain tables (`dataclasses.asdict`); what is advised starts from it.
        data: what the run was given, to be named in what is advised.
        recipe_name: the same of its recipe: a name on board or a file.
        run: the folder of the run, likewise.
        seed: of the bootstrap.

    Raises:
        ShapeError: no stages, a stage without history, all stages discarded, or arrays that do
            not go together.
    """
    _check(stages)
    validation_label = np.asarray(validation_label)
    last = last_selected(stages)
    held_out = last.probability if validation_probability is None else validation_probability
    precision = _precision(held_out, validation_label)
    gap = _gap(last, precision, train_probability, train_label)
    overfitting = _overfitting(stages, validation_label, seed)
    gains = tuple(_gain(*pair, validation_label, seed) for pair in _with_the_one_before(stages))
    improving = _still_improving(stages[-1], validation_label, seed)
    limit = _limit(gap, precision, _chance(validation_label))
    diagnosis = Diagnosis(
        selected=Selected.of(stages, tta=tta),
        overfitting=overfitting,
        gap=gap,
        gains=gains,
        precision=precision,
        still_improving=improving,
        limit=limit,
    )
    advised = suggest(diagnosis, recipe or {}, data=data, recipe_name=recipe_name, run=run)
    diagnosis = replace(diagnosis, next=advised)
    return replace(diagnosis, verdict=verdict(diagnosis), sentences=sentences(diagnosis))


def _check(stages: Sequence[StageRecord]) -> None:
    if not stages:
        raise ShapeError("A diagnosis needs the record of at least one stage.")
    if not any(stage.is_selected for stage in stages):
        raise ShapeError("A diagnosis needs a stage that was not discarded.")
    for stage in stages:
        epochs = [row["epoch"] for row in stage.history]
        if stage.kept_epoch not in epochs:
            raise ShapeError(
                f"Stage {stage.name} kept epoch {stage.kept_epoch}; its history has {epochs}."
            )


def _precision(probability: np.ndarray, label: np.ndarray) -> Precision:
    n = len(label)
    hits = int(correct(probability, label).sum())
    # Without a mistake, one is what would most likely have come next.
    needed = pictures_to_tell_half(max(n - hits, 1) / n)
    return Precision(
        n=n,
        mistakes=n - hits,
        accuracy=hits / n,
        interval=wilson(hits, n),
        pictures_needed=needed,
        is_enough=n >= needed,
    )


def _gap(
    last: StageRecord,
    validation: Precision,
    train_probability: np.ndarray | None,
    train_label: np.ndarray | None,
) -> Gap:
    if train_probability is None or train_label is None:
        while_learning = float(_row(last, last.kept_epoch)["accuracy"])
        return Gap(
            train_accuracy=while_learning,
            validation_accuracy=validation.accuracy,
            value=while_learning - validation.accuracy,
            interval=None,
            num_train=None,
        )
    right = correct(np.asarray(train_probability), np.asarray(train_label))
    hits, n = int(right.sum()), len(right)
    return Gap(
        train_accuracy=hits / n,
        validation_accuracy=validation.accuracy,
        value=hits / n - validation.accuracy,
        interval=newcombe(hits, n, validation.n - validation.mistakes, validation.n),
        num_train=n,
    )


# Overfitting


@dataclass(frozen=True)
class _Epoch:
    """One epoch of the run, with the loss of each validation picture where it is known."""

    moment: Moment
    losses: np.ndarray | None

    @property
    def value(self) -> float:
        """The loss; one that is no number is no best, and above every other."""
        return self.moment.loss if math.isfinite(self.moment.loss) else math.inf


def _epochs(stages: Sequence[StageRecord], label: np.ndarray) -> list[_Epoch]:
    """Every epoch in the order of time; of alternatives only the one that was kept."""
    return [
        _epoch(stage, row["epoch"], label)
        for stage in stages
        for row in stage.history
        if stage.in_time or row["epoch"] == stage.kept_epoch
    ]


def _epoch(stage: StageRecord, epoch: int, label: np.ndarray) -> _Epoch:
    row = _row(stage, epoch)
    is_left = epoch == stage.kept_epoch and stage.share == 1
    probability = stage.probability if is_left else stage.epoch_probability.get(epoch)
    return _Epoch(
        Moment(
            stage=stage.name,
            epoch=int(epoch),
            loss=float(row["validation_loss"]),
            train_loss=float(row["loss"]),
            is_probe=not stage.in_time,
        ),
        None if probability is None else log_losses(np.asarray(probability), label),
    )


def _overfitting(stages: Sequence[StageRecord], label: np.ndarray, seed: int) -> Overfitting:
    epochs = _epochs(stages, label)
    best_at = int(np.argmin([epoch.value for epoch in epochs]))
    best, end = epochs[best_at], epochs[-1]
    level = 1 - (1 - LEVEL) / min(max(len(epochs) - 1, 1), _MOST_CHOICES)

    @cache
    def rise(place: int) -> Interval | None:
        return _rise_interval(best, epochs[place], level, seed)

    selected = _selected_epoch(last_selected(stages), label)
    harmed = _rise_interval(best, selected, level, seed)

    def above(place: int) -> bool | None:
        """Whether it is above the best beyond noise; None where that can't be told."""
        interval = rise(place)
        return None if interval is None else interval.low > 0

    verdict: Literal["yes", "no", "perhaps"] = "no"
    # Less would be told as 0.000. And a later stage that begins with a higher loss and does not
    # rise from there has lost something, but not by learning its pictures by heart.
    if round(end.value - best.value, 3) > 0 and not _began_higher(epochs, best, level, seed):
        told = above(len(epochs) - 1)
        verdict = "perhaps" if told is None else "yes" if told else "no"
    return Overfitting(
        verdict=verdict,
        best=best.moment,
        end=end.moment,
        selected=selected.moment,
        rise=end.value - best.value,
        interval=rise(len(epochs) - 1),
        level=level,
        since=None if verdict == "no" else epochs[_since(best_at, len(epochs), above)].moment,
        is_selected=verdict != "no" and harmed is not None and harmed.low > 0,
        num_epochs=len(epochs),
    )


def _began_higher(epochs: Sequence[_Epoch], best: _Epoch, level: float, seed: int) -> bool:
    """Whether the last stage, another than that of the best, did not rise from its own best."""
    end = epochs[-1]
    own = [epoch for epoch in epochs if epoch.moment.stage == end.moment.stage]
    if best.moment.stage == end.moment.stage or len(own) == 1 or not math.isfinite(end.value):
        return False
    lowest = min(own, key=lambda epoch: epoch.value)
    interval = _rise_interval(lowest, end, level, seed)
    return end.value == lowest.value if interval is None else interval.low <= 0


def _selected_epoch(stage: StageRecord, label: np.ndarray) -> _Epoch:
    """The weights that a stage ended with, as if they were an epoch."""
    kept = _epoch(stage, stage.kept_epoch, label)
    if stage.share == 1:
        return kept
    losses = log_losses(np.asarray(stage.probability), label)
    return _Epoch(replace(kept.moment, loss=float(losses.mean())), losses)


def _rise_interval(best: _Epoch, other: _Epoch, level: float, seed: int) -> Interval | None:
    """For the rise of the mean loss from one epoch to another, over the same pictures."""
    if best.losses is None or other.losses is None:
        return None
    rises = other.losses - best.losses
    return bootstrap(
        lambda drawn: float(drawn.mean()),
        rises,
        num_resamples=_RESAMPLES,
        level=level,
        seed=seed,
    )


def _since(best_at: int, num_epochs: int, above: Callable[[int], bool | None]) -> int:
    """The first of the unbroken row of epochs at the end that lie above the best.

    Epochs of whose pictures nothing is known count as above: they are after the best.
    """
    since = num_epochs - 1
    while since - 1 > best_at and above(since - 1) is not False:
        since -= 1
    return since


def _still_improving(last: StageRecord, label: np.ndarray, seed: int) -> bool:
    """Whether the last epoch of the run was better than the one before, beyond noise."""
    if not last.in_time or len(last.history) < 2:
        return False
    before, end = (_epoch(last, row["epoch"], label) for row in last.history[-2:])
    best = min(row["validation_loss"] for row in last.history)
    if end.moment.loss > best:
        return False
    interval = _rise_interval(end, before, LEVEL, seed)
    # Without single pictures: a tenth of the loss in one epoch is no jitter.
    return before.moment.loss > 1.1 * best if interval is None else interval.low > 0


# What stages bring


def _with_the_one_before(
    stages: Sequence[StageRecord],
) -> Iterator[tuple[StageRecord, StageRecord]]:
    """Each stage after the first, with the one whose weights it started from."""
    before = stages[0]
    for stage in stages[1:]:
        yield before, stage
        before = stage if stage.is_selected else before


def _gain(before: StageRecord, after: StageRecord, label: np.ndarray, seed: int) -> StageGain:
    paired = compare_paired(
        correct(before.probability, label), correct(after.probability, label), seed=seed
    )
    losses = log_losses(after.probability, label) - log_losses(before.probability, label)
    told = paired.p_value < 1 - LEVEL
    helped: Literal["helped", "hurt"] = "helped" if paired.difference > 0 else "hurt"
    needed = None
    if not told and paired.difference:
        differing = (paired.only_first + paired.only_second) / len(label)
        needed = pictures_to_tell(paired.difference, differing)
    return StageGain(
        stage=after.name,
        before=before.name,
        is_selected=after.is_selected,
        verdict=helped if told else "noise",
        difference=paired.difference,
        interval=paired.interval,
        p_value=paired.p_value,
        only_before=paired.only_first,
        only_after=paired.only_second,
        loss_difference=float(losses.mean()),
        loss_interval=bootstrap(lambda drawn: float(drawn.mean()), losses, seed=seed),
        pictures_needed=needed,
    )


# What limits


def _chance(label: np.ndarray) -> float:
    """Accuracy of always answering the most frequent label."""
    return float(np.bincount(label).max() / len(label))


def _limit(gap: Gap, precision: Precision, chance: float) -> Limit:
    """What most of the mistakes on validation come from.

    They are split in two: those that are made on training pictures as well (the network does
    not fit), and the rest, the gap (it fits what does not carry over).
    """
    if precision.interval.low <= chance:
        return "nothing-learned"
    fitted, carried = 1 - gap.train_accuracy, gap.value
    # Without an interval, the smallest gap that these validation pictures could show.
    least = precision.accuracy - precision.interval.low
    is_gap = carried > least if gap.interval is None else gap.interval.low > 0
    if is_gap and carried >= fitted:
        return "training-pictures"
    if not precision.is_enough and not is_gap:
        return "validation-pictures"
    return "fit"


def _row(stage: StageRecord, epoch: int) -> Mapping[str, Any]:
    return next(row for row in stage.history if row["epoch"] == epoch)

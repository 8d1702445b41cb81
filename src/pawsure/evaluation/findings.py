"""What a training run shows about itself, as records."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from pawsure.evaluation.intervals import Interval
from pawsure.evaluation.selected import Selected

Limit = Literal["nothing-learned", "fit", "training-pictures", "validation-pictures"]
"""What keeps a model from being better: it is no better than guessing; it does not fit its own
training pictures; what it learned from them does not carry over; or the validation pictures
are too few to see a better one."""


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """What a stage leaves behind to be judged by.

    Attributes:
        name: of the stage.
        history: a row an epoch: "epoch" (from 1), "loss", "accuracy" (both while learning),
            "validation_loss", "validation_accuracy".
        kept_epoch: the epoch whose weights the stage ended with.
        probability: float (M, K), validation by the weights that the stage ended with,
            interpolated ones included.
        epoch_probability: the same after other epochs, as far as it was kept; with it noise
            can be told from change.
        in_time: False where the rows are alternatives, such as penalties, and not one
            after another.
        share: of the trained weights, where they were interpolated with the initial ones.
        is_selected: False where its weights were discarded, and the network has those from
            before the stage.
    """

    name: str
    history: Sequence[Mapping[str, Any]]
    kept_epoch: int
    probability: np.ndarray
    epoch_probability: Mapping[int, np.ndarray] = field(default_factory=dict)
    in_time: bool = True
    share: float = 1.0
    is_selected: bool = True


@dataclass(frozen=True, kw_only=True)
class Moment:
    """The end of one epoch.

    Attributes:
        stage: its name.
        epoch: of the stage, from 1.
        loss: on validation.
        train_loss: while learning, with what the stage does to pictures and targets.
        is_probe: whether the stage fits a linear probe at once; its epoch numbers a penalty.
    """

    stage: str
    epoch: int
    loss: float
    train_loss: float
    is_probe: bool = False


@dataclass(frozen=True, kw_only=True)
class Overfitting:
    """Whether validation got worse while training went on.

    Attributes:
        verdict: "yes" and "no" are beyond noise and within it; "perhaps": the history rises,
            and there are no figures of single pictures to tell noise by.
        best: the lowest validation loss of the run.
        end: after the last epoch.
        selected: of the weights in the model file; where they are interpolated, the epoch is
            that whose weights were interpolated, and the loss that of the result.
        rise: loss at the end less the best, 0 or more.
        interval: for the rise, over pictures; wider than 95%, because the best epoch was
            picked from many.
        level: of the interval.
        since: the first epoch from which on every loss is above the best beyond noise.
        is_selected: whether the weights in the model file are themselves above the best beyond
            noise.
        num_epochs: that were compared; a head that is fitted at once counts as one.
    """

    verdict: Literal["yes", "no", "perhaps"]
    best: Moment
    end: Moment
    selected: Moment
    rise: float
    interval: Interval | None
    level: float
    since: Moment | None
    is_selected: bool
    num_epochs: int


@dataclass(frozen=True, kw_only=True)
class Gap:
    """How much better the network is on the pictures that it learned from.

    Attributes:
        train_accuracy: in [0, 1].
        validation_accuracy: in [0, 1].
        value: the first less the second.
        interval: None where the training accuracy was only seen while learning.
        num_train: pictures behind it; None likewise.
    """

    train_accuracy: float
    validation_accuracy: float
    value: float
    interval: Interval | None
    num_train: int | None


@dataclass(frozen=True, kw_only=True)
class StageGain:
    """What a stage brought over the one before, on the same validation pictures.

    Attributes:
        stage: its name.
        before: name of the last stage before it that was not discarded.
        is_selected: False where the stage was discarded.
        verdict: "helped" and "hurt" are beyond noise (McNemar, p < 0.05).
        difference: of the accuracies, after less before.
        interval: for it.
        p_value: of McNemar's exact test.
        only_before: pictures that were right before and are not any more.
        only_after: pictures that are right only now.
        loss_difference: of the log losses, after less before; below 0 is better.
        loss_interval: for it.
        pictures_needed: to tell a difference like this one from noise; None where it was told
            or is 0.
    """

    stage: str
    before: str
    is_selected: bool
    verdict: Literal["helped", "hurt", "noise"]
    difference: float
    interval: Interval
    p_value: float
    only_before: int
    only_after: int
    loss_difference: float
    loss_interval: Interval
    pictures_needed: int | None


@dataclass(frozen=True, kw_only=True)
class Precision:
    """How much the validation pictures can tell.

    Attributes:
        n: how many there are.
        mistakes: on them.
        accuracy: in [0, 1].
        interval: for it.
        pictures_needed: to tell this model from one with half its mistakes.
        is_enough: whether there are that many.
    """

    n: int
    mistakes: int
    accuracy: float
    interval: Interval
    pictures_needed: int
    is_enough: bool


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """One thing to try.

    Attributes:
        why: in one sentence.
        settings: recipe keys and their new values; empty where it takes something else.
        command: that does it, for a shell.
    """

    why: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    command: str


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What a run shows about itself.

    Attributes:
        selected: which weights the model file has.
        overfitting: whether validation got worse while training went on.
        gap: between the pictures learned from and those held out.
        gains: what each stage after the first brought.
        precision: how much the validation pictures can tell.
        still_improving: whether validation was still getting better when the run ended.
        limit: what keeps the model from being better.
        next: what to try, most promising first.
        verdict: one line: whether the run overfitted, and what limits the model.
        sentences: all of it in plain words.
    """

    selected: Selected
    overfitting: Overfitting
    gap: Gap
    gains: tuple[StageGain, ...]
    precision: Precision
    still_improving: bool
    limit: Limit
    next: tuple[Suggestion, ...] = ()
    verdict: str = ""
    sentences: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, ready for JSON.

        A loss that is not a number, or infinite, becomes None.
        """
        told: dict[str, Any] = _finite(asdict(self))
        return told


def _finite(value: Any) -> Any:
    """The same with None for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

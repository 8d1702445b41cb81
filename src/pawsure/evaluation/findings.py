"""The records of a diagnosis of a training run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from pawsure.evaluation.intervals import Interval
from pawsure.evaluation.selected import Selected

Limit = Literal["nothing-learned", "fit", "training-pictures", "validation-pictures"]
"""What limits a model: it is no better than guessing; it underfits its training pictures; it does
not generalise from them; or the validation pictures are too few to detect a better one."""


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """The results of a stage.

    Attributes:
        name: of the stage.
        history: one row per epoch: "epoch" (from 1), "loss", "accuracy" (both during training),
            "validation_loss", "validation_accuracy".
        kept_epoch: the epoch whose weights the stage ended with.
        probability: float (M, K), validation by the weights that the stage ended with,
            interpolated ones included.
        epoch_probability: the same after other epochs, as far as stored; needed for significance.
        in_time: False if the rows are alternatives, such as penalties, not consecutive epochs.
        share: of the trained weights, if interpolated with the initial ones.
        is_selected: False if its weights were discarded for those from before the stage.
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
        train_loss: during training, with the stage's augmentation and label smoothing.
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
        verdict: "yes": the rise is significant; "no": it is not; "perhaps": the loss rises, but
            significance is unknown without figures of single pictures.
        best: the lowest validation loss of the run.
        end: after the last epoch.
        selected: of the weights in the model file. If interpolated: the epoch before, the loss
            after interpolation.
        rise: loss at the end less the best, 0 or more.
        interval: of the rise, over pictures; wider than 95%, because the best epoch was selected
            from many.
        level: of the interval.
        since: the first epoch from which on every loss is significantly above the best.
        is_selected: whether the loss of the model file is significantly above the best.
        num_epochs: number of epochs compared; a linear probe counts as one.
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
    """How much better the network is on its training pictures.

    Attributes:
        train_accuracy: in [0, 1].
        validation_accuracy: in [0, 1].
        value: the first less the second.
        interval: None if the training accuracy was only measured during training.
        num_train: number of training pictures; None likewise.
    """

    train_accuracy: float
    validation_accuracy: float
    value: float
    interval: Interval | None
    num_train: int | None


@dataclass(frozen=True, kw_only=True)
class StageGain:
    """The gain of a stage over the one before, on the same validation pictures.

    Attributes:
        stage: its name.
        before: name of the last stage before it that was not discarded.
        is_selected: False where the stage was discarded.
        verdict: "helped" and "hurt" are significant (McNemar, p < 0.05).
        difference: of the accuracies, after less before.
        interval: for it.
        p_value: of McNemar's exact test.
        only_before: number of pictures that only the stage before got right.
        only_after: number of pictures that only this stage got right.
        loss_difference: of the log losses, after less before; below 0 is better.
        loss_interval: for it.
        pictures_needed: to detect a difference of this size; None if it is significant or 0.
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
    """What the validation pictures can detect.

    Attributes:
        n: how many there are.
        mistakes: on them.
        accuracy: in [0, 1].
        interval: for it.
        pictures_needed: to detect half the error rate.
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
        settings: recipe keys and their new values; may be empty.
        command: for a shell.
    """

    why: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    command: str


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """The diagnosis of a run.

    Attributes:
        selected: which weights the model file has.
        overfitting: whether validation got worse while training went on.
        gap: between training and validation accuracy.
        gains: of each stage after the first.
        precision: what the validation pictures can detect.
        still_improving: whether the validation loss was still falling when the run ended.
        limit: what limits the model.
        next: what to try, most promising first.
        verdict: one line: whether the run overfitted, and what limits the model.
        sentences: the diagnosis for people.
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
        values: dict[str, Any] = _finite(asdict(self))
        return values


def _finite(value: Any) -> Any:
    """The same value with None for numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

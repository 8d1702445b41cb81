"""A diagnosis in plain words: one short sentence a fact, with the numbers it rests on."""

from __future__ import annotations

import math

from pawsure.evaluation.findings import (
    Diagnosis,
    Gap,
    Moment,
    Overfitting,
    Precision,
    StageGain,
)
from pawsure.evaluation.intervals import Interval
from pawsure.evaluation.selected import Selected

_MOST_ADVICE = 3
"""Suggestions that are said; all of them are in `Diagnosis.next`."""


def sentences(diagnosis: Diagnosis) -> list[str]:
    """A line for each: which weights, overfitting, the gap, the gains, the limit, what to try."""
    return [
        *([diagnosis.selected.sentence()] if _is_a_choice(diagnosis) else []),
        _overfitting(diagnosis.overfitting, diagnosis.selected),
        _gap(diagnosis.gap),
        *(_gain(gain, diagnosis.precision.n) for gain in diagnosis.gains),
        _limit(diagnosis),
        *_caveat(diagnosis),
        *_next(diagnosis),
    ]


def _is_a_choice(diagnosis: Diagnosis) -> bool:
    """Whether the file could have other weights than those that the run ended with."""
    selected = diagnosis.selected
    return bool(diagnosis.gains or selected.tta or selected.share < 1)


def _overfitting(seen: Overfitting, selected: Selected) -> str:
    best, end = seen.best, seen.end
    if seen.num_epochs == 1:
        return (
            f"Linear probe: one fit, no training curve to judge (validation loss {best.loss:.3f})."
        )
    if seen.verdict == "no" and best == end:
        return (
            "No overfitting: the validation loss was at its lowest, "
            f"{best.loss:.3f}, when training ended."
        )
    if seen.verdict == "no" and seen.interval is not None and seen.interval.low > 0:
        harm = " The model file has these weights." if seen.selected == end else ""
        return (
            f"No overfitting: the validation loss did not rise during {end.stage}, but ended at "
            f"{end.loss:.3f}, above the {best.loss:.3f} {_at(best)}{_range(seen)}.{harm}"
        )
    if seen.verdict == "no":
        return (
            f"No overfitting beyond noise: the validation loss ended {seen.rise:.3f} above its "
            f"best of {best.loss:.3f} {_at(best)}{_range(seen)}{_meanwhile(seen)}."
        )
    since = f" from {_name(seen.since)} on" if seen.since else ""
    opening = f"Overfitting{since}" if seen.verdict == "yes" else f"Perhaps overfitting{since}"
    if not math.isfinite(seen.rise):
        return f"{opening}: the validation loss became no number. Lower the learning rate."
    rest = (
        f"the validation loss ended {seen.rise:.3f} above its best of {best.loss:.3f} "
        f"{_at(best)}{_range(seen)}{_meanwhile(seen)}."
    )
    return f"{opening}: {rest}{_harm(seen, selected)}"


def _range(seen: Overfitting) -> str:
    if seen.interval is None:
        return ", with nothing kept of single pictures to tell noise by"
    return f" (difference {_signed(seen.interval, '.3f')}, {seen.level:.1%} interval)"


def _meanwhile(seen: Overfitting) -> str:
    """The other half of overfitting, where both ends are of one stage, so that they compare."""
    before, after = seen.best.train_loss, seen.end.train_loss
    # At three digits, or it would fall from a number to itself.
    if seen.best.stage != seen.end.stage or round(after, 3) >= round(before, 3):
        return ""
    return f", while the training loss fell from {before:.3f} to {after:.3f}"


def _harm(seen: Overfitting, selected: Selected) -> str:
    """What overfitting means for the model file."""
    if seen.selected == seen.best:
        return " The model file has the weights of the best epoch, so it is not overfitted."
    which = _name(seen.selected)
    if selected.share < 1:
        which += ", interpolated"
    loss = f"validation loss {seen.selected.loss:.3f}"
    if seen.is_selected or seen.selected == seen.end:
        return f" The model file has overfitted weights ({which}; {loss})."
    return f" The model file is not affected ({which}; {loss})."


def _gap(gap: Gap) -> str:
    accuracies = (
        f"{gap.train_accuracy:.1%} on training pictures and "
        f"{gap.validation_accuracy:.1%} on validation pictures"
    )
    if gap.interval is None:
        return (
            f"Right {accuracies}: a gap of {_points(gap.value)}, by the training accuracy while "
            "learning, which is measured on pictures and weights that keep changing."
        )
    size = (
        "no larger than noise"
        if gap.interval.low <= 0
        else f"at least {_points(gap.interval.low)} of it no noise"
    )
    return (
        f"Right {accuracies}: a gap of {_points(gap.value)} "
        f"({_signed_points(gap.interval)}), {size}."
    )


def _gain(gain: StageGain, n: int) -> str:
    counts = (
        f"{gain.only_after} of {n:,} validation pictures newly right, "
        f"{gain.only_before} newly wrong"
    )
    test = f"McNemar p = {gain.p_value:.2g}"
    change = f"{100 * gain.difference:+.1f} points ({_signed_points(gain.interval)})"
    if not gain.is_selected:
        return (
            f"{gain.stage} was discarded, because its validation loss was no lower than that of "
            f"{gain.before}: {change}; {counts} ({test})."
        )
    if gain.verdict != "noise":
        return f"{gain.stage} {gain.verdict}: {change} over {gain.before}; {counts} ({test})."
    needed = (
        f" To tell such a difference would take about {gain.pictures_needed:,} pictures."
        if gain.pictures_needed
        else ""
    )
    return (
        f"{gain.stage} brought no more than noise over {gain.before}: {change}; {counts} "
        f"({test}).{_surer(gain)}{needed}"
    )


def _surer(gain: StageGain) -> str:
    """What changed in the probabilities where it did not change the answers."""
    if gain.loss_interval.high < 0:
        word = "better"
    elif gain.loss_interval.low > 0:
        word = "worse"
    else:
        return ""
    return (
        f" Its probabilities are {word} beyond noise, though: log loss "
        f"{gain.loss_difference:+.3f} ({_signed(gain.loss_interval, '.3f')})."
    )


def _limit(diagnosis: Diagnosis) -> str:
    gap, precision = diagnosis.gap, diagnosis.precision
    match diagnosis.limit:
        case "nothing-learned":
            return (
                "Not significantly better than always giving the most frequent label: "
                f"{precision.accuracy:.1%} of {precision.n:,} ({_percent(precision.interval)})."
            )
        case "training-pictures":
            return (
                "What limits it is what it learns from: it is wrong on "
                f"{1 - gap.train_accuracy:.1%} of its own training pictures, and on "
                f"{_points(gap.value)} more of others. More pictures, or the same ones changed "
                "at random, would help most."
            )
        case "validation-pictures":
            return _too_few(precision)
    improving = (
        " It was still getting better when training ended."
        if diagnosis.still_improving
        else " Longer training alone would not change that."
    )
    return (
        "What limits it is how well it fits: it is wrong on "
        f"{1 - gap.train_accuracy:.1%} of the very pictures that it learned from.{improving}"
    )


def _caveat(diagnosis: Diagnosis) -> list[str]:
    is_said = diagnosis.limit == "validation-pictures"
    return [] if is_said or diagnosis.precision.is_enough else [_too_few(diagnosis.precision)]


def _too_few(precision: Precision) -> str:
    mistakes = "1 mistake" if precision.mistakes == 1 else f"{precision.mistakes} mistakes"
    return (
        f"The validation set is too small to tell: {mistakes} on {precision.n:,} pictures "
        f"({_percent(precision.interval)}). To see whether a change halves the mistakes takes "
        f"about {precision.pictures_needed:,} validation pictures."
    )


def _next(diagnosis: Diagnosis) -> list[str]:
    return [f"To try: {one.command}  ({one.why})" for one in diagnosis.next[:_MOST_ADVICE]]


def _name(moment: Moment | None) -> str:
    if moment is None:
        return ""
    if moment.is_probe:
        return f"the linear probe of {moment.stage}"
    return f"epoch {moment.epoch} of {moment.stage}"


def _at(moment: Moment) -> str:
    return f"after {_name(moment)}"


def _points(share: float) -> str:
    value = f"{100 * share:.1f}"
    return f"{value} point" if value == "1.0" else f"{value} points"


def _signed(interval: Interval, form: str) -> str:
    return f"{interval.low:+{form}} to {interval.high:+{form}}"


def _signed_points(interval: Interval) -> str:
    return f"95% interval {100 * interval.low:+.1f} to {100 * interval.high:+.1f}"


def _percent(interval: Interval) -> str:
    return f"95% interval {interval.low:.1%} to {interval.high:.1%}"

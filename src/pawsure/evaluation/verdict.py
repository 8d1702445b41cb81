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


def verdict(diagnosis: Diagnosis) -> str:
    """One line: whether the run overfitted, and what limits the model."""
    overfitting, selected = diagnosis.overfitting, diagnosis.selected
    if overfitting.num_epochs == 1:
        return _limit(diagnosis)
    if overfitting.verdict == "no":
        return f"No overfitting. {_limit(diagnosis)}"
    return f"{_opening(overfitting)}.{_harm(overfitting, selected)} {_limit(diagnosis)}"


def sentences(diagnosis: Diagnosis) -> list[str]:
    """A line each: which weights, overfitting, the gap, the gains, the limit."""
    return [
        *([diagnosis.selected.sentence()] if _is_a_choice(diagnosis) else []),
        _overfitting(diagnosis.overfitting, diagnosis.selected),
        _gap(diagnosis.gap),
        *(_gain(gain, diagnosis.precision.n) for gain in diagnosis.gains),
        _limit(diagnosis),
        *_caveat(diagnosis),
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
            f"No overfitting: the validation loss was lowest ({best.loss:.3f}) when training ended."
        )
    if seen.verdict == "no" and seen.interval is not None and seen.interval.low > 0:
        harm = " The model file has these weights." if seen.selected == end else ""
        return (
            f"No overfitting: the validation loss did not rise during {end.stage}, but ended at "
            f"{end.loss:.3f}, above {best.loss:.3f} {_at(best)}{_range(seen)}.{harm}"
        )
    if seen.verdict == "no":
        return (
            f"No significant overfitting: the validation loss ended {seen.rise:.3f} above its "
            f"best of {best.loss:.3f} {_at(best)}{_range(seen)}{_meanwhile(seen)}."
        )
    opening = _opening(seen)
    if not math.isfinite(seen.rise):
        return f"{opening}: the validation loss became infinite or NaN. Lower the learning rate."
    rest = (
        f"the validation loss ended {seen.rise:.3f} above its best of {best.loss:.3f} "
        f"{_at(best)}{_range(seen)}{_meanwhile(seen)}."
    )
    return f"{opening}: {rest}{_harm(seen, selected)}"


def _opening(seen: Overfitting) -> str:
    since = f" from {_name(seen.since)} on" if seen.since else ""
    return f"{'Overfitting' if seen.verdict == 'yes' else 'Possible overfitting'}{since}"


def _range(seen: Overfitting) -> str:
    if seen.interval is None:
        return " (no interval: no figures of single pictures were kept)"
    return f" (difference {_signed(seen.interval, '.3f')}; {seen.level:.1%} CI)"


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
        return " The model file is not affected: it has the weights of the best epoch."
    which = _name(seen.selected)
    if selected.share < 1:
        which += ", interpolated"
    loss = f"validation loss {seen.selected.loss:.3f}"
    if seen.is_selected or seen.selected == seen.end:
        return f" The model file has overfitted weights ({which}; {loss})."
    return f" The model file is not affected ({which}; {loss})."


def _gap(gap: Gap) -> str:
    figures = (
        f"Accuracy {gap.train_accuracy:.1%} on training and {gap.validation_accuracy:.1%} on "
        f"validation pictures: a gap of {_points(gap.value)}"
    )
    if gap.interval is None:
        return (
            f"{figures}. The training accuracy was measured during training, while pictures and "
            "weights kept changing."
        )
    size = (
        "not statistically significant"
        if gap.interval.low <= 0
        else f"at least {_points(gap.interval.low)} are statistically significant"
    )
    return f"{figures} ({_signed_points(gap.interval)}); {size}."


def _gain(gain: StageGain, n: int) -> str:
    counts = (
        f"{gain.only_after} of {n:,} predictions fixed, {gain.only_before} broken "
        f"(McNemar p = {gain.p_value:.2g})"
    )
    change = f"{100 * gain.difference:+.1f} points ({_signed_points(gain.interval)})"
    if not gain.is_selected:
        return (
            f"{gain.stage} was discarded, because its validation loss was no lower than that of "
            f"{gain.before}: {change}; {counts}."
        )
    if gain.verdict != "noise":
        return f"{gain.stage} {gain.verdict}: {change} over {gain.before}; {counts}."
    needed = (
        f" Detecting this difference takes about {gain.pictures_needed:,} pictures."
        if gain.pictures_needed
        else ""
    )
    return (
        f"{gain.stage} gave no significant gain over {gain.before}: {change}; {counts}."
        f"{_surer(gain)}{needed}"
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
        f" Its log loss is significantly {word}: {gain.loss_difference:+.3f} (95% CI "
        f"{_signed(gain.loss_interval, '.3f')})."
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
                f"Limited by data: {1 - gap.train_accuracy:.1%} training error, "
                f"{_points(gap.value)} worse on validation. More training pictures, or data "
                "augmentation, will help most."
            )
        case "validation-pictures":
            return _too_few(precision)
    improving = (
        "It was still improving when training ended."
        if diagnosis.still_improving
        else "More epochs alone will not help."
    )
    return f"Underfitting: {1 - gap.train_accuracy:.1%} training error. {improving}"


def _caveat(diagnosis: Diagnosis) -> list[str]:
    is_said = diagnosis.limit == "validation-pictures"
    return [] if is_said or diagnosis.precision.is_enough else [_too_few(diagnosis.precision)]


def _too_few(precision: Precision) -> str:
    mistakes = "1 mistake" if precision.mistakes == 1 else f"{precision.mistakes} mistakes"
    return (
        f"The validation set is too small to compare changes: {mistakes} on {precision.n:,} "
        "pictures. Detecting half the error rate takes about "
        f"{precision.pictures_needed:,} validation pictures."
    )


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
    return f"95% CI {100 * interval.low:+.1f} to {100 * interval.high:+.1f}"


def _percent(interval: Interval) -> str:
    return f"95% CI {100 * interval.low:.1f}–{interval.high:.1%}"

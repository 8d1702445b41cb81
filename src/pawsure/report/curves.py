"""Section: loss and accuracy during training, by epoch and stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pawsure.report.blocks import card, cards, chart_card, section, table
from pawsure.report.markup import Markup
from pawsure.report.plot import Axis, Plot, log_axis, plain_axis, share_axis
from pawsure.report.run_data import RunData

Stage = Mapping[str, Any]

_KEY = (("validation", "validation"), ("train", "training"))
_MOST_EPOCHS_WITH_DOTS = 30


def training_section(run: RunData) -> Markup | None:
    """Curves of every stage; None if the run recorded none."""
    stages = [stage for stage in run.metrics.get("stages") or () if stage.get("history")]
    if not stages:
        return None
    by_epoch = [stage for stage in stages if "penalty" not in stage["history"][0]]
    probes = [stage for stage in stages if stage not in by_epoch]
    charts = [chart for stage in probes for chart in _penalty_charts(stage)]
    if by_epoch:
        charts += _epoch_charts(by_epoch)
    lead = (
        "The ring marks the epoch whose weights a stage ended with."
        if by_epoch
        else "The linear probe was fitted with several penalties on its weights; the ring marks "
        "the one with the lowest validation loss."
    )
    if run.selected is not None:
        lead += f" {run.selected.sentence()}"
    return section(
        "training", "Training", lead, cards(*charts), *_depth(stages), *_interpolation(stages)
    )


def _epoch_charts(stages: Sequence[Stage]) -> list[Markup]:
    rows = [row for stage in stages for row in stage["history"]]
    figures = _figures(stages, "epoch", lambda row: str(row["epoch"]))
    losses = [row.get(name) for row in rows for name in ("loss", "validation_loss")]
    shares = [row.get(name) for row in rows for name in ("accuracy", "validation_accuracy")]
    loss = _by_epoch(stages, "loss", plain_axis("loss", _numbers(losses), low=0.0))
    accuracy = _by_epoch(stages, "accuracy", share_axis("accuracy", _numbers(shares)))
    of = f" of {stages[0]['name']}" if len(stages) == 1 else ""
    return [
        chart_card(
            f"Loss{of}",
            loss,
            note="A rising validation loss is overfitting.",
            key=_KEY,
            figures=figures,
        ),
        chart_card(
            f"Accuracy{of}",
            accuracy,
            note="Training accuracy is measured during training, after any augmentation.",
            key=_KEY,
        ),
    ]


def _by_epoch(stages: Sequence[Stage], name: str, y: Axis) -> Markup:
    num_epochs = sum(len(stage["history"]) for stage in stages)
    x = Axis(title="epoch", low=0.5, high=num_epochs + 0.5, ticks=_epoch_ticks(num_epochs))
    description = _describe(stages, name)
    plot = Plot(x, y, title=f"{name.capitalize()} by epoch", description=description)
    before = 0
    for stage in stages:
        history = stage["history"]
        epochs = [before + place for place in range(1, len(history) + 1)]
        if before:
            plot.segment((before + 0.5, y.low), (before + 0.5, y.high))
        if len(stages) > 1:
            plot.words(before + 0.6, y.high, stage["name"])
        dots = num_epochs <= _MOST_EPOCHS_WITH_DOTS
        plot.line(epochs, [row.get(name) for row in history], "train", dots=dots)
        validation = [row.get(f"validation_{name}") for row in history]
        plot.line(epochs, validation, "validation", dots=dots)
        last = _last(stage)
        if last is not None:
            tip = _outcome(stage).strip(" ()")
            plot.dot(epochs[last], validation[last], "ring validation", size=7, tip=tip)
        before += len(history)
    return plot.svg()


def _epoch_ticks(last: int) -> tuple[float, ...]:
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 1000) if last / step <= 10)
    return tuple(float(epoch) for epoch in range(step, last + 1, step))


def _describe(stages: Sequence[Stage], name: str) -> str:
    last = stages[-1]
    number = f"{len(stages)} stage{'s' * (len(stages) > 1)}"
    place = _last(last)
    if place is None:
        return f"{number}."
    row = last["history"][place]
    form = ".1%" if name == "accuracy" else ".3f"
    return (
        f"{number}; in epoch {row['epoch']} of {last['name']}{_outcome(last)}, "
        f"{row[f'validation_{name}']:{form}} on validation pictures and {row[name]:{form}} on "
        "training pictures."
    )


def _penalty_charts(stage: Stage) -> list[Markup]:
    history = sorted(stage["history"], key=lambda row: row["penalty"])
    last = _last(stage)
    selected = None if last is None else stage["history"][last]
    penalties = [row["penalty"] for row in history]
    x = log_axis("penalty on the weights", penalties)
    charts = []
    for name, form in (("loss", ".3f"), ("accuracy", ".1%")):
        is_loss = name == "loss"
        values = [row.get(key) for row in history for key in (name, f"validation_{name}")]
        plot = Plot(
            x,
            (plain_axis if is_loss else share_axis)(name, _numbers(values)),
            title=f"{stage['name']}: {name} by penalty on the weights",
            description=""
            if selected is None
            else f"Selected: {selected['penalty']:g}, with "
            f"{selected[f'validation_{name}']:{form}} on validation pictures.",
        )
        for key, style in ((name, "train"), (f"validation_{name}", "validation")):
            plot.line(penalties, [row.get(key) for row in history], style, dots=True)
        if selected is not None:
            value = selected[f"validation_{name}"]
            plot.dot(selected["penalty"], value, "ring validation", size=7)
        figures = _figures([stage], "penalty", lambda row: f"{row['penalty']:g}")
        charts.append(
            chart_card(
                f"{name.capitalize()} of {stage['name']}",
                plot.svg(),
                note="Overfitting on the left, underfitting on the right." if is_loss else None,
                key=_KEY,
                figures=figures if is_loss else None,
            )
        )
    return charts


def _figures(stages: Sequence[Stage], by: str, form: Callable[[Any], str]) -> Markup:
    rows = [
        (
            f"{stage['name']} {form(row)}" + (_outcome(stage) if place == _last(stage) else ""),
            *(_number(row.get(key), ".4f") for key in ("loss", "validation_loss")),
            *(_number(row.get(key), ".1%") for key in ("accuracy", "validation_accuracy")),
        )
        for stage in stages
        for place, row in enumerate(stage["history"])
    ]
    head = (f"stage and {by}", "loss", "validation loss", "accuracy", "validation accuracy")
    return table(head, rows, caption=f"Every {by}")


def _depth(stages: Sequence[Stage]) -> list[Markup]:
    """The depths that were tried."""
    rows = [
        (
            trial["cut"],
            f"{trial['validation_loss']:.4f}",
            f"{trial['gain']:.4f} ± {trial['standard_error']:.4f}",
            "yes" if trial["accepted"] else "no",
        )
        for stage in stages
        for trial in stage.get("depth") or ()
    ]
    if not rows:
        return []
    head = ("trained from", "validation loss", "gain", "significant")
    return [card("Fine-tuning depth", table(head, rows), wide=True)]


def _interpolation(stages: Sequence[Stage]) -> list[Markup]:
    """The weight interpolations that were tried."""
    return [
        card(
            f"{stage['name']}: weight interpolation",
            table(("fine-tuned weights", "validation loss", "validation accuracy"), rows),
            note="Weights between the initial and the fine-tuned ones can be better than either. "
            "Shares are tried from 100% down until the loss stops falling.",
            wide=True,
        )
        for stage in stages
        if (rows := _places(stage))
    ]


def _places(stage: Stage) -> list[tuple[str, str, str]]:
    outcome = "selected" if stage.get("is_kept", True) else "best, but the stage was discarded"
    return [
        (
            f"{point['share']:.0%}" + (f" ({outcome})" if point["share"] == _share(stage) else ""),
            f"{point['validation_loss']:.4f}",
            f"{point['validation_accuracy']:.1%}",
        )
        for point in stage.get("interpolation") or ()
    ]


def _share(stage: Stage) -> float:
    """Share of fine-tuned weights at the end of a stage."""
    points = stage.get("interpolation") or ()
    lowest = min(points, key=lambda point: point["validation_loss"], default={"share": 1.0})
    return float(stage.get("share", lowest["share"]))


def _outcome(stage: Stage) -> str:
    """What was done with the final weights of a stage."""
    if not stage.get("is_kept", True):
        return " (discarded)"
    return " (selected)" if _share(stage) == 1 else f" (interpolated, {_share(stage):.0%})"


def _last(stage: Stage) -> int | None:
    """The row of the final weights of a stage; None if it was not recorded."""
    epochs = [row["epoch"] for row in stage["history"]]
    return epochs.index(stage["kept_epoch"]) if stage.get("kept_epoch") in epochs else None


def _numbers(values: Sequence[Any]) -> list[float]:
    return [float(value) for value in values if value is not None]


def _number(value: Any, form: str) -> str:
    return "" if value is None else f"{value:{form}}"

"""How training went: loss and accuracy, epoch by epoch, stage after stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pawsure.report.blocks import card, cards, chart_card, section, table
from pawsure.report.markup import Markup
from pawsure.report.material import Material
from pawsure.report.plot import Axis, Plot, log_axis, plain_axis, share_axis

Stage = Mapping[str, Any]

_KEY = (("validation", "validation"), ("train", "training"))
_MOST_EPOCHS_WITH_DOTS = 30


def training_section(material: Material) -> Markup | None:
    """Curves of every stage; None where nothing was written down."""
    stages = [stage for stage in material.metrics.get("stages") or () if stage.get("history")]
    if not stages:
        return None
    in_time = [stage for stage in stages if _is_in_time(stage)]
    fitted = [stage for stage in stages if not _is_in_time(stage)]
    charts = [chart for stage in fitted for chart in _penalty_charts(stage)]
    if in_time:
        charts += _epoch_charts(in_time)
    lead = (
        "The ring marks the epoch whose weights each stage ended with."
        if in_time
        else "A linear probe was fitted at once, with penalties on its weights from strong to "
        "weak; the ring marks the selected penalty, the best on validation pictures."
    )
    if material.selected is not None:
        lead += f" {material.selected.sentence()}"
    return section(
        "training", "How it learned", lead, cards(*charts), *_depth(stages), *_interpolation(stages)
    )


def _is_in_time(stage: Stage) -> bool:
    return "penalty" not in stage["history"][0]


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
            note="Lower is better. Validation that turns upwards is overfitting.",
            key=_KEY,
            figures=figures,
        ),
        chart_card(
            f"Accuracy{of}",
            accuracy,
            note="Training accuracy is counted while learning, on pictures that may be changed "
            "at random.",
            key=_KEY,
        ),
    ]


def _by_epoch(stages: Sequence[Stage], name: str, y: Axis) -> Markup:
    num_epochs = sum(len(stage["history"]) for stage in stages)
    x = plain_axis("epoch", [0.5, num_epochs + 0.5], low=0.5, high=num_epochs + 0.5, whole=True)
    x = Axis(title=x.title, low=x.low, high=x.high, ticks=_whole(num_epochs), form="{:.0f}".format)
    plot = Plot(x, y, title=f"{name.capitalize()} by epoch", description=_told(stages, name))
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
        kept = _kept(stage)
        if kept is not None:
            told = _marked(stage).strip(" ()")
            plot.dot(epochs[kept], validation[kept], "ring validation", size=7, told=told)
        before += len(history)
    return plot.svg()


def _whole(last: int) -> tuple[float, ...]:
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 1000) if last / step <= 10)
    return tuple(float(epoch) for epoch in range(step, last + 1, step))


def _told(stages: Sequence[Stage], name: str) -> str:
    last = stages[-1]
    number = f"{len(stages)} stage{'s' * (len(stages) > 1)}"
    place = _kept(last)
    if place is None:
        return f"{number}."
    row = last["history"][place]
    form = ".1%" if name == "accuracy" else ".3f"
    return (
        f"{number}; in epoch {row['epoch']} of {last['name']}{_marked(last)}, "
        f"{row[f'validation_{name}']:{form}} on validation pictures and {row[name]:{form}} on "
        "training pictures."
    )


def _penalty_charts(stage: Stage) -> list[Markup]:
    history = sorted(stage["history"], key=lambda row: row["penalty"])
    place = _kept(stage)
    kept = None if place is None else stage["history"][place]
    penalties = [row["penalty"] for row in history]
    x = log_axis("penalty of the weights", penalties, form=_power)
    charts = []
    for name, form in (("loss", ".3f"), ("accuracy", ".1%")):
        values = [row.get(key) for row in history for key in (name, f"validation_{name}")]
        make: Callable[..., Axis] = plain_axis if name == "loss" else share_axis
        y = make(name, _numbers(values))
        plot = Plot(
            x,
            y,
            title=f"{stage['name']}: {name} by penalty of the weights",
            description=""
            if kept is None
            else f"Selected: {kept['penalty']:g}, with {kept[f'validation_{name}']:{form}} on "
            "validation pictures.",
        )
        plot.line(penalties, [row.get(name) for row in history], "train", dots=True)
        plot.line(
            penalties, [row.get(f"validation_{name}") for row in history], "validation", dots=True
        )
        if kept is not None:
            plot.dot(kept["penalty"], kept[f"validation_{name}"], "ring validation", size=7)
        charts.append(
            chart_card(
                f"{name.capitalize()} of {stage['name']}",
                plot.svg(),
                note="To the left it learns its own pictures by heart, to the right too little."
                if name == "loss"
                else "Right answers, for each penalty.",
                key=_KEY,
                figures=_figures([stage], "penalty", lambda row: f"{row['penalty']:g}")
                if name == "loss"
                else None,
            )
        )
    return charts


def _figures(stages: Sequence[Stage], by: str, form: Callable[[Any], str]) -> Markup:
    rows = [
        (
            f"{stage['name']} {form(row)}" + (_marked(stage) if place == _kept(stage) else ""),
            *(_number(row.get(key), ".4f") for key in ("loss", "validation_loss")),
            *(_number(row.get(key), ".1%") for key in ("accuracy", "validation_accuracy")),
        )
        for stage in stages
        for place, row in enumerate(stage["history"])
    ]
    head = (f"stage and {by}", "loss", "validation loss", "accuracy", "validation accuracy")
    return table(head, rows, caption=f"Every {by}")


def _depth(stages: Sequence[Stage]) -> list[Markup]:
    """What trying depths showed, where they were tried."""
    rows = [
        (
            trial["cut"],
            f"{trial['validation_loss']:.4f}",
            f"{trial['gain']:.4f} ± {trial['standard_error']:.4f}",
            "yes" if trial["accepted"] else "no more than noise",
        )
        for stage in stages
        for trial in stage.get("depth") or ()
    ]
    if not rows:
        return []
    head = ("learning from", "validation loss", "gain", "deeper pays")
    return [card("How deep to learn", table(head, rows), wide=True)]


def _interpolation(stages: Sequence[Stage]) -> list[Markup]:
    """What weights between a stage's start and its end showed, where they were tried."""
    return [
        card(
            f"{stage['name']}: from its start to its end",
            table(("of the way", "validation loss", "validation accuracy"), rows),
            note="Weights between those that a stage starts from and those that it ends with can "
            "be better than either: they have forgotten less. Shares are tried from 100% down "
            "until the loss no longer falls.",
            wide=True,
        )
        for stage in stages
        if (rows := _places(stage))
    ]


def _places(stage: Stage) -> list[tuple[str, str, str]]:
    outcome = "selected" if stage.get("is_kept", True) else "best, discarded with its stage"
    return [
        (
            f"{point['share']:.0%}" + (f" ({outcome})" if point["share"] == _share(stage) else ""),
            f"{point['validation_loss']:.4f}",
            f"{point['validation_accuracy']:.1%}",
        )
        for point in stage.get("interpolation") or ()
    ]


def _share(stage: Stage) -> float:
    """Of the trained weights in those that a stage ended with."""
    points = stage.get("interpolation") or ()
    lowest = min(points, key=lambda point: point["validation_loss"], default={"share": 1.0})
    return float(stage.get("share", lowest["share"]))


def _marked(stage: Stage) -> str:
    """What became of the weights of the epoch that a stage ended with."""
    if not stage.get("is_kept", True):
        return " (discarded)"
    return " (selected)" if _share(stage) == 1 else f" (interpolated, {_share(stage):.0%})"


def _kept(stage: Stage) -> int | None:
    """The row whose weights a stage ended with; None where nobody wrote it down."""
    epochs = [row["epoch"] for row in stage["history"]]
    return epochs.index(stage["kept_epoch"]) if stage.get("kept_epoch") in epochs else None


def _numbers(values: Sequence[Any]) -> list[float]:
    return [float(value) for value in values if value is not None]


def _number(value: Any, form: str) -> str:
    return "" if value is None else f"{value:{form}}"


def _power(value: float) -> str:
    return f"{value:g}"

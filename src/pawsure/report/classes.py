"""Section: accuracy by label, and which labels are confused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pawsure.report.blocks import (
    cards,
    chart_card,
    section,
    stack,
    table,
    with_interval,
)
from pawsure.report.markup import Child, Markup, element, together
from pawsure.report.plot import WIDTH, Axis, Plot, dot, drawing, label, line, share_axis
from pawsure.report.run_data import RunData
from pawsure.wording import count as count_of

MOST_COUNTED = 12
"""Up to so many labels, the cells of the confusion matrix have numbers."""

MOST_DRAWN = 60
"""Up to so many labels, a confusion matrix is drawn; else only a table of confusions."""

_MOST_CURVES = 3
"""Curves in colour, of the worst labels; the others are grey."""

_FEW = 4
"""Up to so many labels, column names are horizontal."""

_STYLES = ("first", "second", "third")


def classes_section(run: RunData) -> Markup:
    """Confusion matrix, figures by label, precision against recall."""
    test = run.test
    figures, lead = test, f"On {count_of(test['n'], 'test picture')}."
    crossed, head = run.cross_validation, run.headline
    if crossed is not None and head.source == "cross_validation":
        figures = crossed
        lead = f"By {head.method}, on {head.n:,} training and validation pictures."
    elif head.source == "none":
        lead += " These are too few to compare labels."
    return section(
        "classes",
        "Labels",
        lead,
        cards(*_columns(figures, run.labels)),
    )


def _columns(figures: Mapping[str, Any], labels: Sequence[str]) -> list[Markup | None]:
    """Two columns of similar height."""
    matrix = figures["confusion_matrix"]
    confusion = _confusion(labels, matrix) if len(labels) <= MOST_DRAWN else None
    by_class, curves = _by_class(labels, figures), _precision_recall(figures, labels)
    confusions = _most_confused(labels, matrix) if len(labels) > 2 else None
    if len(labels) <= _FEW:
        return [stack(confusion, by_class), stack(curves, confusions)]
    if confusion is None:
        return [stack(confusions, curves), stack(by_class)]
    return [stack(confusion, confusions), stack(by_class, curves)]


def _confusion(labels: Sequence[str], matrix: Sequence[Sequence[int]]) -> Markup:
    num = len(labels)
    room = 118 if num > 3 else 96
    cell = (WIDTH - room - (6 if num <= _FEW else 34)) / num  # slanted names need room
    height = cell if num > _FEW else min(cell, 72)
    top = 30 if num <= _FEW else 112
    parts = [
        _cell(
            row, column, matrix, (room + column * cell, top + row * height), (cell, height), labels
        )
        for row in range(num)
        for column in range(num)
    ]
    names = [
        label(
            room - 8,
            top + (row + 0.5) * height + 4.5,
            _short(name, 15),
            anchor="end",
            style="tick" if num <= 25 else "unseen-mark",
        )
        for row, name in enumerate(labels)
    ]
    across = [
        _column_name(room + (place + 0.5) * cell, top - 8, name, num)
        for place, name in enumerate(labels)
    ]
    mistakes = sum(sum(row) for row in matrix) - sum(matrix[k][k] for k in range(num))
    svg = drawing(
        WIDTH,
        round(top + num * height + 6),
        parts,
        names,
        across,
        title="Confusion matrix",
        description=f"{count_of(mistakes, 'mistake')} among {count_of(num, 'label')}; rows "
        "are true labels, columns are answers.",
    )
    rows = [
        (name, *(f"{count:,}" for count in row)) for name, row in zip(labels, matrix, strict=True)
    ]
    return chart_card(
        "Confusion matrix",
        svg,
        note="Rows are true labels, columns are answers; mistakes are off the diagonal. Stronger "
        "colour is a larger share of the row.",
        figures=table(("true label", *labels), rows, caption="Confusion matrix"),
    )


def _cell(
    row: int,
    column: int,
    matrix: Sequence[Sequence[int]],
    place: tuple[float, float],
    size: tuple[float, float],
    labels: Sequence[str],
) -> Markup:
    count, total = matrix[row][column], sum(matrix[row])
    share = count / total if total else 0.0
    (x, y), (width, height) = place, size
    kind = "right" if row == column else "wrong"
    tip = f"{count:,} of {total:,} {labels[row]} called {labels[column]} ({share:.1%})"
    # The square root makes few mistakes visible beside many right answers.
    opacity = round(0.06 + 0.74 * share**0.5, 3) if count else 0.03
    gap = 1.5 if len(labels) <= MOST_COUNTED else 0.5
    words = None
    if len(labels) <= MOST_COUNTED and (count or len(labels) <= _FEW):
        words = label(
            x + width / 2,
            y + height / 2 + 5,
            f"{count:,}",
            anchor="middle",
            style="count strong" if opacity > 0.5 else "count",
        )
    return together(
        element(
            "rect",
            element("title", tip),
            x=round(x + gap, 1),
            y=round(y + gap, 1),
            width=round(width - 2 * gap, 1),
            height=round(height - 2 * gap, 1),
            rx=4 if len(labels) <= MOST_COUNTED else 1,
            class_=f"cell {kind}",
            fill_opacity=opacity,
        ),
        words,
    )


def _column_name(x: float, y: float, name: str, num: int) -> Markup | None:
    if num > 25:
        return None
    if num <= _FEW:
        return label(x, y, _short(name, 40 // num), anchor="middle", style="tick")
    return element(
        "text",
        _short(name, 15),
        transform=f"translate({x + 4:.1f} {y:.1f}) rotate(-60)",
        class_="tick",
    )


def _by_class(labels: Sequence[str], figures: Mapping[str, Any]) -> Markup:
    """Recall of each label with its interval, lowest first."""
    per_class = figures["per_class"]
    known = [name for name in labels if per_class[name].get("recall")]
    order = sorted(known, key=lambda name: per_class[name]["recall"]["value"])
    lows = [per_class[name]["recall"]["low"] for name in order]
    shown = order[:30]
    row = 30 if len(shown) <= 8 else 22
    height = 52 + row * len(shown)
    x = share_axis("recall", [*lows, 1.0])
    svg = _recall_chart(shown, per_class, x, row, height)
    rows: list[tuple[Child, ...]] = [
        (
            name,
            f"{per_class[name]['n']:,}",
            with_interval(per_class[name]["recall"]) if per_class[name].get("recall") else "–",
            _share(per_class[name].get("precision")),
            _share(per_class[name].get("f1")),
        )
        for name in labels
    ]
    note = "Share of the pictures of a label that get this label, with 95% intervals."
    if len(shown) < len(order):
        note += f" The {len(shown)} lowest of {len(order)}."
    return chart_card(
        "Recall by label",
        svg,
        note=note,
        figures=table(("label", "pictures", "recall", "precision", "F1"), rows, caption="By label"),
    )


def _recall_chart(
    names: Sequence[str], per_class: Mapping[str, Any], x: Axis, row: int, height: int
) -> Markup:
    left, right = 130, WIDTH - 64

    def across(value: float) -> float:
        return round(left + x.share(value) * (right - left), 1)

    parts: list[Child] = [
        line(across(tick), 4, across(tick), height - 44, "grid") for tick in x.ticks
    ]
    parts += [
        label(across(tick), height - 26, x.form(tick), anchor="middle", style="tick")
        for tick in x.ticks
    ]
    for place, name in enumerate(names):
        figure = per_class[name]["recall"]
        y = 8 + (place + 0.5) * row
        tip = f"{name}: {figure['value']:.1%} ({figure['low']:.1%} to {figure['high']:.1%})"
        parts += [
            label(left - 10, y + 4.5, _short(name, 16), anchor="end", style="tick"),
            line(across(figure["low"]), y, across(figure["high"]), y, "whisker validation"),
            dot(across(figure["value"]), y, "validation", size=5, tip=tip),
            label(right + 12, y + 4.5, f"{figure['value']:.1%}", style="tick"),
        ]
    parts.append(label((left + right) / 2, height - 6, x.title, anchor="middle"))
    worst = per_class[names[0]]["recall"]["value"] if names else 0
    return drawing(
        WIDTH,
        height,
        parts,
        title="Recall of each label",
        description=f"Lowest: {names[0]}, {worst:.1%}." if names else "No pictures.",
    )


def _precision_recall(figures: Mapping[str, Any], labels: Sequence[str]) -> Markup | None:
    curves = {
        name: curve
        for name, curve in (figures.get("precision_recall") or {}).items()
        if curve is not None
    }
    if not curves:
        return None
    worst = sorted(curves, key=lambda name: curves[name]["average_precision"])
    coloured = [name for name in labels if name in worst[:_MOST_CURVES]]
    styles = dict(zip(coloured, _STYLES, strict=False))
    low = min(min(curve["precision"]) for curve in curves.values())
    x, y = share_axis("recall"), share_axis("precision", [low, 1.0])
    plot = Plot(
        x,
        y,
        title="Precision against recall",
        description="Average precision: "
        + "; ".join(f"{name} {curves[name]['average_precision']:.3f}" for name in coloured),
    )
    for name, curve in sorted(curves.items(), key=lambda item: item[0] in styles):
        plot.line(curve["recall"], curve["precision"], styles.get(name, "other"))
    rows = [(name, f"{curve['average_precision']:.4f}") for name, curve in curves.items()]
    key = [
        (styles[name], f"{_short(name, 28)}, {curves[name]['average_precision']:.3f}")
        for name in coloured
    ]
    if len(curves) > len(coloured):
        key.append(("other", "all other labels"))
    return chart_card(
        "Precision and recall",
        plot.svg(),
        note="For each threshold on a label's probability. The number is the average precision; "
        "1 is perfect.",
        key=key,
        figures=table(("label", "average precision"), rows, caption="Average precision"),
    )


def _most_confused(labels: Sequence[str], matrix: Sequence[Sequence[int]]) -> Markup | None:
    pairs = sorted(
        (
            (matrix[row][column], labels[row], labels[column], sum(matrix[row]))
            for row in range(len(labels))
            for column in range(len(labels))
            if row != column and matrix[row][column]
        ),
        key=lambda pair: (-pair[0], pair[1], pair[2]),
    )[:10]
    if not pairs:
        return None
    rows = [(truth, answer, f"{count:,} of {total:,}") for count, truth, answer, total in pairs]
    return element(
        "div",
        element("h3", "Most frequent confusions"),
        table(("true label", "answer", "how often"), rows, caption="Confusions"),
        class_="card",
    )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _short(name: str, most: int) -> str:
    """A label shortened in the middle: similar names often differ only at the end."""
    if len(name) <= most:
        return name
    tail = most // 3
    return f"{name[: most - tail - 1].rstrip()}…{name[-tail:].lstrip()}"

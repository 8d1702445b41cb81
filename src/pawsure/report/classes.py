"""Which labels it knows well, and which it takes for which."""

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
from pawsure.report.material import Material
from pawsure.report.plot import WIDTH, Axis, Plot, drawing, label, share_axis
from pawsure.wording import count as count_of

MOST_COUNTED = 12
"""Labels whose confusion matrix has room for numbers in its cells."""

MOST_DRAWN = 60
"""Labels that are drawn at all; more are told as a table of what is mistaken most."""

_MOST_CURVES = 3
"""Curves of their own colour; with more labels the worst get one, the others a grey line."""

_FEW = 4
"""Labels whose names stand level above their columns."""

_LOOKS = ("first", "second", "third")


def classes_section(material: Material) -> Markup:
    """Confusion, figures by class, precision against recall."""
    test = material.test
    figures, lead = test, f"Counted on {count_of(test['n'], 'test picture')}."
    crossed, head = material.cross_validation, material.headline
    if crossed is not None and head.source == "cross_validation":
        figures = crossed
        lead = f"Counted by {head.method}, on {head.n:,} training and validation pictures."
    elif head.source == "none":
        lead += " That is too few to tell labels apart by how well they do."
    return section(
        "classes",
        "Which labels it knows, and which it mixes up",
        lead,
        cards(*_columns(figures, material.labels)),
    )


def _columns(figures: Mapping[str, Any], labels: Sequence[str]) -> list[Markup | None]:
    """Two columns of about the same height."""
    matrix = figures["confusion_matrix"]
    confusion = _confusion(labels, matrix) if len(labels) <= MOST_DRAWN else None
    by_class, curves = _by_class(labels, figures), _precision_recall(figures, labels)
    mixed_up = _mixed_up(labels, matrix) if len(labels) > 2 else None
    if len(labels) <= _FEW:
        return [stack(confusion, by_class), stack(curves, mixed_up)]
    if confusion is None:
        return [stack(mixed_up, curves), stack(by_class)]
    return [stack(confusion, mixed_up), stack(by_class, curves)]


def _confusion(labels: Sequence[str], matrix: Sequence[Sequence[int]]) -> Markup:
    num = len(labels)
    room = 118 if num > 3 else 96
    cell = (WIDTH - room - (6 if num <= _FEW else 34)) / num  # slanted names lean out
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
            look="tick" if num <= 25 else "unseen-mark",
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
        "are the truth, columns what the model said.",
    )
    rows = [
        (name, *(f"{count:,}" for count in row)) for name, row in zip(labels, matrix, strict=True)
    ]
    return chart_card(
        "What was taken for what",
        svg,
        note="A row for each true label, a column for each answer: what lies off the diagonal is "
        "a mistake. The stronger the colour, the larger the share of the row.",
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
    told = f"{count:,} of {total:,} {labels[row]} called {labels[column]} ({share:.1%})"
    # Few mistakes are to be seen beside many right answers: the square root lifts them.
    opacity = round(0.06 + 0.74 * share**0.5, 3) if count else 0.03
    gap = 1.5 if len(labels) <= MOST_COUNTED else 0.5
    words = None
    if len(labels) <= MOST_COUNTED and (count or len(labels) <= _FEW):
        words = label(
            x + width / 2,
            y + height / 2 + 5,
            f"{count:,}",
            anchor="middle",
            look="count strong" if opacity > 0.5 else "count",
        )
    return together(
        element(
            "rect",
            element("title", told),
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
        return label(x, y, _short(name, 40 // num), anchor="middle", look="tick")
    return element(
        "text",
        _short(name, 15),
        transform=f"translate({x + 4:.1f} {y:.1f}) rotate(-60)",
        class_="tick",
    )


def _by_class(labels: Sequence[str], figures: Mapping[str, Any]) -> Markup:
    """Recall of each label with its interval, least first."""
    per_class = figures["per_class"]
    known = [name for name in labels if per_class[name].get("recall")]
    order = sorted(known, key=lambda name: per_class[name]["recall"]["value"])
    lows = [per_class[name]["recall"]["low"] for name in order]
    shown = order[:30]
    row = 30 if len(shown) <= 8 else 22
    height = 52 + row * len(shown)
    x = share_axis("of the pictures of a label, found (recall)", [*lows, 1.0])
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
    note = "With 95% intervals: where they overlap, labels can't be told apart by how well they do."
    if len(shown) < len(order):
        note += f" Drawn are the {len(shown)} that do worst."
    return chart_card(
        "Label by label",
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
        element("line", x1=across(tick), x2=across(tick), y1=4, y2=height - 44, class_="grid")
        for tick in x.ticks
    ]
    parts += [
        label(across(tick), height - 26, x.form(tick), anchor="middle", look="tick")
        for tick in x.ticks
    ]
    for place, name in enumerate(names):
        figure = per_class[name]["recall"]
        y = 8 + (place + 0.5) * row
        told = f"{name}: {figure['value']:.1%} ({figure['low']:.1%} to {figure['high']:.1%})"
        parts += [
            label(left - 10, y + 4.5, _short(name, 16), anchor="end", look="tick"),
            element(
                "line",
                x1=across(figure["low"]),
                x2=across(figure["high"]),
                y1=y,
                y2=y,
                class_="whisker validation",
            ),
            element(
                "circle",
                element("title", told),
                cx=across(figure["value"]),
                cy=y,
                r=5,
                class_="dot validation",
            ),
            label(right + 12, y + 4.5, f"{figure['value']:.1%}", look="tick"),
        ]
    parts.append(label((left + right) / 2, height - 6, x.title, anchor="middle"))
    worst = per_class[names[0]]["recall"]["value"] if names else 0
    return drawing(
        WIDTH,
        height,
        parts,
        title="Recall of each label",
        description=f"Least: {names[0]}, {worst:.1%}." if names else "No pictures.",
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
    looks = dict(zip(coloured, _LOOKS, strict=False))
    low = min(min(curve["precision"]) for curve in curves.values())
    x, y = share_axis("found (recall)"), share_axis("right among them (precision)", [low, 1.0])
    plot = Plot(
        x,
        y,
        title="Precision against recall",
        description="Average precision: "
        + "; ".join(f"{name} {curves[name]['average_precision']:.3f}" for name in coloured),
    )
    for name, curve in sorted(curves.items(), key=lambda item: item[0] in looks):
        plot.line(curve["recall"], curve["precision"], looks.get(name, "other"))
    rows = [(name, f"{curve['average_precision']:.4f}") for name, curve in curves.items()]
    key = [
        (looks[name], f"{_short(name, 28)}, {curves[name]['average_precision']:.3f}")
        for name in coloured
    ]
    if len(curves) > len(coloured):
        key.append(("other", "all other labels"))
    return chart_card(
        "Precision and recall",
        plot.svg(),
        note="What each threshold on a label's probability would find, and how much of it is "
        "right. The number is the average precision; 1 is perfect.",
        key=key,
        figures=table(("label", "average precision"), rows, caption="Average precision"),
    )


def _mixed_up(labels: Sequence[str], matrix: Sequence[Sequence[int]]) -> Markup | None:
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
    rows = [(said, f"{name}", f"{count:,} of {total:,}") for count, said, name, total in pairs]
    return element(
        "div",
        element("h3", "Mixed up most often"),
        table(("really", "called", "how often"), rows, caption="Mixed up most often"),
        class_="card",
    )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _short(name: str, most: int) -> str:
    """A label that fits: names of one kind often differ only at their ends.

    The whole of it shows when its mark is pointed at, and in the table.
    """
    if len(name) <= most:
        return name
    tail = most // 3
    return f"{name[: most - tail - 1].rstrip()}…{name[-tail:].lstrip()}"

"""Section: out-of-distribution (OOD) pictures, of something other than the labels."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from pawsure.report.blocks import card, cards, chart_card, command, missing, section, table
from pawsure.report.markup import Markup
from pawsure.report.plot import Plot, percent_axis, share_axis
from pawsure.report.run_data import RunData


def ood_section(run: RunData) -> Markup:
    """Familiarity of test pictures and of OOD pictures."""
    neither = run.trust.get("neither") or {}
    test = neither.get("test")
    ood = (neither.get("ood") or {}).get("familiarity")
    if not test:
        content = missing("This model file has no familiarity score; train again to get one.")
    else:
        further = _thresholds(test, ood, neither.get("threshold")) if ood else _how_to_measure(run)
        content = cards(_histogram(run, test, ood), further)
    return section(
        "ood",
        "Other pictures",
        "A model of cats and dogs should not call a car a cat. The familiarity of a picture is its "
        "similarity to the training pictures; below a threshold the answer is “neither”.",
        content,
    )


def _histogram(run: RunData, test: Sequence[int], ood: Sequence[int] | None) -> Markup:
    threshold = run.trust["neither"].get("threshold")
    parts = [(_shares(test), "sure"), (_shares(ood or ()), "ood")]
    top = max(0.05, *(value for shares, _ in parts for value in shares))
    room = 1.15 if threshold is not None else 1.0  # for the words beside the line
    plot = Plot(
        percent_axis("familiarity"),
        share_axis("pictures", [0.0, top], high=room * top),
        title="Familiarity of test pictures and of other pictures",
        description=_rates(run),
    )
    for shares, style in parts:
        for place, value in enumerate(shares):
            edges = (place / len(shares), (place + 1) / len(shares))
            plot.bar(edges, value, style, tip=f"{edges[0]:.0%} to {edges[1]:.0%}: {value:.1%}")
    if threshold is not None:
        plot.upright(threshold, f"neither below {threshold:.1%}")
    columns = [("sure", "test pictures", test)]
    if ood:
        columns.append(("ood", "other pictures, not used in training", ood))
    rows = [
        (f"{place / len(test):.0%} to {(place + 1) / len(test):.0%}", *(f"{n:,}" for n in counts))
        for place, counts in enumerate(zip(*(counts for *_, counts in columns), strict=True))
    ]
    head = ("familiarity", *(name.partition(",")[0] for _, name, _ in columns))
    return chart_card(
        "Familiarity",
        plot.svg(),
        note=_rates(run),
        key=[(style, name) for style, name, _ in columns],
        figures=table(head, rows, caption="Familiarity"),
    )


def _thresholds(test: Sequence[int], ood: Sequence[int], threshold: float | None) -> Markup:
    """Share of test and OOD pictures that each threshold rejects."""
    test_rejected, ood_rejected = _cumulative(test), _cumulative(ood)
    num = len(test)
    half = num // 2 + 1  # higher thresholds reject more than half of the test pictures
    last = test_rejected[half - 1]
    plot = Plot(
        share_axis("test pictures called neither", [0.0, last], high=last),
        share_axis("other pictures called neither", [min(*ood_rejected[1:], 0.8), 1.0]),
        title="Rejected other pictures against rejected test pictures",
        description="; ".join(
            f"threshold {place / num:.0%}: {ood_rejected[place]:.1%} of other pictures, "
            f"{test_rejected[place]:.1%} of test pictures"
            for place in (1, 2, 4)
        ),
    )
    plot.line(test_rejected[1:half], ood_rejected[1:half], "ood", dots=True)
    place = 0.0 if threshold is None else threshold * num
    at = round(place)
    if abs(place - at) < 1e-6 and 0 < at < half:
        tip = "this model file"
        plot.dot(test_rejected[at], ood_rejected[at], "ring sure", size=8, tip=tip)
    rows = [
        (f"{place / num:.0%}", f"{test_rejected[place]:.1%}", f"{ood_rejected[place]:.1%}")
        for place in range(half)
    ]
    head = ("threshold", "test pictures rejected", "other pictures rejected")
    return chart_card(
        "Other thresholds",
        plot.svg(),
        note="A higher threshold rejects more other pictures, and more of the test pictures. The "
        "ring is this model file.",
        figures=table(head, rows, caption="Thresholds"),
    )


def _cumulative(counts: Sequence[int]) -> list[float]:
    """Share of all below the start of each bin, and below the end of the last."""
    shares = _shares(counts)
    return [round(sum(shares[:place]), 9) for place in range(len(shares) + 1)]


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts)
    return [count / total for count in counts] if total else []


def _rates(run: RunData) -> str:
    ood = run.trust["neither"].get("ood")
    answers = run.test.get("answers") or {}
    sentences = []
    if ood:
        rate = ood["accepted"]
        sentences.append(
            f"{rate['value']:.1%} of {ood['n']:,} other pictures were accepted as a known label "
            f"(95% CI {100 * rate['low']:.1f}–{rate['high']:.1%})."
        )
    if answers.get("neither"):
        value = answers["neither"]["value"]
        sentences.append(f"{value:.1%} of the test pictures were wrongly called “neither”.")
    return " ".join(sentences)


def _how_to_measure(run: RunData) -> Markup:
    recipe = str(run.folder / "recipe.toml")
    again = shlex.join(["pawsure", "train", run.data, "--recipe", recipe, "--neither"])
    return card(
        "How many other pictures are accepted?",
        command(f"{again} OTHER_PICTURES"),
        note="Not measured: the run had no pictures outside the labels. Train with a folder of "
        "them to measure this, and to improve “neither”:",
    )

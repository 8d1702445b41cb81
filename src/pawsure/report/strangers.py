"""What it does with pictures that are none of its labels."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from pawsure.report.blocks import card, cards, chart_card, command, missing, section, table
from pawsure.report.markup import Markup
from pawsure.report.material import Material
from pawsure.report.plot import Axis, Plot, share_axis

_TITLE = "Pictures of something else"
_LEAD = (
    "A model that knows cats and dogs should not call a car a cat. Familiarity says how like the "
    "pictures that it learned from a picture is; below a threshold the answer is neither."
)


def strangers_section(material: Material) -> Markup:
    """Familiarity of known pictures against strangers."""
    neither = material.trust.get("neither") or {}
    known = neither.get("test")
    lead = (
        _LEAD
        if set(material.labels) == {"cat", "dog"}
        else _LEAD.replace(
            "knows cats and dogs should not call a car a cat",
            "knows some things should not answer for all others",
        )
    )
    if not known:
        return section(
            "strangers",
            _TITLE,
            lead,
            missing("This run's model file tells no familiarity; one of a new run does."),
        )
    strangers = (neither.get("strangers") or {}).get("familiarity")
    beside = (
        _trade(known, strangers, neither.get("threshold")) if strangers else _how_to_get(material)
    )
    return section("strangers", _TITLE, lead, cards(_histogram(material, known), beside))


def _histogram(material: Material, known: Sequence[int]) -> Markup:
    neither = material.trust["neither"]
    strangers = neither.get("strangers") or {}
    strange = strangers.get("familiarity")
    shares = [_shares(known), _shares(strange)]
    threshold = neither.get("threshold")
    top = max(value for part in shares for value in [*part, 0.05])
    room = 1.15 if threshold is not None else 1.0  # for the words beside its line
    y = share_axis("pictures", [0.0, top], high=room * top)
    x = Axis(
        title="familiarity",
        low=0.0,
        high=1.0,
        ticks=(0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
        form="{:.0%}".format,
    )
    plot = Plot(
        x, y, title="Familiarity of test pictures and of strangers", description=_told(material)
    )
    for part, look in ((shares[0], "sure"), (shares[1], "stranger")):
        for place, value in enumerate(part):
            edges = (place / len(part), (place + 1) / len(part))
            plot.bar(edges, value, look, told=f"{edges[0]:.0%} to {edges[1]:.0%}: {value:.1%}")
    if threshold is not None:
        plot.upright(threshold, f"neither below {threshold:.1%}")
    names = ["test pictures", "strangers"] if strange else ["test pictures"]
    rows = [
        (
            f"{place / len(known):.0%} to {(place + 1) / len(known):.0%}",
            f"{count:,}",
            *([f"{strange[place]:,}"] if strange else []),
        )
        for place, count in enumerate(known)
    ]
    key = (("sure", "test pictures"), ("stranger", "strangers never shown"))
    return chart_card(
        "Familiarity",
        plot.svg(),
        note=_told(material),
        key=key if strange else key[:1],
        figures=table(("familiarity", *names), rows, caption="Familiarity"),
    )


def _trade(known: Sequence[int], strange: Sequence[int], threshold: float | None) -> Markup:
    """What other thresholds would do: known pictures turned away against strangers."""
    lost, kept_out = _up_to(known), _up_to(strange)
    half = len(known) // 2 + 1  # who would turn away more than half of what it knows?
    x = share_axis("test pictures called neither", [0.0, lost[half - 1]], high=lost[half - 1])
    low = min(kept_out[1:])
    y = share_axis("strangers called neither", [min(low, 0.8), 1.0])
    plot = Plot(
        x,
        y,
        title="Strangers turned away against test pictures turned away",
        description="; ".join(
            f"threshold {place / len(known):.0%}: {kept_out[place]:.1%} of strangers, "
            f"{lost[place]:.1%} of test pictures"
            for place in (1, 2, 4)
        ),
    )
    plot.line(lost[1:half], kept_out[1:half], "stranger", dots=True)
    place = None if threshold is None else threshold * len(known)
    if place is not None and abs(place - round(place)) < 1e-6 and 0 < round(place) < half:
        at = round(place)
        plot.dot(lost[at], kept_out[at], "ring sure", size=8, told="this model file")
    rows = [
        (f"{place / len(known):.0%}", f"{lost[place]:.1%}", f"{kept_out[place]:.1%}")
        for place in range(half)
    ]
    return chart_card(
        "What other thresholds would do",
        plot.svg(),
        note="A higher threshold turns away more strangers, and more of what it knows. The ring "
        "is this model file.",
        figures=table(
            ("threshold", "test pictures turned away", "strangers turned away"),
            rows,
            caption="Thresholds",
        ),
    )


def _up_to(counts: Sequence[int]) -> list[float]:
    """Share of all below the beginning of each bin, and below the end of the last."""
    shares = _shares(counts)
    return [round(sum(shares[:place]), 9) for place in range(len(shares) + 1)]


def _shares(counts: Sequence[int] | None) -> list[float]:
    total = sum(counts or ())
    return [count / total for count in counts] if counts and total else []


def _told(material: Material) -> str:
    strangers = material.trust["neither"].get("strangers")
    answers = material.test.get("answers") or {}
    parts = []
    if strangers:
        accepted = strangers["accepted"]
        parts.append(
            f"Of {strangers['n']:,} strangers that it was never shown, {accepted['value']:.1%} "
            f"pass for something that it knows (95% interval {accepted['low']:.1%} to "
            f"{accepted['high']:.1%})"
        )
    if answers.get("neither"):
        parts.append(
            f"of the test pictures, {answers['neither']['value']:.1%} are wrongly held for "
            "strangers"
        )
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] + "." if text else ""


def _how_to_get(material: Material) -> Markup:
    recipe = str(material.folder / "recipe.toml")
    again = shlex.join(["pawsure", "train", material.data, "--recipe", recipe, "--neither"])
    return card(
        "How many strangers would pass?",
        command(f"{again} STRANGERS"),
        note="Nobody knows: this run was given no pictures of anything else. A folder of such "
        "pictures measures it, and makes it better at telling them apart:",
    )

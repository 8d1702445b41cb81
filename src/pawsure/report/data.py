"""What it learned from and was measured on, and what is wrong with those pictures."""

from __future__ import annotations

import shlex
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from pawsure.errors import PictureError
from pawsure.model.words import percent
from pawsure.report.blocks import (
    card,
    cards,
    command,
    lead_in,
    missing,
    section,
    stack,
    table,
)
from pawsure.report.markup import Child, Markup, element
from pawsure.report.material import Material
from pawsure.report.pictures import Gallery
from pawsure.wording import count

DOUBTED_BELOW = 0.05
"""The probability of a picture's own label below which the label is worth a look."""

_MOST_SUSPECTS = 8
_MOST_LABELS = 30
_MOST_UNREADABLE = 20
_MOST_GROUPS = 6
_MOST_IN_GROUP = 4


@dataclass(frozen=True, kw_only=True)
class CopyGroup:
    """Pictures that are copies of each other.

    Attributes:
        paths: of all.
        labels: of each.
        splits: of each.
    """

    paths: tuple[str, ...]
    labels: tuple[str, ...]
    splits: tuple[str, ...]

    @property
    def is_contradictory(self) -> bool:
        """Whether one picture has several labels."""
        return len(set(self.labels)) > 1

    @property
    def leaks(self) -> int:
        """How many test pictures have a copy among those that were learned from."""
        learned = {"train", "validation"} & set(self.splits)
        return self.splits.count("test") if learned else 0


def copy_groups(material: Material) -> list[CopyGroup]:
    """Groups of two or more usable pictures, those that matter most first."""
    pictures = material.pictures
    if not {"path", "label", "split", "group", "problem"} <= set(pictures):
        return []
    members: dict[int, list[int]] = defaultdict(list)
    for row, (group, problem) in enumerate(
        zip(pictures["group"].tolist(), pictures["problem"].tolist(), strict=True)
    ):
        if not problem:
            members[group].append(row)
    groups = [
        CopyGroup(
            paths=tuple(str(pictures["path"][row]) for row in rows),
            labels=tuple(str(pictures["label"][row]) for row in rows),
            splits=tuple(str(pictures["split"][row]) for row in rows),
        )
        for rows in members.values()
        if len(rows) > 1
    ]
    return sorted(groups, key=lambda group: (-group.leaks, not group.is_contradictory, group.paths))


def leaked_pictures(material: Material) -> int:
    """Test pictures of which a copy is among those that were learned from or chosen by."""
    return sum(group.leaks for group in copy_groups(material))


def data_section(material: Material, gallery: Gallery) -> Markup:
    """Counts, copies, what could not be read."""
    return section(
        "data",
        "The pictures behind it",
        _lead(material),
        cards(
            stack(_counts(material), _unreadable(material)),
            stack(_audit(material), _suspects(material)),
            _copies(material, gallery),
        ),
    )


def _lead(material: Material) -> str:
    totals = {split: sum(labels.values()) for split, labels in material.counts.items()}
    if not totals:
        return ""
    return (
        f"{count(totals.get('train', 0), 'picture')} to learn from, "
        f"{totals.get('validation', 0):,} to choose by, {totals.get('test', 0):,} to measure on."
    )


def _counts(material: Material) -> Markup | None:
    counts = material.counts
    if not counts:
        return None
    splits = list(counts)
    labels = list(counts[splits[0]])
    shown = sorted(labels, key=lambda name: counts["train"].get(name, 0))[:_MOST_LABELS]
    rows = [
        (name, *(f"{counts[split].get(name, 0):,}" for split in splits))
        for name in labels
        if name in shown
    ]
    note = (
        f"The {len(shown)} labels with the fewest pictures, of {len(labels)}."
        if len(shown) < len(labels)
        else None
    )
    return card(
        "How many of each",
        table(("label", *splits), rows, caption="Pictures by label and split"),
        note=note,
    )


def _audit(material: Material) -> Markup | None:
    """What looking at all pictures together showed."""
    sentences = material.audit.get("sentences")
    if sentences is None:
        return None
    found: Child = (
        element("ul", [element("li", lead_in(line)) for line in sentences], class_="findings")
        if sentences
        else element("p", "Nothing that would matter: no copies, no imbalance, no bad files.")
    )
    further: tuple[Child, ...] = ()
    if "wrong_label" not in (material.audit.get("flagged") or {}):
        further = (
            element("p", "For wrong labels and pictures that are out of place:", class_="note"),
            command(shlex.join(["pawsure", "audit", material.data])),
        )
    return card("What an audit found", found, *further)


def _suspects(material: Material) -> Markup | None:
    """Held-out pictures whose label the model all but rules out."""
    answers = material.answers
    if answers is None:
        return None
    given = answers.probability[np.arange(len(answers.label)), answers.label]
    rows = np.flatnonzero(given <= DOUBTED_BELOW)
    if not len(rows):
        return card(
            "Labels to check",
            note="None: the model gives the label of every held-out picture "
            f"{DOUBTED_BELOW:.0%} or more.",
        )
    order = rows[np.argsort(given[rows], kind="stable")]
    told = [
        (
            str(answers.path[row]),
            answers.labels[answers.label[row]],
            answers.labels[int(answers.probability[row].argmax())],
            percent(float(given[row])),
        )
        for row in order[:_MOST_SUSPECTS]
    ]
    more = len(rows) - len(told)
    return card(
        "Labels to check",
        table(
            ("picture", "labelled", "looks like", "chance that the label is right"),
            told,
            caption="Labels to check",
            numbers=False,
        ),
        element("p", f"… and {more:,} more, in predictions.parquet.", class_="note")
        if more
        else None,
        note=f"To {count(len(rows), 'picture')} of {len(answers.label):,} in validation and test "
        f"the model gives {'its' if len(rows) == 1 else 'their'} label less than "
        f"{DOUBTED_BELOW:.0%}. Either it is wrong, or the label is.",
    )


def _unreadable(material: Material) -> Markup | None:
    problems = material.metrics.get("unreadable") or {}
    if not problems:
        return None
    rows = [(path, reason) for path, reason in list(problems.items())[:_MOST_UNREADABLE]]
    more = len(problems) - len(rows)
    return card(
        "Left out",
        table(("picture", "why"), rows, caption="Pictures that were left out", numbers=False),
        element("p", f"… and {more:,} more, in catalog.parquet.", class_="note") if more else None,
        note=f"{count(len(problems), 'picture')} could not be read.",
    )


def _copies(material: Material, gallery: Gallery) -> Markup | None:
    groups = copy_groups(material)
    if not material.pictures:
        return None
    if not groups:
        return None if material.audit else card("Copies", note="No picture is there twice.")
    pictures = sum(len(group.paths) for group in groups)
    leaks = sum(group.leaks for group in groups)
    contradictory = sum(group.is_contradictory for group in groups)
    words = [
        f"{count(pictures, 'picture')} are copies or near-copies of each other, in "
        f"{count(len(groups), 'group')}.",
        "Copies stay on one side of the split."
        if not leaks
        else f"{count(leaks, 'test picture')} can be found among those that were learned from or "
        "chosen by: the splits were given so.",
        f"In {count(contradictory, 'group')} the copies have different labels: one of them is "
        "wrong."
        if contradictory
        else "",
    ]
    return card(
        "Copies",
        element("ul", [_group(group, gallery) for group in groups[:_MOST_GROUPS]], class_="groups"),
        note=" ".join(filter(None, words)),
        wide=True,
    )


def _group(group: CopyGroup, gallery: Gallery) -> Markup:
    members = list(zip(group.paths, group.labels, group.splits, strict=True))
    shown = [_member(*member, gallery) for member in members[:_MOST_IN_GROUP]]
    more = len(members) - len(shown)
    return element("li", shown, element("p", f"and {more:,} more") if more else None)


def _member(path: str, label: str, split: str, gallery: Gallery) -> Markup:
    try:
        picture: Child = element("img", src=gallery.thumbnail(path), alt="")
    except PictureError as error:
        picture = None if gallery.why_not else missing(f"Can't be shown: {error.reason}.")
    return element(
        "figure",
        picture,
        element("figcaption", element("strong", label), f", {split}", element("br"), path),
    )

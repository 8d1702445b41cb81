"""Section: the pictures of the run, and what is wrong with them."""

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
from pawsure.report.pictures import Gallery
from pawsure.report.run_data import RunData
from pawsure.wording import agreeing, count

DOUBTED_BELOW = 0.05
"""Labels with a lower probability are listed for checking."""

_MOST_SUSPECTS = 8
_MOST_LABELS = 30
_MOST_UNREADABLE = 20
_MOST_GROUPS = 6
_MOST_IN_GROUP = 4


@dataclass(frozen=True, kw_only=True)
class CopyGroup:
    """Pictures that are copies of each other.

    Attributes:
        paths: of the pictures.
        labels: in the same order.
        splits: in the same order.
    """

    paths: tuple[str, ...]
    labels: tuple[str, ...]
    splits: tuple[str, ...]

    @property
    def is_contradictory(self) -> bool:
        """Whether the copies have different labels."""
        return len(set(self.labels)) > 1

    @property
    def leaks(self) -> int:
        """How many test pictures have a copy in training or validation."""
        is_leak = {"train", "validation"} & set(self.splits)
        return self.splits.count("test") if is_leak else 0


def copy_groups(run: RunData) -> list[CopyGroup]:
    """Groups of two or more readable pictures: leaks first, then contradictory labels."""
    pictures = run.pictures
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


def leaked_pictures(run: RunData) -> int:
    """Test pictures with a copy among the training or validation pictures."""
    return sum(group.leaks for group in copy_groups(run))


def data_section(run: RunData, gallery: Gallery) -> Markup:
    """Counts, audit, labels to check, copies, unreadable files."""
    return section(
        "data",
        "Data",
        _lead(run),
        cards(
            stack(_counts(run), _unreadable(run)),
            stack(_audit(run), _suspects(run)),
            _copies(run, gallery),
        ),
    )


def _lead(run: RunData) -> str:
    totals = {split: sum(labels.values()) for split, labels in run.counts.items()}
    if not totals:
        return ""
    return (
        f"{count(totals.get('train', 0), 'training picture')}, {totals.get('validation', 0):,} for "
        f"validation, {totals.get('test', 0):,} for testing."
    )


def _counts(run: RunData) -> Markup | None:
    counts = run.counts
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
        "Pictures by label",
        table(("label", *splits), rows, caption="Pictures by label and split"),
        note=note,
    )


def _audit(run: RunData) -> Markup | None:
    """The findings of the audit during the run."""
    sentences = run.audit.get("sentences")
    if sentences is None:
        return None
    findings: Child = (
        element("ul", [element("li", lead_in(line)) for line in sentences], class_="findings")
        if sentences
        else element("p", "No problems: no copies, no imbalance, no bad files.")
    )
    further: tuple[Child, ...] = ()
    if "wrong_label" not in (run.audit.get("flagged") or {}):
        further = (
            element("p", "To find wrong labels and outliers:", class_="note"),
            command(shlex.join(["pawsure", "audit", run.data])),
        )
    return card("Audit", findings, *further)


def _suspects(run: RunData) -> Markup | None:
    """Held-out pictures whose label the model finds very unlikely."""
    answers = run.answers
    if answers is None:
        return None
    given = answers.probability[np.arange(len(answers.label)), answers.label]
    rows = np.flatnonzero(given <= DOUBTED_BELOW)
    if not len(rows):
        return card(
            "Labels to check",
            note=f"None: every held-out picture has a probability of {DOUBTED_BELOW:.0%} or more "
            "for its label.",
        )
    order = rows[np.argsort(given[rows], kind="stable")]
    suspects = [
        (
            str(answers.path[row]),
            answers.labels[answers.label[row]],
            answers.labels[int(answers.probability[row].argmax())],
            percent(float(given[row])),
        )
        for row in order[:_MOST_SUSPECTS]
    ]
    more = len(rows) - len(suspects)
    return card(
        "Labels to check",
        table(
            ("picture", "label", "prediction", "probability of the label"),
            suspects,
            caption="Labels to check",
            numbers=False,
        ),
        element("p", f"… and {more:,} more, in predictions.parquet.", class_="note")
        if more
        else None,
        note=f"{len(rows):,} of {len(answers.label):,} held-out pictures "
        f"{agreeing(len(rows), 'has', 'have')} a probability below {DOUBTED_BELOW:.0%} for "
        f"{agreeing(len(rows), 'its', 'their')} label. Either the model is wrong, or the label is.",
    )


def _unreadable(run: RunData) -> Markup | None:
    problems = run.metrics.get("unreadable") or {}
    if not problems:
        return None
    rows = [(path, reason) for path, reason in list(problems.items())[:_MOST_UNREADABLE]]
    more = len(problems) - len(rows)
    return card(
        "Unreadable",
        table(("picture", "reason"), rows, caption="Unreadable pictures", numbers=False),
        element("p", f"… and {more:,} more, in catalog.parquet.", class_="note") if more else None,
        note=f"{count(len(problems), 'picture')} could not be read and were left out.",
    )


def _copies(run: RunData, gallery: Gallery) -> Markup | None:
    groups = copy_groups(run)
    if not run.pictures:
        return None
    if not groups:
        return None if run.audit else card("Copies", note="No copies.")
    pictures = sum(len(group.paths) for group in groups)
    leaks = sum(group.leaks for group in groups)
    contradictory = sum(group.is_contradictory for group in groups)
    words = [
        f"{count(pictures, 'picture')} are copies or near-copies, in "
        f"{count(len(groups), 'group')}.",
        "Copies stay on the same side of a split."
        if not leaks
        else f"{count(leaks, 'test picture')} with a copy among the training or validation "
        "pictures: the data came with these splits.",
        f"In {count(contradictory, 'group')} copies have different labels; one of these is wrong."
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
        picture = None if gallery.why_not else missing(f"Not shown: {error.reason}.")
    return element(
        "figure",
        picture,
        element("figcaption", element("strong", label), f", {split}", element("br"), path),
    )

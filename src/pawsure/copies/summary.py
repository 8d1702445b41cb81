"""What an audit found, in figures and in sentences."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from pawsure.copies.leakage import Leakage, Owed, find_leakage
from pawsure.copies.near_copies import Grouped
from pawsure.data.catalog import Catalog
from pawsure.wording import agreeing, count

LEAST_PICTURES = 100
"""Of one label, below which figures about it are imprecise: of 20 test pictures, 1 is 5%."""

UNBALANCED = 3.0
"""Pictures of the most frequent label for each of the rarest, from which it is reported."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AuditSummary:
    """The findings of an audit, small enough to keep with a run.

    Attributes:
        pictures: how many there are.
        labels: how many of each label can be used.
        unreadable: how many can't be used.
        exact_copies: pictures beyond the first of each file that is there more than once.
        near_copies: pictures beyond the first of each group, exact copies not counted.
        copy_groups: groups of two or more.
        conflicting_groups: files that are there under more than one label.
        conflicting_near_groups: groups of near-copies with more than one label.
        by_detail: whether that is the rule, so that labels differ by a detail of the picture;
            see `Grouped.differ_by_detail`.
        leakage: copies across splits.
        owed: what accuracy owes to it, where it was measured.
        flagged: pictures that each further check found, by its name; only of those made.
        label_accuracy: how often held-out classifiers agree with the labels; None if not asked.
        formats: pictures of each format.
        sides: the shortest side in pixels: smallest, median and largest.
        too_alike: a label whose pictures can't be told from near-copies; see `Grouped`.
        embedded_by: what looked at labels and strangers; empty if nothing did.
    """

    pictures: int
    labels: dict[str, int]
    unreadable: int
    exact_copies: int
    near_copies: int
    copy_groups: int
    conflicting_groups: int
    leakage: Leakage
    conflicting_near_groups: int = 0
    by_detail: bool = False
    owed: tuple[Owed, ...] = ()
    flagged: dict[str, int] = field(default_factory=dict)
    label_accuracy: float | None = None
    formats: dict[str, int] = field(default_factory=dict)
    sides: tuple[int, int, int] = (0, 0, 0)
    too_alike: str = ""
    embedded_by: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the sentences."""
        told = {name: getattr(self, name) for name in self.__dataclass_fields__}
        told |= {
            "leakage": self.leakage.to_dict(),
            "owed": [asdict(one) for one in self.owed],
            "sides": list(self.sides),
            "sentences": self.sentences(),
        }
        return told

    def sentences(self) -> list[str]:
        """The same for people, what matters most first; what is in order is not said."""
        return [
            *self._about_leakage(),
            *self._about_copies(),
            *self._about_conflicts(),
            *self._about_labels(),
            *self._about_balance(),
            *self._about_files(),
        ]

    def warnings(self) -> list[str]:
        """The sentences that a training run always shows: leakage and conflicting labels."""
        return [*self._about_leakage(), *self._about_conflicts()]

    @property
    def has_findings(self) -> bool:
        """Whether there is something to look at; few or unbalanced pictures are not."""
        return bool(
            self._about_leakage()
            or self._about_copies()
            or self._about_conflicts()
            or self._about_labels()
            or self._about_files()
        )

    def _about_leakage(self) -> list[str]:
        said = [
            f"Leakage: {count(self.leakage.leaked[split], f'{split} picture')} of "
            f"{total:,} ({self.leakage.leaked[split] / total:.1%}) "
            f"{agreeing(self.leakage.leaked[split], 'has a copy', 'have copies')} among the "
            "training pictures."
            for split, total in self.leakage.total.items()
            if self.leakage.leaked[split]
        ]
        if self.leakage.groups and not said:
            said = [
                f"Leakage: {count(self.leakage.groups, 'group')} of copies in both validation "
                "and test."
            ]
        for one in self.owed:
            gain = one.with_copies - one.without_copies
            said.append(
                f"They raise the {one.split} accuracy of a linear classifier by {gain * 100:.1f} "
                f"points ({one.with_copies:.1%} with copies, {one.without_copies:.1%} without), "
                f"that of a network that memorizes them by up to {one.at_most * 100:.1f}."
            )
        return said

    def _about_copies(self) -> list[str]:
        said = []
        if self.too_alike:
            said.append(
                f"Pictures of '{self.too_alike}' are too similar to detect near-copies; only exact "
                "copies stay on the same side of a split. If they are frames of a few films, "
                "define the splits yourself, by film."
            )
        if self.exact_copies or self.near_copies:
            said.append(
                f"Copies: {count(self.exact_copies, 'exact one')} and "
                f"{count(self.near_copies, 'near-copy', 'near-copies')}, in "
                f"{count(self.copy_groups, 'group')}. Copies stay on "
                "the same side of a split."
            )
        return said

    def _about_conflicts(self) -> list[str]:
        said = []
        if self.conflicting_groups:
            said.append(
                f"{count(self.conflicting_groups, 'file has', 'files have')} more than one label: "
                "at least one of the labels is wrong."
            )
        number = self.conflicting_near_groups
        if number:
            have = f"{count(number, 'group')} of near-copies {'has' if number == 1 else 'have'}"
            said.append(
                f"Labels differ by a detail: {have} more than one label, as with a fixed camera. "
                "All are kept, on the same side of a split."
                if self.by_detail
                else f"{have} more than one label. Check them: a label is wrong, or the labels "
                "differ by a detail."
            )
        return said

    def _about_labels(self) -> list[str]:
        said = []
        suspects = self.flagged.get("wrong_label", 0)
        if suspects:
            said.append(
                f"Labels: {count(suspects, 'picture')} "
                f"{agreeing(suspects, 'seems', 'seem')} mislabelled "
                f"({suspects / max(1, sum(self.labels.values())):.1%}); "
                + (
                    "labels that differ by a detail are hard to judge."
                    if self.by_detail
                    else "check them before training."
                )
            )
        outliers = self.flagged.get("out_of_place", 0)
        if outliers:
            said.append(
                f"Outliers: {count(outliers, 'picture')} {agreeing(outliers, 'is', 'are')} far "
                "from all others and may show none of the labels."
            )
        return said

    def _about_balance(self) -> list[str]:
        said = []
        counts = {name: count for name, count in self.labels.items() if count}
        if len(counts) >= 2:
            most, least = max(counts, key=lambda k: counts[k]), min(counts, key=lambda k: counts[k])
            if counts[most] >= UNBALANCED * counts[least]:
                said.append(
                    f"Balance: {counts[most]:,} of '{most}' but {counts[least]:,} of '{least}'. "
                    f"Always answering '{most}' would be "
                    f"{counts[most] / sum(counts.values()):.0%} accurate: judge by the accuracy of "
                    "each label."
                )
        small = [name for name, count in self.labels.items() if count < LEAST_PICTURES]
        if small:
            named = ", ".join(f"'{name}' {self.labels[name]:,}" for name in small[:5])
            more = f" and {len(small) - 5} more" if len(small) > 5 else ""
            said.append(
                f"Few pictures: {named}{more}. Fewer than {LEAST_PICTURES} pictures of a label: "
                "its test figures are imprecise."
            )
        return said

    def _about_files(self) -> list[str]:
        said = []
        if self.unreadable:
            said.append(f"Files: {count(self.unreadable, 'picture')} can't be used.")
        for name, meanings in _FILE_CHECKS.items():
            number = self.flagged.get(name, 0)
            if number:
                said.append(f"{count(number, 'picture')} {agreeing(number, *meanings)}.")
        return said


_FILE_CHECKS = {
    "misnamed": (
        "has the extension of another format; its content decides",
        "have the extension of another format; their content decides",
    ),
    "animated": (
        "is animated; only its first frame is used",
        "are animated; only the first frame of each is used",
    ),
    "tiny": (
        "is so small that it must be enlarged, and teaches little",
        "are so small that they must be enlarged, and teach little",
    ),
    "huge": (
        "is so large that reading it takes seconds",
        "are so large that reading each takes seconds",
    ),
    "blank": (
        "is almost a single colour; nothing can be learned from it",
        "are almost a single colour; nothing can be learned from them",
    ),
    "extreme_aspect": (
        "is more than three times as long as wide, and gets distorted when made square",
        "are more than three times as long as wide, and get distorted when made square",
    ),
}
"""What a check says of one picture, and of more."""


def summarise(grouped: Grouped, catalog: Catalog | None = None, **further: Any) -> AuditSummary:
    """Sum up what is known once files were read and copies grouped.

    Args:
        grouped: see `pawsure.copies.grouping.grouped_catalog`.
        catalog: the same with splits; that of `grouped` by default.
        further: fields of `AuditSummary` that other checks found.
    """
    catalog = grouped.catalog if catalog is None else catalog
    rows = catalog.where()
    groups, sizes = np.unique(catalog.group[rows], return_counts=True)
    different = len(np.unique(grouped.exact[rows]))
    labels_of = np.unique(np.column_stack([catalog.group[rows], catalog.label[rows]]), axis=0)
    same_file = conflicting(
        np.unique(np.column_stack([grouped.exact[rows], catalog.label[rows]]), axis=0)[:, 0]
    )
    shortest = np.minimum(catalog.width[rows], catalog.height[rows])
    formats, counts = np.unique(catalog.format[rows].astype(str), return_counts=True)
    by_label = np.bincount(
        catalog.label[rows][catalog.label[rows] >= 0], minlength=len(catalog.labels)
    )
    return AuditSummary(
        pictures=len(catalog),
        labels=dict(zip(catalog.labels, by_label.tolist(), strict=True)),
        unreadable=len(catalog) - len(rows),
        exact_copies=len(rows) - different,
        near_copies=different - len(groups),
        copy_groups=int((sizes > 1).sum()),
        conflicting_groups=len(same_file),
        conflicting_near_groups=len(
            set(conflicting(labels_of[:, 0]).tolist())
            & set(catalog.group[grouped.near.first].tolist())
        ),
        by_detail=grouped.differ_by_detail,
        formats=dict(zip(formats.tolist(), counts.tolist(), strict=True)),
        sides=(
            (int(shortest.min()), int(np.median(shortest)), int(shortest.max()))
            if len(rows)
            else (0, 0, 0)
        ),
        too_alike=grouped.too_alike,
        **{"leakage": find_leakage(catalog), **further},
    )


def conflicting(groups_of_labels: np.ndarray) -> np.ndarray:
    """Groups that occur more than once where each stands once for each of its labels."""
    groups, counts = np.unique(groups_of_labels, return_counts=True)
    return np.asarray(groups[counts > 1])

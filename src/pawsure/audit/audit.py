"""The audit: all checks, in one pass over the files and one pass of a network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pawsure.audit import files
from pawsure.audit.checks import BY_NAME, KEEP, LEAVE_OUT, LOOK
from pawsure.audit.embeddings import Embedded, Encoder, NoEncoder, embed
from pawsure.audit.labels import find_wrong_labels
from pawsure.audit.outliers import find_outliers
from pawsure.audit.owed import accuracy_owed
from pawsure.copies.leakage import Leakage, Owed, find_leakage
from pawsure.copies.near_copies import Grouped, NearCopies, group_copies
from pawsure.copies.summary import AuditSummary, summarise
from pawsure.copies.thumbnails import Thumbnails
from pawsure.data.catalog import Catalog, build_catalog
from pawsure.data.entries import Source
from pawsure.data.images import DEFAULT_LIMITS, Limits
from pawsure.progress import NO_PROGRESS, Progress

FLAGGED_FROM = 0.5
"""Scores of tiny, huge, blank and stretched pictures are flagged from here on."""

_PREFERRED = {"test": 0, "validation": 1, "train": 2, "": 3}


@dataclass(frozen=True, kw_only=True, eq=False)
class Audit:
    """All findings about N pictures.

    Attributes:
        catalog: with copies grouped, and splits as the source gave them.
        near: pairs of near-copies, by row.
        scores: float32 (N,) in [0, 1] by check; see `pawsure.audit.checks.CHECKS`.
        flags: bool (N,) by check. Checks that were not run are in neither.
        advice: object (N,) of str: "keep", "look" or "leave out".
        reason: object (N,) of str, why; empty where nothing was found.
        likely: int64 (N,), the most probable label by held-out classifiers; -1 unknown.
        summary: of all of it.
        not_looked: why labels and outliers were not checked; empty if they were.
    """

    catalog: Catalog
    near: NearCopies
    scores: dict[str, np.ndarray]
    flags: dict[str, np.ndarray]
    advice: np.ndarray
    reason: np.ndarray
    likely: np.ndarray
    summary: AuditSummary
    not_looked: str = ""

    def ranked(self, check: str) -> np.ndarray:
        """Indices of usable pictures, the worst by a check first: int64."""
        rows = self.catalog.where()
        return rows[np.argsort(-self.scores[check][rows], kind="stable")]


def audit(
    data: str | Path | Source,
    *,
    encoder: Encoder | NoEncoder,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress = NO_PROGRESS,
) -> Audit:
    """Run all checks on labelled pictures.

    Args:
        data: see `pawsure.data.sources.open_source`.
        encoder: judges labels and outliers; see `pawsure.audit.embeddings.find_network`.
        limits: for every picture.
        progress: told of every step.

    Raises:
        DataError: there are no pictures, or none can be read.
    """
    grouped, frames, blank = _read_files(data, limits, progress)
    catalog = grouped.catalog
    embedded = None
    if isinstance(encoder, Encoder):
        embedded = embed(catalog, encoder, progress=progress)
        catalog = catalog.with_problems(embedded.problems)
    grouped = replace(grouped, catalog=catalog)
    findings = _Findings(grouped)
    findings.of_files(frames, blank)
    leakage = findings.of_copies()
    owed: list[Owed] = []
    accuracy = None
    if embedded is not None and len(embedded.index):
        accuracy = findings.of_embeddings(embedded, progress)
        owed = findings.owed(embedded, leakage)
    flags = findings.flags
    summary = summarise(
        grouped,
        leakage=leakage,
        owed=tuple(owed),
        flagged={name: int(flag.sum()) for name, flag in flags.items()},
        label_accuracy=accuracy,
        embedded_by=encoder.name if isinstance(encoder, Encoder) else "",
    )
    advice = _advice(grouped, flags)
    return Audit(
        catalog=catalog,
        near=grouped.near,
        scores=findings.scores,
        flags=flags,
        advice=advice,
        reason=_reasons(catalog, findings, advice),
        likely=findings.likely,
        summary=summary,
        not_looked=encoder.reason if isinstance(encoder, NoEncoder) else "",
    )


def _read_files(
    data: str | Path | Source, limits: Limits, progress: Progress
) -> tuple[Grouped, np.ndarray, np.ndarray]:
    """The catalog with copies grouped, frames int64 (N,) and blankness float32 (N,)."""
    thumbnails, animations = Thumbnails(limits=limits), files.Animations(limits=limits)

    def visit(content: str, picture: bytes) -> None:
        animations.look(content, picture)
        thumbnails.look(content, picture)

    catalog = build_catalog(data, for_training=False, limits=limits, progress=progress, visit=visit)
    thumbnails.keep(progress)
    grouped = group_copies(catalog, thumbnails, progress=progress)
    blank = np.zeros(len(catalog), dtype=np.float32)
    rows = catalog.where()
    blank[rows] = files.blankness(thumbnails.rows(catalog.content[rows]))
    return grouped, animations.frames(catalog.content), blank


class _Findings:
    """Collects scores and flags."""

    def __init__(self, grouped: Grouped) -> None:
        self.grouped = grouped
        self.catalog = grouped.catalog
        self.usable = self.catalog.problem == ""
        self.scores: dict[str, np.ndarray] = {}
        self.flags: dict[str, np.ndarray] = {}
        self.likely = np.full(len(self.catalog), -1, dtype=np.int64)
        self.nearest: dict[int, int] = {}

    def _add(self, name: str, score: np.ndarray, flag: np.ndarray | None = None) -> None:
        self.scores[name] = np.asarray(score, dtype=np.float32)
        self.flags[name] = (
            np.asarray(score >= FLAGGED_FROM) if flag is None else np.asarray(flag, dtype=bool)
        )

    def of_files(self, frames: np.ndarray, blank: np.ndarray) -> None:
        """Checks of the files."""
        catalog = self.catalog
        self._add("unreadable", ~self.usable)
        self._add("truncated", files.is_truncated(catalog))
        self._add("misnamed", files.is_misnamed(catalog))
        self._add("animated", frames > 1)
        self._add("tiny", files.tininess(catalog))
        self._add("huge", files.hugeness(catalog))
        self._add("blank", np.where(self.usable, blank, 0))
        self._add("extreme_aspect", files.stretch(catalog))

    def of_copies(self) -> Leakage:
        """Copies, across splits and labels too."""
        catalog, near = self.catalog, self.grouped.near
        self._add("exact_copy", self.usable & _shared(self.grouped.exact, self.usable))
        score = np.zeros(len(catalog), dtype=np.float32)
        for mine, other in ((near.first, near.second), (near.second, near.first)):
            for row, partner, found in zip(mine, other, near.similarity, strict=True):
                if found > score[row]:
                    score[row] = found
                    self.nearest[int(row)] = int(partner)
        for group in set(self.grouped.exact[score > 0].tolist()):
            # Exact copies of a near-copy are near-copies of the same picture.
            rows = np.flatnonzero(self.grouped.exact == group)
            best = int(rows[score[rows].argmax()])
            for row in rows.tolist():
                score[row] = score[best]
                self.nearest.setdefault(row, self.nearest[best])
        self._add("near_copy", score, score > 0)
        several = _shared(catalog.group, self.usable)
        self._add("leakage", self.usable & several & self._differs(catalog.split.astype(str)))
        same_file = self.usable & self._differs(catalog.label, self.grouped.exact)
        self._add("conflicting_copy", same_file)
        alike = self.usable & several & self._differs(catalog.label)
        self._add("conflicting_near_copy", alike & ~same_file)
        return find_leakage(catalog)

    def _differs(self, what: np.ndarray, group: np.ndarray | None = None) -> np.ndarray:
        """Whether a column has several values within the group of each: bool (N,)."""
        group = self.catalog.group if group is None else group
        rows = np.flatnonzero(self.usable)
        _, value = np.unique(what[rows], return_inverse=True)
        pairs = np.unique(np.column_stack([group[rows], value]), axis=0)
        groups, counts = np.unique(pairs[:, 0], return_counts=True)
        return np.isin(group, groups[counts > 1])

    def of_embeddings(self, embedded: Embedded, progress: Progress) -> float | None:
        """Labels and outliers; returns how often held-out classifiers agree with labels."""
        catalog, rows = self.catalog, embedded.index
        _, group = np.unique(catalog.group[rows], return_inverse=True)
        outliers = find_outliers(embedded.rows, group, progress=progress)
        self._add(
            "out_of_place",
            _spread(outliers.distance, rows, len(catalog)),
            _spread(outliers.is_outlier, rows, len(catalog)),
        )
        label = catalog.label[rows]
        if len(set(label.tolist())) < 2 or label.min() < 0:
            return None
        labels = find_wrong_labels(
            embedded.rows, label, group, num_labels=len(catalog.labels), progress=progress
        )
        self._add(
            "wrong_label",
            _spread(labels.suspicion, rows, len(catalog)),
            _spread(labels.is_suspect, rows, len(catalog)),
        )
        self.likely[rows] = labels.likely
        return labels.accuracy

    def owed(self, embedded: Embedded, leakage: Leakage) -> list[Owed]:
        """The effect of leakage on accuracy."""
        place = np.full(len(self.catalog), -1, dtype=np.int64)
        place[embedded.index] = np.arange(len(embedded.index))
        return accuracy_owed(self.catalog, leakage, embedded.rows, place)


def _shared(group: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Whether other usable pictures have the same number: bool (N,)."""
    counts = np.bincount(group[usable], minlength=int(group.max()) + 1)
    return np.asarray(counts[group] > 1)


def _spread(values: np.ndarray, rows: np.ndarray, length: int) -> np.ndarray:
    """An array of zeros with these values at some rows."""
    spread = np.zeros(length, dtype=values.dtype)
    spread[rows] = values
    return spread


def _advice(grouped: Grouped, flags: dict[str, np.ndarray]) -> np.ndarray:
    """What to do with each picture: object (N,)."""
    advice = np.full(len(grouped.catalog), KEEP, dtype=object)
    for wanted in (LOOK, LEAVE_OUT):
        for name, flag in flags.items():
            if BY_NAME[name].advice == wanted:
                advice[flag] = wanted
    advice[_spare_copies(grouped, advice)] = LEAVE_OUT
    return advice


def _spare_copies(grouped: Grouped, advice: np.ndarray) -> np.ndarray:
    """Indices of all but one picture of each group: int64.

    Of copies across splits the held-out one stays, so that figures remain comparable; else the
    one with most pixels. Where near-copies have different labels, only exact copies are spare.
    """
    catalog = grouped.catalog
    spare: list[int] = []
    in_group: dict[int, list[int]] = {}
    for row in catalog.where().tolist():
        if advice[row] != LEAVE_OUT:
            in_group.setdefault(int(catalog.group[row]), []).append(row)
    together: dict[tuple[int, int], list[int]] = {}
    by_detail = grouped.differ_by_detail
    for group, rows in in_group.items():
        only_exact = by_detail or len(set(catalog.label[rows].tolist())) > 1
        for row in rows:
            exact = int(grouped.exact[row]) if only_exact else -1
            together.setdefault((group, exact), []).append(row)
    for rows in together.values():
        if len(rows) > 1:
            rows.sort(
                key=lambda row: (
                    _PREFERRED[str(catalog.split[row])],
                    -int(catalog.width[row] * catalog.height[row]),
                    catalog.path[row],
                )
            )
            spare += rows[1:]
    return np.array(spare, dtype=np.int64)


def _reasons(catalog: Catalog, findings: _Findings, advice: np.ndarray) -> np.ndarray:
    """Why, for people: object (N,)."""
    reasons = np.full(len(catalog), "", dtype=object)
    flagged = np.zeros(len(catalog), dtype=bool)
    for flag in findings.flags.values():
        flagged |= flag
    for row in np.flatnonzero(flagged | (advice != KEEP)).tolist():
        reasons[row] = "; ".join(_reasons_of(row, catalog, findings))
    return reasons


def _reasons_of(row: int, catalog: Catalog, findings: _Findings) -> list[str]:
    if catalog.problem[row]:
        return [catalog.problem[row]]
    reasons = []
    for name, flag in findings.flags.items():
        if not flag[row]:
            continue
        score = findings.scores[name][row]
        if name == "misnamed":
            reasons.append(f"has the extension of another format, but is {catalog.format[row]}")
        elif name in ("tiny", "huge", "extreme_aspect"):
            title = BY_NAME[name].title.lower()
            reasons.append(f"{title}: {catalog.width[row]} x {catalog.height[row]} pixels")
        elif name == "near_copy":
            reasons.append(f"near-copy of {catalog.path[findings.nearest[row]]} ({score:.2f})")
        elif name == "wrong_label":
            likely = catalog.labels[findings.likely[row]]
            reasons.append(f"looks like '{likely}' (probability of its own label {1 - score:.3f})")
        elif name == "out_of_place":
            reasons.append(f"outlier ({score:.2f})")
        else:
            reasons.append(BY_NAME[name].title.lower())
    return reasons

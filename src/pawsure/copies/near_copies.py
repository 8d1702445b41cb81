"""Find and group copies: exact ones by content, near-copies by appearance."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pawsure.copies.alignment import similarity
from pawsure.copies.fingerprints import spectra
from pawsure.copies.neighbours import find_candidates
from pawsure.copies.thumbnails import Thumbnails
from pawsure.data.catalog import Catalog
from pawsure.data.threads import one_thread_a_product
from pawsure.features.views import Rows
from pawsure.progress import NO_PROGRESS, Progress

LEAST_SIMILARITY = 0.85
"""Of a picture and its near-copy, by `pawsure.copies.alignment.similarity`. On 4,000 photographs,
copies that were resized, recompressed, cropped by a tenth, mirrored, made lighter or darker are
at 0.90 and more; of 8 million pairs of different ones the most similar is at 0.77."""

_ROWS_AT_A_TIME = 4096

_LEAST_OF_A_PATTERN = 5  # pairs; fewer may be mistakes


@dataclass(frozen=True, eq=False)
class NearCopies:
    """P pairs of near-copies.

    Attributes:
        first: int64 (P,), rows; the smaller of the two.
        second: int64 (P,), rows.
        similarity: float32 (P,), in [`LEAST_SIMILARITY`, 1].
    """

    first: np.ndarray
    second: np.ndarray
    similarity: np.ndarray

    def __len__(self) -> int:
        """How many pairs."""
        return len(self.first)

    def at(self, rows: np.ndarray) -> NearCopies:
        """The same pairs with picture i renumbered as `rows[i]`."""
        return replace(self, first=rows[self.first], second=rows[self.second])


def find_near_copies(thumbnails: Rows, *, progress: Progress = NO_PROGRESS) -> NearCopies:
    """Pairs of thumbnails that show the same picture.

    Args:
        thumbnails: uint8 (N, 40, 40), all of different files.
        progress: told of every picture.
    """
    with one_thread_a_product():
        spectrum = np.empty((len(thumbnails), 256), dtype=np.float32)
        for start in range(0, len(thumbnails), _ROWS_AT_A_TIME):
            some = slice(start, start + _ROWS_AT_A_TIME)
            spectrum[some] = spectra(thumbnails[some])
        candidates = find_candidates(spectrum, progress=progress)
        found = similarity(
            lambda rows: thumbnails[rows],
            candidates.first,
            candidates.second,
            candidates.frames(),
            candidates.mirrored(),
        )
    alike = found >= LEAST_SIMILARITY
    return _each_once(candidates.first[alike], candidates.second[alike], found[alike])


def _each_once(first: np.ndarray, second: np.ndarray, found: np.ndarray) -> NearCopies:
    """The better of a pair's two orders."""
    low, high = np.minimum(first, second), np.maximum(first, second)
    order = np.lexsort((-found, high, low))
    low, high, found = low[order], high[order], found[order]
    new = np.ones(len(low), dtype=bool)
    new[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    return NearCopies(low[new], high[new], np.minimum(found[new], 1.0))


@dataclass(frozen=True, eq=False)
class Grouped:
    """A catalog whose groups include near-copies.

    Attributes:
        catalog: with groups of exact and near copies.
        near: the pairs behind them, by row; of exact copies, only the first.
        exact: int64 (N,), the groups of exact copies alone.
        too_alike: a label whose pictures are too similar to detect near-copies; the groups are
            then those of exact copies. Empty if there is none.
    """

    catalog: Catalog
    near: NearCopies
    exact: np.ndarray
    too_alike: str = ""

    @property
    def differ_by_detail(self) -> bool:
        """Whether labels of near-copies differ by a detail, not by mistake.

        A fixed camera takes the same picture with and without an animal; on a production line,
        good and bad parts look alike. Then most near-copies, or most groups of them, have
        different labels.
        """
        label, usable = self.catalog.label, self.catalog.problem == ""
        known = usable[self.near.first] & usable[self.near.second]
        first, second = self.near.first[known], self.near.second[known]
        differ = label[first] != label[second]
        if differ.sum() < _LEAST_OF_A_PATTERN:
            return False
        groups, mixed = (set(self.catalog.group[rows].tolist()) for rows in (first, first[differ]))
        return bool(2 * differ.sum() > len(differ) or 2 * len(mixed) > len(groups))


def group_copies(
    catalog: Catalog, thumbnails: Thumbnails, *, progress: Progress = NO_PROGRESS
) -> Grouped:
    """Put near-copies into one group.

    Without near-copies, groups and the splits drawn by them do not change. If near-copies are most
    of a label (stripes, test charts, frames of one film), no split could be drawn: the label is
    reported, and groups do not change.

    Args:
        catalog: of the pictures in `thumbnails`.
        thumbnails: of them.
        progress: told of every picture.
    """
    usable = catalog.where()
    _, first = np.unique(catalog.content[usable].astype(str), return_index=True)
    # Sorted by content, so that the result does not depend on names.
    rows = usable[first]
    near = find_near_copies(thumbnails.rows(catalog.content[rows]), progress=progress).at(rows)
    grouped = replace(catalog, group=merged(catalog.group, near))
    too_alike = _too_alike(grouped) if len(near) else ""
    return Grouped(catalog if too_alike else grouped, near, catalog.group, too_alike)


def _too_alike(grouped: Catalog) -> str:
    """A label of which one group has more than half the pictures, or that has under 3 groups."""
    rows = grouped.where()
    for label, name in enumerate(grouped.labels):
        own = grouped.group[rows[grouped.label[rows] == label]]
        if len(own) < 3:
            continue
        _, sizes = np.unique(own, return_counts=True)
        if len(sizes) < 3 or sizes.max() > len(own) / 2:
            return name
    return ""


def merged(group: np.ndarray, near: NearCopies) -> np.ndarray:
    """int64 (N,): groups joined by pairs, numbered in order of appearance."""
    parent = list(range(int(group.max()) + 1 if len(group) else 0))

    def root(of: int) -> int:
        while parent[of] != of:
            parent[of] = parent[parent[of]]
            of = parent[of]
        return of

    pairs = zip(group[near.first].tolist(), group[near.second].tolist(), strict=True)
    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    roots = np.array([root(of) for of in range(len(parent))], dtype=np.int64)[group]
    _, first, inverse = np.unique(roots, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)

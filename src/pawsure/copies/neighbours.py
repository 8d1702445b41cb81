"""Find candidate pairs of copies without comparing all pictures.

Descriptors are sorted into *cells* round centres (spherical k-means, as in an inverted file:
Sivic and Zisserman 2003, "Video Google"). A picture is compared, in each of its variants,
with those in the few cells that are nearest to the variant, as a product of matrices. The
work grows with the number of pictures times the size of a cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pawsure.copies.fingerprints import MIRRORED, PLAIN, WHOLE, Variant, descriptors
from pawsure.data.parallel import available_cores, in_order
from pawsure.progress import NO_PROGRESS, Progress

LEAST_CORRELATION = 0.7
"""Of the descriptors of a picture and its copy. Crops of nine tenths that lie between two
variants are at 0.78 and more; of 8 million pairs of different photographs, 104 are."""

_PICTURES_A_CELL = 128
_MOST_CELLS = 2048
_CELLS_SEARCHED = 3
_KMEANS_ROUNDS = 4
_SAMPLE_A_CELL = 32

_MOST_PARTNERS = 24
"""Most candidates per picture: among a thousand frames of one film, neighbours suffice."""

_PRODUCTS_AT_A_TIME = 4_000_000  # 16 MB of float32
_ROWS_AT_A_TIME = 8192
_BLOCK = 65_536  # pictures; their descriptors take 26 MB

VARIANTS = PLAIN + MIRRORED


@dataclass(frozen=True, eq=False)
class Candidates:
    """Candidate pairs.

    Attributes:
        first: int64 (P,), indices of the pictures that are cropped or mirrored.
        second: int64 (P,), indices of similar pictures.
        variant: int64 (P,), index in `VARIANTS`.
        correlation: float32 (P,), of the descriptors.
    """

    first: np.ndarray
    second: np.ndarray
    variant: np.ndarray
    correlation: np.ndarray

    def __len__(self) -> int:
        """How many."""
        return len(self.first)

    def frames(self) -> np.ndarray:
        """Top, bottom, left and right of the variants, in [0, 1]: float (P, 4)."""
        every = np.array([[*one.rows, *one.columns] for one in VARIANTS])
        return np.asarray(every[self.variant])

    def mirrored(self) -> np.ndarray:
        """Whether each variant is a mirror image: bool (P,)."""
        return np.array([one.mirrored for one in VARIANTS])[self.variant]


def find_candidates(spectrum: np.ndarray, *, progress: Progress = NO_PROGRESS) -> Candidates:
    """Similar pictures, by their spectra.

    Args:
        spectrum: float32 (N, 256), all different.
        progress: told of every step.

    Returns:
        Each pair in one or both orders, in its most similar variant: a crop is only similar
        to the cropped whole. Without pairs of a picture with itself.
    """
    cells = _Cells(_in_blocks(spectrum, WHOLE))
    blocks = range(0, len(spectrum), _BLOCK)
    tasks = [(start, place) for start in blocks for place in range(len(VARIANTS))]

    def look(task: tuple[int, int]) -> list[np.ndarray]:
        start, place = task
        seen = descriptors(spectrum[start : start + _BLOCK], VARIANTS[place])
        return [
            np.column_stack([start + first, second, np.full(len(first), place), correlation])
            for first, second, correlation in cells.alike(seen)
        ]

    progress.start("Comparing pictures", len(tasks), unit="blocks")
    workers = available_cores()
    found: list[np.ndarray] = []
    for pairs in in_order(look, tasks, workers=workers, ahead=workers):
        found.extend(pairs)
        progress.advance()
    progress.finish()
    return _most_similar(found)


class _Cells:
    """Descriptors, sorted by their nearest centre.

    Args:
        base: float32 (N, F), each of length 1.
    """

    def __init__(self, base: np.ndarray) -> None:
        self._centres = _centres(base)
        own = _nearest(base, self._centres, 1)[:, 0]
        self._rows, self._starts = _sorted_by_cell(own, len(self._centres))
        self._sorted = base[self._rows]

    def alike(self, seen: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Pairs that correlate, from the cells nearest to each of some descriptors.

        Args:
            seen: float32 (B, F).

        Returns:
            (place in `seen`, row of the base, correlation), arrays of one length, by cell.
        """
        nearest = _nearest(seen, self._centres, min(_CELLS_SEARCHED, len(self._centres)))
        asking, starts = _sorted_by_cell(nearest.reshape(-1), len(self._centres))
        asking //= nearest.shape[1]
        for cell in np.flatnonzero(np.diff(starts) * np.diff(self._starts)):
            inside = slice(self._starts[cell], self._starts[cell + 1])
            members, theirs = self._rows[inside], self._sorted[inside].T
            here = asking[starts[cell] : starts[cell + 1]]
            size = max(1, _PRODUCTS_AT_A_TIME // len(members))
            for start in range(0, len(here), size):
                some = here[start : start + size]
                correlation = seen[some] @ theirs
                mine, other = np.nonzero(correlation >= LEAST_CORRELATION)
                if len(mine):
                    values = correlation[mine, other]
                    if len(mine) > _MOST_PARTNERS * len(some):
                        kept = _best_of_each(mine, values, _MOST_PARTNERS)
                        mine, other, values = mine[kept], other[kept], values[kept]
                    yield some[mine], members[other], values


def _most_similar(found: list[np.ndarray]) -> Candidates:
    pairs = np.concatenate(found) if found else np.empty((0, 4))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    first, second, variant = (pairs[:, column].astype(np.int64) for column in range(3))
    correlation = pairs[:, 3].astype(np.float32)
    best_first = np.lexsort((variant, -correlation, second, first))
    mine, other = first[best_first], second[best_first]
    is_new = np.ones(len(mine), dtype=bool)
    is_new[1:] = (mine[1:] != mine[:-1]) | (other[1:] != other[:-1])
    kept = best_first[is_new]
    kept = kept[_best_of_each(first[kept], correlation[kept], _MOST_PARTNERS)]
    return Candidates(first[kept], second[kept], variant[kept], correlation[kept])


def _best_of_each(owner: np.ndarray, value: np.ndarray, most: int) -> np.ndarray:
    """Indices of the `most` largest values of each owner."""
    order = np.lexsort((-value, owner))
    sorted_owner = owner[order]
    starts = np.searchsorted(sorted_owner, sorted_owner)
    return np.sort(order[np.arange(len(order)) - starts < most])


def _centres(base: np.ndarray) -> np.ndarray:
    """float32 (K, F): centres of cells, each of length 1."""
    count = min(max(1, len(base) // _PICTURES_A_CELL), _MOST_CELLS)
    rng = np.random.default_rng(0)
    sample = base[np.sort(rng.permutation(len(base))[: count * _SAMPLE_A_CELL])]
    centres = sample[rng.permutation(len(sample))[:count]]
    for _ in range(_KMEANS_ROUNDS if count > 1 else 0):
        cell = _nearest(sample, centres, 1)[:, 0]
        order, starts = _sorted_by_cell(cell, count)
        filled = np.flatnonzero(np.diff(starts))
        sums = np.add.reduceat(sample[order], starts[filled], axis=0)
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = centres.copy()
        centres[filled] = sums / np.maximum(length, 1e-6)
    return centres


def _nearest(base: np.ndarray, centres: np.ndarray, count: int) -> np.ndarray:
    """int64 (N, count): the cells whose centres are nearest, the nearest first."""
    nearest = np.empty((len(base), count), dtype=np.int64)
    for start in range(0, len(base), _ROWS_AT_A_TIME):
        some = slice(start, start + _ROWS_AT_A_TIME)
        product = base[some] @ centres.T
        rows = np.arange(len(product))
        # Repeated argmax: for three, forty times faster than argpartition.
        for place in range(count):
            nearest[some, place] = product.argmax(axis=1)
            product[rows, nearest[some, place]] = -np.inf
    return nearest


def _in_blocks(spectrum: np.ndarray, variant: Variant) -> np.ndarray:
    blocks = range(0, len(spectrum), _ROWS_AT_A_TIME)
    return np.concatenate(
        [descriptors(spectrum[start : start + _ROWS_AT_A_TIME], variant) for start in blocks]
        or [descriptors(spectrum, variant)]
    )


def _sorted_by_cell(cell: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices sorted by cell, and the start of each cell, with the end."""
    return np.argsort(cell, kind="stable"), np.searchsorted(np.sort(cell), np.arange(count + 1))

"""Which pictures are learned from, which choose the model, and which only measure it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pawsure.data.catalog import Catalog
from pawsure.errors import UsageError


@dataclass(frozen=True, slots=True)
class _Group:
    """Copies of one picture, which stay together."""

    draw: float  # in [0, 1), from seed and content alone
    key: str
    rows: tuple[int, ...]


_LARGEST_MINIMUM = 6
"""At most one in so many pictures of a label is drawn for a split only to reach the minimum."""


def assign_splits(
    catalog: Catalog, *, seed: int, validation: float = 0.1, test: float = 0.1, minimum: int = 0
) -> Catalog:
    """Give every picture that can be used a split.

    A picture's split depends on its content, the seed and the shares, not on its name, its
    place or the other pictures: a hash of seed and content is a number in [0, 1); below `test`
    it is a test picture, below `test + validation` a validation picture. So pictures that are
    added later do not move the others, and the shares hold for every label alike, by chance.

    The exception: a label with three or more different pictures has at least one in each
    split. Where chance left one empty, the pictures whose numbers come nearest go there; that
    can change when pictures are added to so small a label. With two different pictures there
    is no test picture of it.

    With a `minimum`, a split has at least so many different pictures of each label, or a sixth of
    them where that is fewer. Chance alone gives 30 pictures between none and six for a test split
    of a tenth. Again the pictures whose numbers come nearest go there, so a picture that is added
    moves a few of its own label at most, and none where chance drew enough.

    Splits that the source gave are kept. A validation or test split that it did not give is
    drawn, by the same rule, from its training pictures and those without a split; the rest of
    these are trained on. A picture without a split goes where copies of it were given.

    Args:
        catalog: see `build_catalog`.
        seed: of the draw.
        validation: share in [0, 1); 0 draws none.
        test: the same.
        minimum: pictures of a label in each split that is drawn, 0 or more.

    Raises:
        UsageError: the minimum is below 0, or the shares leave nothing to train on.
    """
    _check_shares(validation, test)
    if minimum < 0:
        raise UsageError(f"The minimum of a split is 0 or more pictures; got {minimum}.")
    split = catalog.split.copy()
    rows = catalog.where()
    given = set(split[rows].tolist())
    shares = {"test": test, "validation": validation}
    drawn = {name: share for name, share in shares.items() if name not in given and share > 0}
    for groups in _free_groups(catalog, split, seed):
        for group, name in zip(groups, _names(groups, drawn, minimum), strict=True):
            split[list(group.rows)] = name
    return replace(catalog, split=split)


def leakage(catalog: Catalog) -> int:
    """How many groups of copies lie in more than one split.

    `assign_splits` makes none; splits that the source gave may have some, and figures
    measured on such pictures are too good.
    """
    rows = catalog.where()
    places = set(zip(catalog.group[rows].tolist(), catalog.split[rows].tolist(), strict=True))
    return len(places) - len({group for group, _ in places})


def _check_shares(validation: float, test: float) -> None:
    if not (0 <= validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise UsageError(
            "The shares of validation and test must be at least 0 and together below 1, or "
            f"nothing is left to train on; got {validation} and {test}."
        )


def _free_groups(catalog: Catalog, split: np.ndarray, seed: int) -> list[list[_Group]]:
    """For each label, the groups to be drawn, by their numbers.

    Groups with pictures in a given validation or test split are no longer free: what of
    them has no split is put there at once.
    """
    of_label: list[list[_Group]] = [[] for _ in catalog.labels]
    for rows in rows_of_groups(catalog, catalog.where()):
        fixed = {split[row] for row in rows} - {"", "train"}
        if fixed:
            place = min(fixed)
            for row in rows:
                split[row] = split[row] or place
            continue
        key = min(catalog.content[row] for row in rows)
        label = min(int(catalog.label[row]) for row in rows)
        of_label[label].append(_Group(draw(seed, key), key, tuple(rows)))
    return [sorted(groups, key=lambda group: (group.draw, group.key)) for groups in of_label]


def rows_of_groups(catalog: Catalog, rows: np.ndarray) -> list[list[int]]:
    """Rows of a catalog, those of copies of one picture together."""
    together: dict[int, list[int]] = {}
    for row in rows.tolist():
        together.setdefault(int(catalog.group[row]), []).append(row)
    return list(together.values())


def draw(seed: int, key: str) -> float:
    """A number in [0, 1), uniform over keys, the same on every machine."""
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / (1 << 53)


def _names(groups: Sequence[_Group], drawn: dict[str, float], minimum: int) -> list[str]:
    """The splits of a label's groups, which are in the order of their numbers.

    As they are, counting them out in order is the same as comparing numbers, but can also
    keep a split from being empty.
    """
    counts = _counts([group.draw for group in groups], drawn, minimum)
    names = [name for name, count in counts.items() for _ in range(count)]
    return names + ["train"] * (len(groups) - len(names))


def _counts(draws: Sequence[float], drawn: dict[str, float], minimum: int) -> dict[str, int]:
    counts, below = {}, 0.0
    least = min(minimum, len(draws) // _LARGEST_MINIMUM)
    for name, share in drawn.items():
        counts[name] = max(least, sum(below <= draw < below + share for draw in draws))
        below += share
    return _none_empty(counts, len(draws))


def _none_empty(counts: dict[str, int], total: int) -> dict[str, int]:
    """Change counts so that each, and what is left for training, is at least 1 if it can be."""
    wanted = list(counts)[::-1][: max(0, total - 1)]  # validation comes before test
    counts = {name: max(count, 1) if name in wanted else 0 for name, count in counts.items()}
    while counts and sum(counts.values()) > max(0, total - 1):
        most = max(counts, key=lambda name: counts[name])
        counts[most] -= 1
    return counts

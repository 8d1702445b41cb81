"""Which pictures train, which choose the model, and which only measure it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pawsure.data.catalog import Catalog
from pawsure.errors import UsageError

# At most one in so many pictures of a label is drawn for a split only to reach the minimum.
_LARGEST_MINIMUM = 6


@dataclass(frozen=True, slots=True, order=True)
class _Group:
    """Copies of one picture, which stay together."""

    draw: float  # in [0, 1), from seed and content alone
    key: str
    indices: tuple[int, ...]


def assign_splits(
    catalog: Catalog, *, seed: int, validation: float = 0.1, test: float = 0.1, minimum: int = 0
) -> Catalog:
    """Give every picture that can be used a split.

    A picture's split depends on its content, the seed and the shares, not on its name, its place
    or the other pictures: a hash of seed and content is a number in [0, 1); below `test` it is a
    test picture, below `test + validation` a validation picture. So adding pictures does not move
    the others, and the shares hold for every label alike, by chance.

    The exception: a label with three or more different pictures has at least one in each split,
    and with a `minimum` at least so many, or a sixth of its pictures where that is fewer (chance
    alone gives 30 pictures none to six for a test split of a tenth). The pictures whose numbers
    come nearest go there, so adding a picture moves a few of its own label at most. With two
    different pictures of a label there is no test picture of it.

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
    if not (0 <= validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise UsageError(
            "The shares of validation and test must be at least 0 and together below 1, or "
            f"nothing is left to train on; got {validation} and {test}."
        )
    if minimum < 0:
        raise UsageError(f"The minimum of a split is 0 or more pictures; got {minimum}.")
    split = catalog.split.copy()
    given = set(split[catalog.where()].tolist())
    shares = {"test": test, "validation": validation}
    drawn = {name: share for name, share in shares.items() if name not in given and share > 0}
    for groups in _free_groups(catalog, split, seed):
        # In the order of their numbers, counting out is the same as comparing numbers with shares.
        counts = _counts([group.draw for group in groups], drawn, minimum)
        names = [name for name, count in counts.items() for _ in range(count)]
        names += ["train"] * (len(groups) - len(names))
        for group, name in zip(groups, names, strict=True):
            split[list(group.indices)] = name
    return replace(catalog, split=split)


def _free_groups(catalog: Catalog, split: np.ndarray, seed: int) -> list[list[_Group]]:
    """For each label, the groups to be drawn, by their numbers.

    Groups with pictures in a given validation or test split are not drawn: their pictures without
    a split are put there at once.
    """
    of_label: list[list[_Group]] = [[] for _ in catalog.labels]
    for indices in grouped(catalog, catalog.where()):
        fixed = {split[index] for index in indices} - {"", "train"}
        if fixed:
            for index in indices:
                split[index] = split[index] or min(fixed)
            continue
        key = min(catalog.content[index] for index in indices)
        label = min(int(catalog.label[index]) for index in indices)
        of_label[label].append(_Group(draw(seed, key), key, tuple(indices)))
    return [sorted(groups) for groups in of_label]


def grouped(catalog: Catalog, indices: np.ndarray) -> list[list[int]]:
    """Indices of a catalog, those of copies of one picture together."""
    groups: dict[int, list[int]] = {}
    for index in indices.tolist():
        groups.setdefault(int(catalog.group[index]), []).append(index)
    return list(groups.values())


def draw(seed: int, key: str) -> float:
    """A number in [0, 1), uniform over keys, the same on every machine."""
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / (1 << 53)


def _counts(draws: Sequence[float], drawn: dict[str, float], minimum: int) -> dict[str, int]:
    """How many groups of a label each split gets; each, and training, at least 1 if it can be."""
    counts, below = {}, 0.0
    least = min(minimum, len(draws) // _LARGEST_MINIMUM)
    for name, share in drawn.items():
        counts[name] = max(least, sum(below <= draw < below + share for draw in draws))
        below += share
    most = max(0, len(draws) - 1)
    wanted = list(counts)[::-1][:most]  # validation comes before test
    counts = {name: max(count, 1) if name in wanted else 0 for name, count in counts.items()}
    while counts and sum(counts.values()) > most:
        counts[max(counts, key=lambda name: counts[name])] -= 1
    return counts

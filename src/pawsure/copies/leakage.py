"""Leakage: copies across splits."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pawsure.data.catalog import Catalog
from pawsure.errors import DataError
from pawsure.wording import count

HELD_OUT = ("validation", "test")

_EXAMPLES = 20


@dataclass(frozen=True)
class LeakyPair:
    """A held-out picture and a copy of it in the training split."""

    held_out: str
    split: str
    learned: str


@dataclass(frozen=True, eq=False)
class Leakage:
    """Copies across splits.

    Attributes:
        groups: of copies, that lie in more than one split.
        rows: int64, held-out pictures with a copy in the training split.
        leaked: how many of them, by split.
        total: usable pictures of each of these splits.
        pairs: some of them, with one copy each.
    """

    groups: int
    rows: np.ndarray
    leaked: dict[str, int]
    total: dict[str, int]
    pairs: tuple[LeakyPair, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "groups": self.groups,
            "leaked": self.leaked,
            "of": self.total,
            "examples": [asdict(pair) for pair in self.pairs],
        }


def find_leakage(catalog: Catalog) -> Leakage:
    """Find groups of copies in more than one split."""
    rows = catalog.where()
    split, group = catalog.split[rows].astype(str), catalog.group[rows]
    places = {pair for pair in zip(group.tolist(), split.tolist(), strict=True) if pair[1]}
    train = split == "train"
    learned: dict[int, int] = dict(zip(group[train].tolist(), rows[train].tolist(), strict=True))
    held_out = np.isin(split, HELD_OUT) & np.isin(group, list(learned))
    leaky = rows[held_out]
    return Leakage(
        groups=len(places) - len({group for group, _ in places}),
        rows=leaky,
        leaked={name: int((catalog.split[leaky] == name).sum()) for name in HELD_OUT},
        total={name: len(catalog.where(name)) for name in HELD_OUT},
        pairs=tuple(
            LeakyPair(
                held_out=str(catalog.path[row]),
                split=str(catalog.split[row]),
                learned=str(catalog.path[learned[int(catalog.group[row])]]),
            )
            for row in leaky[:_EXAMPLES]
        ),
    )


def refuse_leakage(leakage: Leakage, *, data: str) -> None:
    """Raise if copies lie in more than one split.

    Raises:
        DataError: with their number and what to do.
    """
    if not leakage.groups:
        return
    example = ""
    if leakage.pairs:
        pair = leakage.pairs[0]
        example = f" (such as {pair.held_out}, {pair.split}, and {pair.learned}, train)"
    raise DataError(
        f"The splits of {data} share copies: {count(leakage.groups, 'group')} of copies or "
        f"near-copies in more than one split{example}, so held-out figures would be too good. "
        f"Write a manifest without them (pawsure audit {data} --apply clean.csv) and train on it; "
        "if near-copies stay in it because labels differ by a detail, remove its column split. "
        "Or leave out --strict."
    )


@dataclass(frozen=True)
class Owed:
    """How much leakage raises the accuracy of a linear classifier on a split.

    Attributes:
        split: held out.
        with_copies: accuracy after training on all training pictures, in [0, 1].
        without_copies: after training without copies of held-out pictures.
        at_most: upper limit for a network that memorizes: the share of leaked pictures that the
            classifier without copies gets wrong.
    """

    split: str
    with_copies: float
    without_copies: float
    at_most: float

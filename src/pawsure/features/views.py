"""Views: what a stage sees of a picture, the picture itself or a change of it at random.

A view of a picture depends on the view and on the picture's content alone, so rows can be
stored, found again by another run, and computed in any order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from pawsure.data.augment import AUGMENTATION_VERSION, Augmentation, augment
from pawsure.features.prefix import identity


class Rows(Protocol):
    """Rows that are read when they are asked for."""

    def __len__(self) -> int:
        """How many rows."""

    def __getitem__(self, rows: Any, /) -> np.ndarray:
        """Rows by place: int (B,) to (B, …)."""


ROOM = 1.25
"""Pictures are read this much larger than the network takes before a part is cut out of
them: a crop of 64% of the area then keeps every pixel that it had."""


@dataclass(frozen=True, kw_only=True)
class View:
    """One way of seeing every picture.

    Attributes:
        augmentation: what is changed; None for the picture itself.
        number: tells views of the same strengths apart.
        seed: of the run.
    """

    augmentation: Augmentation | None = None
    number: int = 0
    seed: int = 0

    @property
    def name(self) -> str:
        """Under which its rows are stored."""
        if self.augmentation is None:
            return "original"
        strengths = identity(
            room=ROOM,
            seed=self.seed,
            version=AUGMENTATION_VERSION,
            numpy=np.__version__,  # its random numbers may be others in another version
            **asdict(self.augmentation),
        )
        return f"augmented-{strengths}-{self.number}"

    def read_size_px(self, size_px: int) -> int:
        """The size at which pictures are read for this view."""
        return size_px if self.augmentation is None else math.ceil(size_px * ROOM)

    def apply(self, picture: np.ndarray, content: str, size_px: int) -> np.ndarray:
        """See one picture, uint8 (S', S', 3) as it was read, in this way: uint8 (S, S, 3)."""
        if self.augmentation is None:
            return picture
        rng = np.random.default_rng((self.seed, self.number, int(content[:16], 16)))
        return augment(picture, self.augmentation, rng, size_px=size_px)


ORIGINAL = View()
"""The picture itself."""


class ViewedRows:
    """Rows in which each picture is seen in the view that is its turn.

    Args:
        views: for each view, the rows of all pictures in the same order.
        turn: moves every picture on by this many views.
    """

    def __init__(self, views: list[Rows], turn: int) -> None:
        self._views = views
        self._turn = turn

    def __len__(self) -> int:
        """How many pictures."""
        return len(self._views[0])

    def __getitem__(self, places: np.ndarray) -> np.ndarray:
        """Rows by place: int (B,) to (B, …)."""
        # Neighbours take different views, so that an epoch sees all of them.
        which = (places + self._turn) % len(self._views)
        first = self._views[which[0]][places[:1]]
        rows = np.empty((len(places), *first.shape[1:]), dtype=first.dtype)
        for view in np.unique(which):
            here = which == view
            rows[here] = self._views[view][places[here]]
        return rows


class LiveRows:
    """Pixels that are changed anew each time they are asked for.

    Args:
        pixels: uint8 (N, S', S', 3), read with room to crop.
        contents: content hash of each.
        view: how they are changed; its `number` should be the epoch.
        size_px: side of the result.
        each: runs a function over many pictures; `map`, or that of a pool of threads.
    """

    def __init__(
        self,
        pixels: Rows,
        contents: np.ndarray,
        view: View,
        size_px: int,
        each: Callable[..., object] = map,
    ) -> None:
        self._pixels = pixels
        self._contents = contents
        self._view = view
        self._size_px = size_px
        self._each = each

    def __len__(self) -> int:
        """How many pictures."""
        return len(self._pixels)

    def __getitem__(self, places: np.ndarray) -> np.ndarray:
        """Changed pictures by place: int (B,) to uint8 (B, S, S, 3)."""
        pictures = self._pixels[places]
        changed = self._each(
            lambda picture, content: self._view.apply(picture, content, self._size_px),
            pictures,
            self._contents[places],
        )
        return np.stack(list(changed))  # type: ignore[call-overload]

"""The inputs of a stage by epoch: stored features, stored views, or pictures augmented live.

Also the targets of a stage with a teacher: its answers to the same views.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

from pawsure.data.catalog import Catalog
from pawsure.errors import DataError
from pawsure.features.extract import extract
from pawsure.features.prefix import PIXELS, Prefix
from pawsure.features.views import ORIGINAL, ROOM, LiveRows, Rows, View, ViewedRows
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.training.recipe import Stage


class TrainingInputs:
    """The training inputs of a stage as a function of the epoch.

    Args:
        catalog: its training pictures are used, in its order.
        prefix: is run on them.
        output: of the prefix, the input of the stage.
        stage: its augment, views and refresh decide.
        seed: of the run.
        progress: told when views are computed.
    """

    def __init__(
        self,
        catalog: Catalog,
        prefix: Prefix,
        output: str,
        stage: Stage,
        seed: int,
        progress: Progress = NO_PROGRESS,
    ) -> None:
        self._catalog = catalog
        self._indices = catalog.where("train")
        self._contents = catalog.content[self._indices]
        self._prefix = prefix
        self._output = output
        self._stage = stage
        self._seed = seed
        self._progress = progress
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="augment")

    def __call__(self, epoch: int) -> Rows:
        """The inputs of one epoch; those that are not stored yet are computed."""
        if not self._stage.is_augmented:
            return self._stored(self._prefix, [ORIGINAL])[0]
        if self._stage.views:
            return self._stored_views(epoch)
        return self._live(epoch)

    def _stored_views(self, epoch: int) -> Rows:
        """The picture and its current views; `refresh` epochs later there are new ones."""
        num_views, refresh = self._stage.views, self._stage.refresh
        first = epoch // refresh * num_views if refresh else 0
        augmented = [
            View(augmentation=self._stage.augment, number=first + number, seed=self._seed)
            for number in range(num_views)
        ]
        # Two passes: augmented views are read larger, with room to crop.
        stored = [
            *self._stored(self._prefix, [ORIGINAL]),
            *self._stored(self._prefix, augmented),
        ]
        return ViewedRows(stored, turn=epoch)

    def _live(self, epoch: int) -> Rows:
        """Pixels with room to crop, changed in another way each epoch."""
        size_px = self._prefix.size_px
        roomy = _roomy_pixels(size_px)
        pixels = self._stored(roomy, [ORIGINAL], PIXELS)[0]
        view = View(augmentation=self._stage.augment, number=epoch, seed=self._seed)
        return LiveRows(pixels, self._contents, view, size_px, self._pool.map)

    def _stored(self, prefix: Prefix, views: list[View], output: str | None = None) -> list[Rows]:
        """The stored outputs for each view; missing ones are computed."""
        output = output or self._output
        done = extract(
            self._catalog.read,
            self._catalog.content,
            self._indices,
            prefix,
            [output],
            views=views,
            progress=self._progress,
        )
        refuse_losses(self._catalog, done.problems)
        return [prefix.store(output, view.name).rows(self._contents) for view in views]


def refuse_losses(catalog: Catalog, problems: dict[int, str]) -> None:
    """Stop if pictures of the run can't be read any more.

    Args:
        catalog: of the run.
        problems: reason by index.

    Raises:
        DataError: there is one.
    """
    if not problems:
        return
    index, reason = next(iter(problems.items()))
    raise DataError(
        f"{len(problems):,} pictures can't be read any more, though they could when the run began. "
        f"The first is {catalog.path[index]}: {reason}. Put them back and resume the run, or start "
        "a new one."
    )


def _roomy_pixels(size_px: int) -> Prefix:
    """Pictures without a network, larger than the network takes."""
    side_px = math.ceil(size_px * ROOM)
    return Prefix(key="", size_px=side_px, shapes={PIXELS: (side_px, side_px, 3)}, path=None)

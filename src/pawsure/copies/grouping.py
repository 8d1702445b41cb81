"""The catalog as training, evaluation and the audit all want it: copies of any kind grouped."""

from __future__ import annotations

from pathlib import Path

from pawsure.copies.near_copies import Grouped, group_copies
from pawsure.copies.thumbnails import Thumbnails
from pawsure.data.catalog import build_catalog, check_trainable
from pawsure.data.entries import Source
from pawsure.data.images import DEFAULT_LIMITS, Limits
from pawsure.progress import NO_PROGRESS, Progress


def grouped_catalog(
    data: str | Path | Source,
    *,
    for_training: bool = True,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress = NO_PROGRESS,
) -> Grouped:
    """Look at every picture once, and group copies and near-copies.

    Thumbnails are made of the bytes that are read for the catalog, and kept by content: 3,000
    photographs take half a second more the first time, and nothing is decoded the second time.

    Args:
        data: see `pawsure.data.sources.open_source`.
        for_training: whether to insist on what training needs, near-copies counted once.
        limits: that every picture must keep.
        progress: told of every picture.

    Raises:
        DataError: as `build_catalog`.
    """
    thumbnails = Thumbnails(limits=limits)
    catalog = build_catalog(
        data, for_training=for_training, limits=limits, progress=progress, visit=thumbnails.look
    )
    thumbnails.keep(progress)
    grouped = group_copies(catalog, thumbnails, progress=progress)
    if for_training:
        check_trainable(grouped.catalog)
    return grouped

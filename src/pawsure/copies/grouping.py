"""The catalog with copies grouped, for training, evaluation and the audit."""

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
    """Read every picture once, and group copies and near-copies.

    Thumbnails are made while the catalog reads the pictures, and cached by content: 3,000
    photographs take half a second more the first time, and none is decoded the second time.

    Args:
        data: see `pawsure.data.sources.open_source`.
        for_training: whether to check the needs of training, with near-copies counted once.
        limits: for every picture.
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

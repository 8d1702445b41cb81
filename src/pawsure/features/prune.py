"""Keeping the feature store within bounds: what was not used for longest goes first."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from pawsure.errors import UsageError
from pawsure.features.prefix import features_dir

VARIABLE = "PAWSURE_CACHE_GB"

DEFAULT_GB = 30.0
"""Six views of 20,000 pictures take 5 GB at 128 pixels up to the cut of `default`."""

IN_USE_S = 24 * 3600
"""What was used in the last day may be in use, or be wanted again soon."""


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """What was let go of.

    Attributes:
        folders: stores that were removed.
        num_bytes: that they took.
    """

    folders: int
    num_bytes: int


def prune(limit_bytes: float | None = None, *, now: float | None = None) -> Pruned:
    """Remove stores until all of them together keep to a limit, the longest unused first.

    A store that was used in the last day stays, whatever the limit.

    Args:
        limit_bytes: None takes `PAWSURE_CACHE_GB`, or `DEFAULT_GB` where that is not set.
        now: seconds since the epoch.

    Raises:
        UsageError: `PAWSURE_CACHE_GB` is no number.
    """
    limit = _limit_bytes() if limit_bytes is None else limit_bytes
    stores = sorted(_stores())
    total = sum(size for _, size, _ in stores)
    oldest_in_use = (time.time() if now is None else now) - IN_USE_S
    folders = freed = 0
    for used, size, folder in stores:
        if total - freed <= limit or used > oldest_in_use:
            break
        # Under another name first: half a store must not be found by a run that starts now.
        gone = folder.with_name(f".{folder.name}.removed")
        try:
            os.replace(folder, gone)
        except OSError:
            continue  # another process was here
        shutil.rmtree(gone, ignore_errors=True)
        folders, freed = folders + 1, freed + size
    return Pruned(folders=folders, num_bytes=freed)


def _limit_bytes() -> float:
    asked = os.environ.get(VARIABLE, "")
    try:
        limit = float(asked or DEFAULT_GB)
    except ValueError:
        limit = -1.0
    if not limit >= 0:
        raise UsageError(
            f"{VARIABLE} is the size of the feature store in GB, such as {DEFAULT_GB:g}; "
            f"got '{asked}'."
        )
    return limit * 1e9


def _stores() -> list[tuple[float, int, Path]]:
    """When each was last used, the bytes that it takes, and where it lies."""
    return [
        (folder.stat().st_mtime, sum(file.stat().st_size for file in folder.iterdir()), folder)
        for prefix in _folders(features_dir())
        for folder in _folders(prefix)
    ]


def _folders(place: Path) -> list[Path]:
    return [each for each in place.iterdir() if each.is_dir()] if place.is_dir() else []

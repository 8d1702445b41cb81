"""Where pawsure keeps what can be made again: stored features, drawn and fetched data."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """The folder for pawsure's cache; it need not exist yet.

    Returns:
        `PAWSURE_CACHE` if that is set, else `pawsure` under `XDG_CACHE_HOME` (the XDG Base
        Directory Specification), else `~/.cache/pawsure`.
    """
    chosen = os.environ.get("PAWSURE_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    # The specification has relative paths ignored.
    if base and Path(base).is_absolute():
        return Path(base) / "pawsure"
    return Path.home() / ".cache" / "pawsure"

"""What systems and programs leave among pictures: thumbnails, bins, lists of their own.

The one list, for folders, archives and lists of paths alike. What a user names on the command
line is taken all the same.
"""

from __future__ import annotations

from collections.abc import Iterable

_LITTER = frozenset(
    [
        "$recycle.bin",  # Windows
        "recycler",
        "system volume information",
        "found.000",
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "lost+found",  # Linux
        "__macosx",  # Macs, in archives
        "icon\r",
        "network trash folder",
        "temporary items",
        "@eadir",  # Synology
        "#recycle",
        "#snapshot",
        "@tmp",
        "@recycle",  # QNAP
        "@recently-snapshot",
        "@sharebin",
        "@transcode",
        "lightroom previews.lrdata",
        "lightroom smart previews.lrdata",
        "previews.lrdata",
        "__pycache__",
        "node_modules",
        "sync.ffs_db",
    ]
)
"""Names in lower case; names that begin with a dot need not be listed."""

_LITTER_ENDINGS = (".lrdata", ".lrcat-data")  # of Lightroom: previews of every picture


def is_hidden(name: str) -> bool:
    """Whether one part of a path is hidden: it begins with a dot, as AppleDouble files do."""
    return name.startswith(".") and name not in (".", "..")


def is_litter(name: str) -> bool:
    """Whether one part of a path is left out of searches: hidden, or a system's own."""
    if is_hidden(name):
        return True
    name = name.casefold()
    return name in _LITTER or name.endswith(_LITTER_ENDINGS)


def litter_in(parts: Iterable[str]) -> str:
    """The first part of a path that is litter; empty if none is."""
    return next((part for part in parts if is_litter(part)), "")

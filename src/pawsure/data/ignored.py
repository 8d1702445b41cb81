"""Files and folders that systems and programs leave among pictures, such as thumbnails and bins.

The one list, for folders, archives and lists of paths alike. What a user names on the command
line is read all the same.
"""

from __future__ import annotations

from collections.abc import Iterable

# In lower case. Windows; Linux; Macs, in archives; Synology; QNAP; programs. Names that begin with
# a dot need not be listed.
_SYSTEM_NAMES = frozenset([
    "$recycle.bin", "recycler", "system volume information", "found.000", "thumbs.db",
    "ehthumbs.db", "desktop.ini",
    "lost+found",
    "__macosx", "icon\r", "network trash folder", "temporary items",
    "@eadir", "#recycle", "#snapshot", "@tmp",
    "@recycle", "@recently-snapshot", "@sharebin", "@transcode",
    "__pycache__", "node_modules", "sync.ffs_db",
])  # fmt: skip
_SYSTEM_ENDINGS = (".lrdata", ".lrcat-data")  # of Lightroom: previews of every picture


def is_hidden(name: str) -> bool:
    """Whether one part of a path is hidden: it begins with a dot, as AppleDouble files do."""
    return name.startswith(".") and name not in (".", "..")


def is_system_name(name: str) -> bool:
    """Whether one part of a path is a system's or a program's own, and not hidden."""
    name = name.casefold()
    return not is_hidden(name) and (name in _SYSTEM_NAMES or name.endswith(_SYSTEM_ENDINGS))


def first_ignored(parts: Iterable[str]) -> str:
    """The first part of a path that is hidden or a system's own; empty if none is."""
    return next((part for part in parts if is_hidden(part) or is_system_name(part)), "")

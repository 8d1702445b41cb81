"""Keeps libtiff's messages off the screen.

libtiff, which Pillow decodes compressed TIFF files with, writes "tempfile.tif: Using code not yet
in table." and the like straight to standard error, past Python's warnings and without the name of
the picture. Pillow raises an error as well, which says what matters, and leaves the messages on.
"""

from __future__ import annotations

import ctypes
from functools import cache

from PIL import _imaging  # the part of Pillow that is linked with it


@cache
def silence() -> None:
    """Take away libtiff's handlers of errors and warnings, for the process.

    Where Pillow's copy of the library does not show these two functions, as in a static build,
    its messages stay.

    Source: the manual of libtiff, "TIFFSetErrorHandler".
    """
    try:
        library = ctypes.CDLL(_imaging.__file__)  # finds what it was linked with as well
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            set_handler = getattr(library, name)
            set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            set_handler(None)
    except (OSError, AttributeError):
        return

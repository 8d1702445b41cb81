"""Keras and TensorFlow, imported without leaving files behind; no other module imports them.

The import of Keras writes its defaults into `~/.keras/keras.json` (or under `KERAS_HOME`) when
there is no such file, and TensorFlow imports Keras. Keras has no switch for it, so what the
import wrote is removed again. A file that was there before is read by Keras, and stays.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def _without_new_settings() -> Iterator[None]:
    """Remove the settings, and the folder, that Keras makes meanwhile."""
    folder = _keras_home()
    settings = folder / "keras.json"
    had_folder, had_settings = folder.exists(), settings.exists()
    try:
        yield
    finally:
        with suppress(OSError):  # not written, or not ours to remove
            if not had_settings:
                settings.unlink()
            if not had_folder:
                folder.rmdir()  # fails if there is more in it


def _keras_home() -> Path:
    """Where Keras 3 keeps its settings."""
    if "KERAS_HOME" in os.environ:
        return Path(os.environ["KERAS_HOME"])
    home = os.path.expanduser("~")
    return Path(home if os.access(home, os.W_OK) else "/tmp") / ".keras"


with _without_new_settings():
    import keras as keras
    import tensorflow as tensorflow

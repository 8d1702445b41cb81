"""Keras and TensorFlow, imported without traces or chatter; no other module imports them.

The import of Keras writes its defaults into `~/.keras/keras.json` (or under `KERAS_HOME`) when
there is no such file, and TensorFlow imports Keras. Keras has no switch for it, so what the
import wrote is removed again. A file that was there before is read by Keras, and stays.

TensorFlow reads `TF_CPP_MIN_LOG_LEVEL` when it is loaded. Where it is not set, it is 2 meanwhile:
remarks on what the processor could do help nobody who trains.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


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


@contextmanager
def _fewer_remarks() -> Iterator[None]:
    """Have TensorFlow log errors alone, unless the user has chosen."""
    is_chosen = _LOG_LEVEL in os.environ
    os.environ.setdefault(_LOG_LEVEL, "2")
    try:
        yield
    finally:
        if not is_chosen:
            del os.environ[_LOG_LEVEL]


def _keras_home() -> Path:
    """Where Keras 3 keeps its settings."""
    if "KERAS_HOME" in os.environ:
        return Path(os.environ["KERAS_HOME"])
    home = os.path.expanduser("~")
    return Path(home if os.access(home, os.W_OK) else "/tmp") / ".keras"


with _without_new_settings(), _fewer_remarks():
    import keras as keras
    import tensorflow as tensorflow

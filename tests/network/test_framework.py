"""What importing Keras and TensorFlow through pawsure leaves behind; each in its own process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pawsure

pytest.importorskip("keras")

SOURCES = str(Path(pawsure.__file__).parents[1])
IMPORT = """
import os
from pawsure.network.framework import keras, tensorflow
assert "TF_CPP_MIN_LOG_LEVEL" not in os.environ
print(keras.config.floatx())
"""


def imported(**environment: str) -> str:
    kept = {"PATH": os.environ["PATH"], "PYTHONPATH": SOURCES}
    command = [sys.executable, "-c", IMPORT]
    done = subprocess.run(command, env=kept | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_nothing_new_stays_and_what_was_there_does(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    assert imported(HOME=str(home)) == "float32"
    assert list(home.iterdir()) == []

    mine = tmp_path / "keras"
    mine.mkdir()
    (mine / "models").mkdir()
    imported(HOME=str(home), KERAS_HOME=str(mine))
    assert [path.name for path in mine.iterdir()] == ["models"]

    settings = '{"floatx": "float64"}'
    (mine / "keras.json").write_text(settings)
    assert imported(HOME=str(home), KERAS_HOME=str(mine)) == "float64"
    assert (mine / "keras.json").read_text() == settings

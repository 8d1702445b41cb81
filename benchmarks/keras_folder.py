"""A folder of pictures, the way a script does it with Keras; one side of prediction.py.

    python benchmarks/keras_folder.py MODEL.keras

Takes orders as lines of JSON on standard input: {"do": "folder" or "warm", …}; answers
each with one line.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

import keras
import numpy as np


class Side:
    """A loaded model."""

    def __init__(self, path: str) -> None:
        """Load it, as everybody does."""
        self.model = keras.saving.load_model(path, compile=False)
        self.size = self.model.input_shape[1:3]

    def folder(self, folder: str, batch_size: int) -> dict[str, Any]:
        """Seconds from the folder to all probabilities; the import and the model not counted."""
        started = time.perf_counter()
        pictures = keras.utils.image_dataset_from_directory(
            folder,
            labels=None,
            shuffle=False,
            image_size=self.size,
            batch_size=batch_size,
            verbose=False,
        )
        found = self.model.predict(pictures, verbose=0)
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "pictures": len(found), "labels": _labels(found)}

    def probabilities(self, folder: str) -> dict[str, Any]:
        """Of each label, picture by picture: what is compared before anything is timed."""
        pictures = keras.utils.image_dataset_from_directory(
            folder, labels=None, shuffle=False, image_size=self.size, verbose=False
        )
        return {"probabilities": _of_each_label(self.model.predict(pictures, verbose=0)).tolist()}

    def warm(self, picture: str, repeats: int) -> dict[str, Any]:
        """Seconds for one picture, file to probabilities; the median."""
        seconds = []
        for _ in range(repeats):
            started = time.perf_counter()
            pixels = keras.utils.load_img(picture, target_size=self.size)
            self.model.predict(keras.utils.img_to_array(pixels)[None], verbose=0)
            seconds.append(time.perf_counter() - started)
        return {"seconds": statistics.median(seconds)}


def _of_each_label(found: np.ndarray) -> np.ndarray:
    """Float (N, K); one column, of a sigmoid, is that of the second of two labels."""
    return np.hstack([1 - found, found]) if found.shape[-1] == 1 else found


def _labels(found: np.ndarray) -> list[int]:
    return _of_each_label(found).argmax(-1).tolist()


def main() -> None:
    """Obey until there are no more orders."""
    side = Side(sys.argv[1])
    print(json.dumps({"ready": keras.__version__}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(getattr(side, order.pop("do"))(**order)), flush=True)


if __name__ == "__main__":
    main()

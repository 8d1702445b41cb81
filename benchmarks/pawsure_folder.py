"""A folder of pictures, by `pawsure predict`; the other side of prediction.py.

    python benchmarks/pawsure_folder.py MODEL.onnx

Takes orders as lines of JSON on standard input: {"do": "folder", "decode", …}; answers each with
one line.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from pawsure.cli.predict import predict
from pawsure.data.images import read_file
from pawsure.data.listing import list_pictures
from pawsure.data.loader import load_batch
from pawsure.data.parallel import available_cores, in_order
from pawsure.evaluation.metrics import softmax
from pawsure.model.predictor import BATCH_SIZE, Predictor
from pawsure.onnx_runtime import onnxruntime


class Side:
    """A model file."""

    def __init__(self, path: str) -> None:
        """Load it once for one picture, once for many."""
        self.path = Path(path)
        self.alone = Predictor(path)
        self.many = Predictor(path, threads=1)

    def folder(self, folder: str) -> dict[str, Any]:
        """Seconds of the whole command, listing, loading the model and writing a CSV file too."""
        with tempfile.TemporaryDirectory() as scratch:
            out = Path(scratch, "answers.csv")
            started = time.perf_counter()
            predict(
                [Path(folder)],
                model=self.path,
                as_json=False,
                csv=out,
                parquet=None,
                jsonl=None,
                resume=False,
                evidence=None,
                batch_size=BATCH_SIZE,
            )
            seconds = time.perf_counter() - started
            rows = out.read_text(encoding="utf-8").splitlines()[1:]
        labels = [self.many.labels.index(row.split(",")[2]) for row in rows]
        return {"seconds": seconds, "pictures": len(rows), "labels": labels}

    def probabilities(self, folder: str) -> dict[str, Any]:
        """Of each label, before calibration, which the Keras model has not."""
        paths = list_pictures([folder])
        batches = self.many.predict_series(lambda row: read_file(paths[row]), np.arange(len(paths)))
        logit = np.concatenate([batch.outputs.logit for batch in batches])
        return {"probabilities": softmax(logit).tolist()}

    def settings(self, folder: str, batch_size: int, workers: int) -> dict[str, Any]:
        """Seconds of the loop alone, with other settings than the usual ones."""
        paths = list_pictures([folder])
        started = time.perf_counter()
        results = self.many.predict_paths(
            paths, batch_size=batch_size, workers=workers, evidence=False
        )
        return {"pictures": sum(1 for _ in results), "seconds": time.perf_counter() - started}

    def warm(self, picture: str, repeats: int) -> dict[str, Any]:
        """Seconds for one picture, file to answer; the median."""
        seconds = []
        for _ in range(repeats):
            started = time.perf_counter()
            self.alone(picture)
            seconds.append(time.perf_counter() - started)
        return {"seconds": statistics.median(seconds)}

    def decode(self, folder: str) -> dict[str, Any]:
        """Seconds to read, decode and resize, on all cores, and nothing else."""
        paths = list_pictures([folder])
        rows = np.split(np.arange(len(paths)), range(BATCH_SIZE, len(paths), BATCH_SIZE))

        def load(some: np.ndarray) -> None:
            load_batch(lambda row: read_file(paths[row]), some, size_px=self.many.size_px)

        return {"pictures": len(paths), "seconds": _seconds(load, rows)}

    def network(self, num_pictures: int) -> dict[str, Any]:
        """Seconds of the network, on all cores, and nothing else."""
        size = self.many.size_px
        pictures = np.random.default_rng(0).integers(
            0, 256, (BATCH_SIZE, size, size, 3), dtype=np.uint8
        )
        passes = range(max(1, num_pictures // BATCH_SIZE))
        seconds = _seconds(lambda _: self.many.predict_batch(pictures), passes)
        return {"pictures": len(passes) * BATCH_SIZE, "seconds": seconds}


def _seconds(function: Any, items: Any) -> float:
    """Of a function over items, by as many threads as there are cores."""
    cores = available_cores()
    started = time.perf_counter()
    for _ in in_order(function, items, workers=cores, ahead=4 * cores):
        pass
    return time.perf_counter() - started


def main() -> None:
    """Obey until there are no more orders."""
    side = Side(sys.argv[1])
    print(json.dumps({"ready": onnxruntime.__version__}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(getattr(side, order.pop("do"))(**order)), flush=True)


if __name__ == "__main__":
    main()

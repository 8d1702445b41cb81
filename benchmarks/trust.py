"""What calibration, "unsure" and "neither" are worth: the figures of docs/trust.md.

    python benchmarks/trust.py RUN DATA STRANGERS [OUT.json]

RUN is the folder of a run on DATA, STRANGERS a folder of class folders of things that are none
of the labels and that the run was not shown. Measured: calibration error, errors among answered
pictures, strangers accepted when 5% of the test pictures are rejected, what the model file grew
by, and the time of a whole prediction against that of the bare logits, the two
in turn, forty turns; medians, least and most.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).parent))
from agreement import require_close, require_same  # noqa: E402

from pawsure.copies.grouping import grouped_catalog  # noqa: E402
from pawsure.data.images import read  # noqa: E402
from pawsure.data.sources import list_pictures  # noqa: E402
from pawsure.data.split import assign_splits  # noqa: E402
from pawsure.evaluation.measure import share_figure  # noqa: E402
from pawsure.graph.prune import keep_output  # noqa: E402
from pawsure.model.predictor import Predictor  # noqa: E402
from pawsure.onnx_runtime import make_session, onnxruntime  # noqa: E402
from pawsure.training.recipe import recipe_from_text  # noqa: E402
from pawsure.trust.familiarity import auroc  # noqa: E402

TURNS = 40


def main() -> None:
    run, data, folder = sys.argv[1:4]
    figures = measure(Path(run), data, Path(folder))
    text = json.dumps(figures, indent=1)
    print(text)
    if len(sys.argv) > 4:
        Path(sys.argv[4]).write_text(text + "\n")


def measure(run: Path, data: str, folder: Path) -> dict[str, Any]:
    metrics = json.loads((run / "metrics.json").read_text())
    model = onnx.load(run / "model.onnx")
    predictor = Predictor(run)
    recipe = recipe_from_text((run / "recipe.toml").read_text(), "recipe")
    catalog = assign_splits(grouped_catalog(data).catalog, seed=recipe.seed, **asdict(recipe.split))
    # Otherwise some of these test pictures may be such that the run learned from.
    prints = {"the run": predictor.metadata.data_fingerprint, "DATA": catalog.fingerprint}
    require_same("pictures or splits", prints)
    paths = list_pictures([folder])
    calibration = metrics["trust"]["calibration"]["test"]
    return {
        "run": str(run.name),
        "labels": list(predictor.labels),
        "test": {
            "n": metrics["test"]["n"],
            "accuracy": metrics["test"]["accuracy"],
            "calibration_error": {
                when: calibration[when]["calibration_error"] for when in ("before", "after")
            },
            "log_loss": {when: calibration[when]["log_loss"] for when in ("before", "after")},
            "answers": metrics["test"]["answers"],
        },
        "calibration": {key: metrics["trust"]["calibration"][key] for key in ("method", "trials")},
        "unsure": metrics["trust"]["unsure"],
        "ood": {
            "n": len(paths),
            **strangers_accepted(
                predict(predictor, catalog.read, catalog.where("test")),
                predict(predictor, lambda row: paths[row].read_bytes(), np.arange(len(paths))),
            ),
        },
        "growth_bytes": growth(model),
        "time": {str(size): timed(run / "model.onnx", model, catalog, size) for size in (1, 32)},
        "time_from_file": timed_from_file(run / "model.onnx", model, paths[0]),
    }


def predict(predictor: Predictor, read_bytes: Any, rows: np.ndarray) -> np.ndarray:
    """Familiarity by the file as it is shipped."""
    batches = predictor.predict_series(read_bytes, rows)
    return np.concatenate([batch.outputs.familiarity for batch in batches])


def strangers_accepted(test: np.ndarray, strange: np.ndarray) -> dict[str, Any]:
    """At the threshold that rejects 5% of the test pictures, and at the one in the file."""
    limit = np.quantile(test, 0.05)
    return {
        "accepted": share_figure(int((strange >= limit).sum()), len(strange)),
        "auroc": auroc(test, strange),
        "at_0.05": {
            "test_rejected": share_figure(int((test < 0.05).sum()), len(test)),
            "accepted": share_figure(int((strange >= 0.05).sum()), len(strange)),
        },
    }


def growth(model: onnx.ModelProto) -> int:
    """Bytes of everything that calibration and familiarity brought."""
    parts = [*model.graph.node, *model.graph.initializer]
    return sum(
        part.ByteSize() for part in parts if part.name.startswith(("familiarity", "calibration"))
    )


def timed(path: Path, model: onnx.ModelProto, catalog: Any, size: int) -> dict[str, Any]:
    """Milliseconds a batch: everything that a predictor asks for, and bare logits."""
    predictor = Predictor(path)
    rows = catalog.where("test")[:size]
    pictures = np.stack([read(catalog.read(row), size_px=predictor.size_px) for row in rows])
    bare = session(keep_output(model, "logit"))
    require_same_logits(
        predictor.predict_batch(pictures).logit, bare.run(["logit"], {"image": pictures})[0]
    )
    repeats = 10 if size == 1 else 1
    return in_turn(
        lambda: predictor.answer(predictor.predict_batch(pictures), 0),
        lambda: bare.run(["logit"], {"image": pictures}),
        repeats,
    )


def require_same_logits(whole: np.ndarray, bare: np.ndarray) -> None:
    """Both graphs run the same network."""
    require_same("numbers of logits", {"whole": whole.shape, "bare": bare.shape})
    values = {"whole": float(np.abs(whole - bare).max()), "bare": 0.0}
    require_close("the largest logit difference", values, tolerance=1e-3)


def timed_from_file(path: Path, model: onnx.ModelProto, picture: Path) -> dict[str, Any]:
    """Milliseconds from a file to an answer, and to bare logits."""
    predictor = Predictor(path)
    bare = session(keep_output(model, "logit"))

    def plain() -> np.ndarray:
        pixels = read(picture, size_px=predictor.size_px)
        return bare.run(["logit"], {"image": pixels[np.newaxis]})[0]

    pixels = read(picture, size_px=predictor.size_px)
    require_same_logits(predictor.predict_batch(pixels[np.newaxis]).logit, plain())
    return in_turn(lambda: predictor(picture), plain, 10)


def in_turn(whole: Any, bare: Any, repeats: int) -> dict[str, Any]:
    spent: dict[str, list[float]] = {"whole": [], "bare": []}
    for turn in range(TURNS + 1):
        for name, call in (("whole", whole), ("bare", bare)):
            started = time.perf_counter()
            for _ in range(repeats):
                call()
            if turn:  # the first warms up
                spent[name].append(1000 * (time.perf_counter() - started) / repeats)
    ratios = [one / other for one, other in zip(spent["whole"], spent["bare"], strict=True)]
    return {
        "whole_ms": statistics.median(spent["whole"]),
        "bare_ms": statistics.median(spent["bare"]),
        "ratio": statistics.median(ratios),
        "ratio_least": min(ratios),
        "ratio_most": max(ratios),
        # The least of many turns is what neighbours on the machine disturb least.
        "ratio_of_least": min(spent["whole"]) / min(spent["bare"]),
    }


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """Set up as the predictor sets up its own."""
    entries = {"session.intra_op.allow_spinning": "0"}
    return make_session(model.SerializeToString(), entries=entries)


if __name__ == "__main__":
    main()

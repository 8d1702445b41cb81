"""The seed's recipe: a plain Keras script against `pawsure train --recipe classic`.

    python benchmarks/training.py MANIFEST.csv [--seed 0] [--json OUT.json]

Both train on the same files from the same ImageNet weights, whole processes, one after the
other in one run on an otherwise idle machine. The pictures that pawsure holds out as its test
split are left out of the plain script's folders too, so that neither has more to learn from.
pawsure starts with an empty cache: nothing of an earlier run helps it. A second run of it, with
the cache that the first one filled, is timed as well. KERAS_HOME must hold the weights.

Where the sides did not train on as many pictures for as many epochs, or ended far apart, or the
second run trained otherwise than the first, no ratio is given (exit code 1).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from agreement import require_close, require_same  # noqa: E402

from pawsure.copies.grouping import grouped_catalog  # noqa: E402
from pawsure.data.catalog import Catalog  # noqa: E402
from pawsure.data.split import assign_splits  # noqa: E402
from pawsure.network.backbones import BACKBONES  # noqa: E402
from pawsure.network.weights import find_imagenet_file  # noqa: E402
from pawsure.training.recipe import load_recipe  # noqa: E402

ACCURACY_TOLERANCE = 0.05
"""Of the best validation accuracy of a stage: seeds of one side differ by about three points."""

PLAIN = Path(__file__).with_name("plain_keras.py")


def main() -> None:
    """Run both, print seconds, their ratio and the accuracies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    weights = find_imagenet_file(BACKBONES["mobilenet_v2"], 128)
    if weights is None:
        sys.exit("KERAS_HOME has no ImageNet weights of MobileNetV2.")
    recipe = load_recipe("classic")
    catalog = assign_splits(
        grouped_catalog(arguments.manifest).catalog, seed=arguments.seed, **asdict(recipe.split)
    )
    with tempfile.TemporaryDirectory() as folder:
        figures = _compare(Path(folder), catalog, arguments.manifest, weights, arguments.seed)
    text = json.dumps(figures, indent=2)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")
    _show(figures)


def _compare(
    folder: Path, catalog: Catalog, manifest: Path, weights: Path, seed: int
) -> dict[str, Any]:
    _link(catalog, manifest.parent, folder / "plain")
    plain_out = folder / "plain.json"
    plain_s = _timed([sys.executable, PLAIN, folder / "plain", weights, plain_out, str(seed)], {})
    plain = json.loads(plain_out.read_text(encoding="utf-8"))
    cache = {"PAWSURE_CACHE": str(folder / "cache")}
    seconds = []
    for out in ("first", "second"):
        command = [sys.executable, "-m", "pawsure", "train", manifest, "--recipe", "classic"]
        command += ["--out", folder / out, "--seed", str(seed)]
        seconds.append(_timed(command, cache))
    ours, again = (
        json.loads((folder / out / "metrics.json").read_text(encoding="utf-8"))
        for out in ("first", "second")
    )
    require_same_training(plain, ours, again)
    stages = {stage["name"]: stage["history"] for stage in ours["stages"]}
    return {
        "pictures": {split: len(catalog.where(split)) for split in ("train", "validation")},
        "plain_s": plain_s,
        "pawsure_s": seconds[0],
        "pawsure_again_s": seconds[1],
        "ratio": plain_s / seconds[0],
        "ratio_again": plain_s / seconds[1],
        "plain": {
            name: {
                "validation_accuracy": history["val_accuracy"],
                "validation_loss": history["val_loss"],
            }
            for name, history in plain.items()
            if isinstance(history, dict) and "val_accuracy" in history
        },
        "pawsure": {
            name: {key: [row[key] for row in rows] for key in
                   ("validation_accuracy", "validation_loss")}
            for name, rows in stages.items()
        },
        "pawsure_parts_s": ours["seconds"],
    }  # fmt: skip


def require_same_training(
    plain: dict[str, Any], ours: dict[str, Any], again: dict[str, Any]
) -> None:
    """Both sides trained on as much for as long, to about the same end.

    Args:
        plain: what the plain script wrote: "pictures" by split, histories by stage.
        ours: metrics.json of the first run.
        again: of the second.
    """
    for split in ("train", "validation"):
        own = sum(ours["counts"][split].values())
        require_same(f"{split} pictures", {"plain": plain["pictures"][split], "pawsure": own})
    for stage, repeated in zip(ours["stages"], again["stages"], strict=True):
        name, history = stage["name"], stage["history"]
        epochs = {"plain": len(plain[name]["val_accuracy"]), "pawsure": len(history)}
        require_same(f"epochs of {name}", epochs)
        best = {
            "plain": max(plain[name]["val_accuracy"]),
            "pawsure": max(row["validation_accuracy"] for row in history),
        }
        require_close(f"the best validation accuracy of {name}", best, tolerance=ACCURACY_TOLERANCE)
        for one, other in zip(history, repeated["history"], strict=True):
            losses = {"first": one["validation_loss"], "second": other["validation_loss"]}
            require_close(
                f"the validation loss of {name}, epoch {one['epoch']}", losses, tolerance=1e-3
            )


def _link(catalog: Catalog, root: Path, folder: Path) -> None:
    """Train and validation pictures as folders of links, the way the script wants them."""
    for split in ("train", "validation"):
        for row in catalog.where(split):
            path = Path(root, catalog.path[row]).resolve()
            link = folder / split / catalog.labels[catalog.label[row]] / f"{row}{path.suffix}"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)


def _timed(command: list[Any], environment: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run(list(map(str, command)), check=True, env={**os.environ, **environment})
    return round(time.perf_counter() - started, 2)


def _show(figures: dict[str, Any]) -> None:
    print(f"plain Keras      {figures['plain_s']:7.1f} s")
    print(f"pawsure          {figures['pawsure_s']:7.1f} s  {figures['ratio']:.1f} times faster")
    print(
        f"pawsure, again   {figures['pawsure_again_s']:7.1f} s  "
        f"{figures['ratio_again']:.1f} times faster"
    )
    for who in ("plain", "pawsure"):
        for stage, history in figures[who].items():
            accuracy, loss = history["validation_accuracy"], history["validation_loss"]
            print(
                f"{who:8} {stage:10} accuracy {accuracy[-1]:.3f} at the end, {max(accuracy):.3f} "
                f"at best; loss {min(loss):.3f} at best, {loss[-1]:.3f} at the end"
            )


if __name__ == "__main__":
    main()

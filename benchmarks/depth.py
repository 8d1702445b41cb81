"""How deep to learn: `train_from = "auto"` against every fixed depth, on the same pictures.

    python benchmarks/depth.py DATA --runs DIR [--recipe default] [--stage fine-tune]
                               [--depths head,0.65,0.25,0.1] [--seeds 0,1,2] [--json OUT.json]

Each run is a process of its own, `pawsure train DATA --recipe R --seed S --set
fine-tune.train_from=DEPTH`; "head" is the recipe `fast`, which has the same head and nothing more.
Runs stay in DIR and are not repeated. What each model file said of the held-out pictures
(`predictions.parquet`) is compared picture by picture: mean difference of the log loss, auto less
fixed, and its standard error; runs that judged other pictures are not compared (exit code 1). Only
the validation pictures are the same for all seeds, so the seeds together are compared on these,
each picture's losses averaged over the seeds first: runs that differ in their seed are no new
pictures. Above 1.645 standard errors auto is worse by more than noise.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parent))
from agreement import require_same  # noqa: E402

AUTO = "auto"
NOISE = 1.645


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--stage", default="fine-tune")
    parser.add_argument("--depths", default="head,0.65,0.25,0.1")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    depths = [AUTO, *arguments.depths.split(",")]
    runs = {(depth, seed): _run(arguments, depth, seed) for seed in seeds for depth in depths}
    for seed in seeds:
        judged = {depth: runs[depth, seed]["judged"] for depth in depths}
        require_same(f"validation pictures of seed {seed}", judged)
    require_same(
        "validation pictures of the seeds", {seed: runs[AUTO, seed]["judged"] for seed in seeds}
    )
    told = {
        "data": arguments.data.name,
        "recipe": arguments.recipe,
        "runs": [
            {"depth": depth, "seed": seed, **run["figures"]} for (depth, seed), run in runs.items()
        ],
        "auto_less_fixed": {
            depth: _compared(
                [runs[AUTO, seed]["loss"] for seed in seeds],
                [runs[depth, seed]["loss"] for seed in seeds],
            )
            for depth in depths[1:]
        },
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    print("\n".join(_table(told, depths, seeds)))


def _run(arguments: argparse.Namespace, depth: str, seed: int) -> dict[str, Any]:
    """Figures of one run and its loss on each validation picture; trained where missing."""
    out = arguments.runs / f"{depth}-{seed}"
    if not (out / "metrics.json").exists():
        command = [sys.executable, "-m", "pawsure", "train", str(arguments.data), "--json"]
        if (out / "recipe.toml").exists():
            command += ["--resume", str(out)]
        elif depth == "head":
            command += ["--recipe", "fast", "--seed", str(seed), "--out", str(out)]
        else:
            value = json.dumps(depth) if depth == AUTO else depth
            command += ["--recipe", arguments.recipe, "--seed", str(seed), "--out", str(out)]
            command += ["--set", f"{arguments.stage}.train_from={value}"]
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
        print(f"{out.name}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    paths, losses = _losses(out / "predictions.parquet")
    digest = hashlib.sha256("\n".join(paths).encode("utf-8", "surrogateescape")).hexdigest()
    return {
        "figures": {
            "seconds": metrics["seconds"]["all"],
            **{
                f"{split}_{figure}": metrics[split][figure]["value"]
                for split in ("validation", "test")
                for figure in ("accuracy", "log_loss")
            },
            "tried": [trial for stage in metrics["stages"] for trial in stage["depth"]],
        },
        "loss": losses,
        "judged": f"{len(paths):,} pictures {digest[:8]}",
    }


def _losses(path: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """Paths, and minus the logarithm of the true label's probability of each: float64 (M,)."""
    table = pq.read_table(path)
    labels = json.loads(table.schema.metadata[b"pawsure.labels"])
    rows = sorted(
        (row for row in table.to_pylist() if row["split"] == "validation"),
        key=lambda row: row["path"],
    )
    right = [row["probability"][labels.index(row["label"])] for row in rows]
    return tuple(row["path"] for row in rows), -np.log(np.maximum(right, 1e-12))


def _compared(auto: list[np.ndarray], fixed: list[np.ndarray]) -> dict[str, Any]:
    """By seed, and of the pictures' means over the seeds."""
    gains = np.stack(auto) - np.stack(fixed)
    each = [_mean_and_error(row) for row in gains]
    mean, error = _mean_and_error(gains.mean(axis=0))
    return {
        "by_seed": [{"mean": one, "standard_error": other} for one, other in each],
        "mean": mean,
        "standard_error": error,
        "is_worse": mean > NOISE * error,
    }


def _mean_and_error(values: np.ndarray) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))


def _table(told: dict[str, Any], depths: list[str], seeds: list[int]) -> list[str]:
    lines = [
        f"| frozen | validation, seeds {', '.join(map(str, seeds))} | log loss | seconds "
        "| auto less this | worse by more than noise |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for depth in depths:
        runs = [run for run in told["runs"] if run["depth"] == depth]
        right = ", ".join(f"{run['validation_accuracy']:.1%}" for run in runs)
        loss = sum(run["validation_log_loss"] for run in runs) / len(runs)
        seconds = sorted(run["seconds"] for run in runs)[len(runs) // 2]
        line = f"| {depth} | {right} | {loss:.4f} | {seconds:.0f} "
        if depth != AUTO:
            found = told["auto_less_fixed"][depth]
            line += f"| {found['mean']:+.4f} ± {found['standard_error']:.4f} "
            line += f"| {'yes' if found['is_worse'] else 'no'} |"
        else:
            line += "| | |"
        lines.append(line)
    return lines


if __name__ == "__main__":
    main()

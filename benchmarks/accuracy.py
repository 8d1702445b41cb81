"""What each recipe reaches: accuracy with its interval, log loss and seconds.

    python benchmarks/accuracy.py DATA --runs DIR [--recipes fast,default,default@224,classic]
                                  [--seeds 0,1,2] [--json OUT.json]

Each run is a process of its own, `pawsure train DATA --recipe R --seed S`; `R@224` adds
`--image-size 224`, and a path to a TOML file is a recipe too. Runs stay in DIR: one that is
finished is not run again, one that was cut off is gone on with, so that a table of hours can
be made in pieces. The feature store is shared between runs, as it is for any user; "seconds"
is therefore the time of that run, and `computed` says how many pictures it had to read.

Recipes are compared on the same pictures: where the runs of a seed had other splits, nothing is
printed (exit code 1). The seed draws the splits where the data do not give them, so the seeds' test
pictures differ; the interval is for all of them together (Wilson, 95%).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from agreement import require_same  # noqa: E402

from pawsure.data.saved_catalog import saved_fingerprint  # noqa: E402
from pawsure.evaluation.intervals import wilson  # noqa: E402


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--recipes", default="fast,default,thorough,classic")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    for recipe in arguments.recipes.split(","):
        runs = [
            _run(arguments.data, recipe, int(seed), arguments.runs)
            for seed in arguments.seeds.split(",")
        ]
        rows.append({"recipe": recipe, **_together(runs), "runs": runs})
        _require_same_pictures(rows)
        print(_line(rows[-1]), flush=True)
    if arguments.json:
        table = {"data": arguments.data.name, "recipes": rows}
        arguments.json.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
    print("\n".join(["", *_table(rows)]))


def _require_same_pictures(rows: list[dict[str, Any]]) -> None:
    """All recipes learned from and were measured on the same pictures, seed by seed."""
    for place, run in enumerate(rows[0]["runs"]):
        prints = {row["recipe"]: row["runs"][place]["fingerprint"] for row in rows}
        require_same(f"pictures or splits of seed {run['seed']}", prints)


def _run(data: Path, recipe: str, seed: int, folder: Path) -> dict[str, Any]:
    """One finished run's figures; run first where they are missing."""
    name, _, size_px = recipe.partition("@")
    out = folder / f"{data.stem}-{Path(name).stem}{size_px and f'-{size_px}'}-{seed}"
    told = out / "seconds.json"
    if not told.exists():
        command = [sys.executable, "-m", "pawsure", "train", str(data), "--json"]
        if (out / "recipe.toml").exists():
            command += ["--resume", str(out)]
        else:
            command += ["--recipe", name, "--seed", str(seed), "--out", str(out)]
            command += ["--image-size", size_px] if size_px else []
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
        seconds = time.perf_counter() - started
        told.write_text(json.dumps({"seconds": round(seconds, 1), "whole": "--out" in command}))
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    return {
        "seed": seed,
        "fingerprint": saved_fingerprint(out / "catalog.parquet"),
        **json.loads(told.read_text()),
        **{split: _figures(metrics[split]) for split in ("validation", "test")},
        "counts": metrics["counts"],
        "depth": [trial for stage in metrics["stages"] for trial in stage["depth"]],
        "rise": _rise(metrics),
    }


def _figures(split: dict[str, Any]) -> dict[str, Any]:
    accuracy = split["accuracy"]["value"]
    return {
        "n": split["n"],
        "right": round(accuracy * split["n"]),
        "accuracy": accuracy,
        "log_loss": split["log_loss"]["value"],
    }


def _rise(metrics: dict[str, Any]) -> float:
    """By how much the last stage's validation loss ends above its lowest."""
    losses = [row["validation_loss"] for row in metrics["stages"][-1]["history"]]
    return losses[-1] - min(losses)


def _together(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """All seeds in one row."""
    found: dict[str, Any] = {"seconds": sorted(run["seconds"] for run in runs)[len(runs) // 2]}
    for split in ("validation", "test"):
        count = sum(run[split]["n"] for run in runs)
        right = sum(run[split]["right"] for run in runs)
        interval = wilson(right, count)
        found[split] = {
            "accuracy": right / count,
            "low": interval.low,
            "high": interval.high,
            "log_loss": sum(run[split]["log_loss"] for run in runs) / len(runs),
        }
    return found


def _line(row: dict[str, Any]) -> str:
    values = ", ".join(f"{run['validation']['accuracy']:.1%}" for run in row["runs"])
    return f"{row['recipe']}: validation {values}; {row['seconds']:.0f} s"


def _table(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| recipe | validation | log loss | test (95% interval) | log loss | seconds |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        held, test = row["validation"], row["test"]
        lines.append(
            f"| `{row['recipe']}` | {held['accuracy']:.1%} | {held['log_loss']:.3f} "
            f"| {test['accuracy']:.1%} ({test['low']:.1%} to {test['high']:.1%}) "
            f"| {test['log_loss']:.3f} | {row['seconds']:.0f} |"
        )
    return lines


if __name__ == "__main__":
    main()

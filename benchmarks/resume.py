"""Kill training with signal 9 at random moments, go on with it, and compare the models' bits.

    python benchmarks/resume.py DATA --runs DIR [--recipe default] [--kills 5] [--json OUT.json]

One run is left alone; it also fills the feature store. Then, as often as asked for, the same run
is started again, killed at a moment drawn from the whole of its time, and gone on with by
`--resume` (or started again, where it was killed before it had a run folder). Every model file
must be the first one's, byte for byte.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Run, kill, go on, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    start = [sys.executable, "-m", "pawsure", "train", str(arguments.data)]
    start += ["--recipe", arguments.recipe]
    out = arguments.runs / "whole"
    _run([*start, "--out", str(out)])  # fills the store, so that the next ones take as long
    moment_of = random.Random(arguments.seed)
    wanted = _digest(out)
    seconds = json.loads((out / "metrics.json").read_text(encoding="utf-8"))["seconds"]["all"]
    kills = []
    for number in range(arguments.kills):
        out = arguments.runs / f"killed-{number}"
        kills.append(_kill_and_go_on(start, out, moment_of.uniform(1.0, seconds)))
        kills[-1]["same"] = _digest(out) == wanted
        print(kills[-1], flush=True)
    same = sum(kill["same"] for kill in kills)
    print(f"{same} of {len(kills)} runs ended with the same model, byte for byte.")
    if arguments.json:
        told = {"recipe": arguments.recipe, "seconds": seconds, "kills": kills}
        arguments.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    sys.exit(same < len(kills))


def _kill_and_go_on(start: list[str], out: Path, after_s: float) -> dict[str, Any]:
    """Kill the run once, wherever it is by then; let it come to its end after that."""
    process = subprocess.Popen(
        [*start, "--out", str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(after_s)
    was_running = process.poll() is None
    process.kill()
    process.wait()
    history = out / "history.csv"
    epochs = len(history.read_text(encoding="utf-8").splitlines()) - 1 if history.exists() else 0
    if (out / "recipe.toml").exists():
        if not (out / "metrics.json").exists():
            _run([*start[: start.index("--recipe")], "--resume", str(out)])
    else:
        _run([*start, "--out", str(out)])
    return {"after_s": round(after_s, 1), "was_running": was_running, "epochs_done": epochs}


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr[-2000:]}")


def _digest(out: Path) -> str:
    return hashlib.sha256((out / "model.onnx").read_bytes()).hexdigest()


if __name__ == "__main__":
    main()

"""One picture, whole process: `pawsure predict` against a script that does it with Keras.

    python benchmarks/cold_start.py RUN PICTURE [--repeats 7] [--json OUT.json]

RUN is a run folder with both model.onnx and model.keras of the same network; they have to give
the same labels to the pictures beside PICTURE, or nothing is measured. The two take turns; the
ratio is of the medians, and the spread of both is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from agreement import require_same_answers  # noqa: E402

PLAIN = Path(__file__).with_name("plain_predict.py")


def take_turns(commands: dict[str, list[object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of whole processes, one after the other, as often as asked for."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(repeats):
        for name, command in commands.items():
            started = time.perf_counter()
            subprocess.run(
                list(map(str, command)),
                check=True,
                capture_output=True,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
            )
            seconds[name].append(round(time.perf_counter() - started, 3))
    return seconds


def main() -> None:
    """Take turns, print medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    same = require_same_answers(
        {"pawsure": arguments.run / "model.onnx"},
        arguments.run / "model.keras",
        arguments.picture.resolve().parent,
    )
    model = ["--model", arguments.run / "model.onnx"]
    commands = {
        "pawsure": [sys.executable, "-m", "pawsure", "predict", arguments.picture, *model],
        "keras": [sys.executable, PLAIN, arguments.run / "model.keras", arguments.picture],
    }
    seconds = take_turns(commands, arguments.repeats)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ratio = medians["keras"] / medians["pawsure"]
    for name, values in seconds.items():
        print(f"{name:8} {medians[name]:.3f} s ({min(values):.3f} to {max(values):.3f})")
    print(f"pawsure is {ratio:.1f} times faster, with {same['pawsure']:.1%} of labels the same")
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"seconds": seconds, "medians": medians, "ratio": ratio}, indent=2) + "\n",
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()

"""`pawsure predict` against Keras: start, one picture, folders, memory, kills.

    python benchmarks/prediction.py RUN PICTURES [--int8 MODEL] [--json OUT.json]

RUN is a run folder with model.onnx and model.keras of the same network, PICTURES a folder of
JPEGs, --int8 a model file of `pawsure export RUN --to int8`. What is measured:

- cold: one picture, whole process, to the printed answer (plain_predict.py on Keras's side);
- warm: one picture, model loaded, file to answer;
- folder: a folder of links to PICTURES, listing to CSV file, against
  `image_dataset_from_directory` and `model.predict` at the best of some batch sizes, neither with
  its import; and the parts that pawsure's is made of, decoding alone and the network alone, each
  on all cores. Both share the cores, so that no more than 1/(1/decoding + 1/network) is possible;
- memory: resident memory while a folder of --pictures is answered for;
- kills: the same, killed by signal 9 at random moments and gone on with: the file has to be that
  of the run that was never killed;
- settings (only when asked for by --only): batch sizes and numbers of workers.

Before anything is timed against Keras, both sides answer for some pictures; where they disagree
on more than a few labels, they do not do the same work, and nothing is measured (exit code 1).

Both sides take turns, each in a process of its own that sleeps while the other works; a ratio is
one of medians. Links and tables lie in a scratch folder that goes in the end.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from agreement import (  # noqa: E402
    LABELS_OF_RESIZED,
    Side,
    first_pictures,
    linked,
    require_same,
    require_same_answers,
    require_same_labels,
)
from cold_start import PLAIN, take_turns  # noqa: E402

PARTS = ("cold", "warm", "folder", "memory", "kills")
AGAINST_KERAS = {"cold", "warm", "folder"}
KERAS_BATCHES = (32, 64, 128)
SAMPLE_EVERY_S = 0.2


def main() -> None:
    """Measure what is asked for; print and keep it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path, metavar="PICTURES")
    parser.add_argument("--int8", type=Path)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--folder-pictures", type=int, default=3_000)
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--many", type=Path, help="for memory and kills, in place of PICTURES")
    parser.add_argument("--kinds", default="csv,parquet", help="of table that are killed")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--timeout-s", type=float, default=3_600, help="of one whole run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    models = {"float32": arguments.run / "model.onnx"}
    if arguments.int8:
        models["int8"] = arguments.int8
    told: dict[str, Any] = {"machine": _machine(), "arguments": " ".join(sys.argv[1:])}
    wanted = arguments.only.split(",")
    if AGAINST_KERAS & set(wanted):
        keras = arguments.run / "model.keras"
        told["same_label_as_keras"] = require_same_answers(models, keras, arguments.folder)
    for part in wanted:
        with tempfile.TemporaryDirectory(prefix="prediction-") as scratch:
            told[part] = globals()[f"measure_{part}"](arguments, models, Path(scratch))
        print(f"{part}: {json.dumps(told[part], indent=2)}", flush=True)
        told["load_after"] = os.getloadavg()
        if arguments.json:
            arguments.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    kills = told.get("kills", {})
    for kind in arguments.kinds.split(","):
        if kind in kills and not kills[kind]["same"]:
            sys.exit(f"The {kind} file of the killed runs is not that of the run left alone.")


def measure_cold(arguments: argparse.Namespace, models: dict, scratch: Path) -> dict[str, Any]:
    picture = first_pictures(arguments.folder, 1)[0]
    keras = [sys.executable, PLAIN, arguments.run / "model.keras", picture]
    commands = {name: [*_predict(model), picture] for name, model in models.items()}
    seconds = take_turns({**commands, "keras": keras}, arguments.turns)
    return _compared(seconds, more_is_better=False) | {"unit": "s"}


def measure_warm(arguments: argparse.Namespace, models: dict, scratch: Path) -> dict[str, Any]:
    picture = str(first_pictures(arguments.folder, 1)[0])
    sides = _sides(arguments, models)
    milliseconds: dict[str, list[float]] = {name: [] for name in sides}
    for side in sides.values():
        side.do("warm", picture=picture, repeats=5)
    for _ in range(arguments.turns):
        for name, side in sides.items():
            done = side.do("warm", picture=picture, repeats=30)
            milliseconds[name].append(round(done["seconds"] * 1e3, 3))
    _close(sides)
    return _compared(milliseconds, more_is_better=False) | {"unit": "ms"}


def measure_folder(arguments: argparse.Namespace, models: dict, scratch: Path) -> dict[str, Any]:
    folder = str(linked(arguments.folder, scratch / "pictures", arguments.folder_pictures))
    few = str(linked(arguments.folder, scratch / "few", 4 * max(KERAS_BATCHES)))
    sides = _sides(arguments, models)
    keras = sides["keras"]
    by_batch = {}
    for batch_size in KERAS_BATCHES:
        keras.do("folder", folder=few, batch_size=batch_size)
        by_batch[batch_size] = keras.rate("folder", folder=few, batch_size=batch_size)
    best = max(by_batch, key=by_batch.__getitem__)
    names = [name for name in sides if name != "keras"]
    rates: dict[str, list[float]] = {name: [] for name in [*names, "keras"]}
    parts: dict[str, dict[str, list[float]]] = {
        name: {"decode": [], "network": []} for name in names
    }
    labels: dict[str, list[int]] = {}
    for name in names:
        sides[name].do("folder", folder=few)
    sides["keras"] = sides.pop("keras")  # last: what the others are compared with
    for _ in range(arguments.turns):
        for name, side in sides.items():
            order = {"batch_size": best} if name == "keras" else {}
            done = side.do("folder", folder=folder, **order)
            rates[name].append(round(done["pictures"] / done["seconds"], 1))
            labels[name] = done["labels"]
            if name != "keras":
                count = arguments.folder_pictures
                for part, what in (("decode", {"folder": folder}), ("network", {})):
                    given = what or {"num_pictures": count}
                    parts[name][part].append(round(side.rate(part, **given), 1))
    _close(sides)
    same = require_same_labels(labels, tolerance=LABELS_OF_RESIZED)
    told = _compared(rates, more_is_better=True) | {
        "unit": "pictures a second",
        "pictures": arguments.folder_pictures,
        "keras_by_batch_size": {size: round(rate, 1) for size, rate in by_batch.items()},
        "parts": parts,
        "same_label_as_keras": same,
    }
    told["limit"], told["share_of_limit"] = {}, {}
    for name in names:
        decode, network = (statistics.median(parts[name][part]) for part in parts[name])
        told["limit"][name] = round(1 / (1 / decode + 1 / network), 1)
        told["share_of_limit"][name] = round(told["medians"][name] / told["limit"][name], 3)
    return told


def measure_settings(arguments: argparse.Namespace, models: dict, scratch: Path) -> dict[str, Any]:
    folder = str(linked(arguments.folder, scratch / "pictures", arguments.folder_pictures))
    cores = os.cpu_count() or 1
    settings = [
        (size, workers)
        for size in (4, 8, 16, 32)
        for workers in sorted({max(1, cores - 1), cores, cores + 1, 2 * cores})
    ]
    told: dict[str, Any] = {}
    for name, model in models.items():
        side = Side("pawsure_folder.py", model)
        rates: dict[str, list[float]] = {f"{size} x {workers}": [] for size, workers in settings}
        for _ in range(arguments.turns):
            for size, workers in settings:
                done = side.do("settings", folder=folder, batch_size=size, workers=workers)
                answered = {"asked": arguments.folder_pictures, "answered": done["pictures"]}
                require_same("pictures", answered)
                rate = done["pictures"] / done["seconds"]
                rates[f"{size} x {workers}"].append(round(rate, 1))
        side.close()
        told[name] = {key: statistics.median(values) for key, values in rates.items()}
    return told | {"unit": "pictures a second, by batch size x workers"}


def measure_memory(arguments: argparse.Namespace, models: dict, scratch: Path) -> dict[str, Any]:
    """Resident memory over one run, and that it does not grow with the number of pictures."""
    told: dict[str, Any] = {}
    source = arguments.many or arguments.folder
    for name, model in models.items():
        folder = linked(source, scratch / name / "pictures", arguments.pictures)
        started = time.perf_counter()
        command = [*_predict(model), folder, "--csv", scratch / name / "answers.csv"]
        samples = _sampled(command, arguments.timeout_s)
        seconds = time.perf_counter() - started
        with open(command[-1], encoding="utf-8") as answers:
            answered = sum(1 for _ in answers) - 1
        require_same("pictures", {"asked": arguments.pictures, "answered": answered})
        tenth = max(1, len(samples) // 10)
        told[name] = {
            "pictures": arguments.pictures,
            "seconds": round(seconds, 1),
            "pictures_a_second": round(arguments.pictures / seconds, 1),
            "peak_mb": max(samples),
            # The first tenth has the start in it, so that the second is what to compare with.
            "second_tenth_mb": statistics.median(samples[tenth : 2 * tenth] or samples),
            "last_tenth_mb": statistics.median(samples[-tenth:]),
            "samples_mb": samples[:: max(1, len(samples) // 60)],
        }
    return told


def measure_kills(arguments: argparse.Namespace, models: dict, scratch: Path) -> dict[str, Any]:
    """The file of a run that was killed again and again, against that of one left alone."""
    name, model = list(models.items())[-1]
    source = arguments.many or arguments.folder
    folder = linked(source, scratch / "pictures", arguments.pictures)
    moment = random.Random(arguments.seed)
    told: dict[str, Any] = {"model": name, "pictures": arguments.pictures}
    for kind in arguments.kinds.split(","):
        whole, out = scratch / f"whole.{kind}", scratch / f"killed.{kind}"
        command = [*_predict(model), folder, f"--{kind}"]
        started = time.perf_counter()
        _finish([*command, whole], arguments.timeout_s)
        alone_s = time.perf_counter() - started
        kills = []
        # Shares of the whole work, so that each stretch between two kills gets something done.
        shares = sorted(moment.uniform(0.02, 0.98) for _ in range(arguments.kills))
        for share, before in zip(shares, [0.0, *shares], strict=False):
            kills.append(
                _killed([*command, out, "--resume"], alone_s * (share - before) + 0.5, out)
            )
        started = time.perf_counter()
        _finish([*command, out, "--resume"], arguments.timeout_s)
        told[kind] = {
            "alone_s": round(alone_s, 1),
            "kills": kills,
            "last_stretch_s": round(time.perf_counter() - started, 1),
            "same": _same(whole, out),
            "nothing_left_beside": not list(scratch.glob("*.partial")),
        }
        whole.unlink()
        out.unlink()
    return told


def _sides(arguments: argparse.Namespace, models: dict[str, Path]) -> dict[str, Side]:
    sides = {name: Side("pawsure_folder.py", model) for name, model in models.items()}
    return {**sides, "keras": Side("keras_folder.py", arguments.run / "model.keras")}


def _close(sides: dict[str, Side]) -> None:
    for side in sides.values():
        side.close()


def _compared(values: dict[str, list[float]], *, more_is_better: bool) -> dict[str, Any]:
    """Medians, and how many times better than Keras the others are."""
    medians = {name: statistics.median(own) for name, own in values.items()}
    against = {
        name: median / medians["keras"] if more_is_better else medians["keras"] / median
        for name, median in medians.items()
        if name != "keras"
    }
    times = {name: round(ratio, 2) for name, ratio in against.items()}
    return {"values": values, "medians": medians, "times_keras": times}


def _predict(model: Path) -> list[Any]:
    return [sys.executable, "-m", "pawsure", "predict", "--model", model]


def _sampled(command: list[Any], timeout_s: float) -> list[float]:
    """Run a command; its resident memory in MB, every so often."""
    process = _start(command)
    ends_at = time.monotonic() + timeout_s
    samples = []
    while process.poll() is None:
        if time.monotonic() > ends_at:
            process.kill()
            sys.exit(f"{command} took more than {timeout_s} s")
        pages = Path(f"/proc/{process.pid}/statm").read_text().split()
        if pages[1] != "0":  # not over yet
            samples.append(round(int(pages[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6, 1))
        time.sleep(SAMPLE_EVERY_S)
    _check(process)
    return samples


def _killed(command: list[Any], after_s: float, out: Path) -> dict[str, Any]:
    process = _start(command)
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    rows = [*out.with_name(f"{out.name}.partial").glob("rows.*")]
    return {
        "after_s": round(after_s, 1),
        "was_running": process.returncode == -signal.SIGKILL,
        "bytes_kept": sum(path.stat().st_size for path in rows),
    }


def _finish(command: list[Any], timeout_s: float) -> None:
    process = _start(command)
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        sys.exit(f"{command} took more than {timeout_s} s")
    _check(process)


def _start(command: list[Any]) -> subprocess.Popen:
    return subprocess.Popen(
        list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _check(process: subprocess.Popen) -> None:
    if process.returncode not in (0, 3):
        sys.exit(f"{' '.join(process.args)} ended with {process.returncode}")


def _same(one: Path, other: Path) -> bool:
    if one.suffix != ".parquet":
        return one.read_bytes() == other.read_bytes()
    import pyarrow.parquet as pq

    return pq.read_table(one).equals(pq.read_table(other))


def _machine() -> dict[str, Any]:
    told = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.partition(":")[2].strip() for line in told.splitlines() if "model name" in line]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_before": os.getloadavg(),
    }


if __name__ == "__main__":
    main()

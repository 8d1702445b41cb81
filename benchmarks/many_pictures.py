"""Memory over 100,000 pictures, and what a kill in their midst costs.

    python benchmarks/many_pictures.py MODEL PICTURES [--count 100000] [--json OUT.json]

A folder of links to the files of PICTURES is answered for by `pawsure predict FOLDER --csv`. The
process is killed with signal 9 at a moment drawn at random, and gone on with by `--resume`;
resident memory is read every second (the largest of both processes and the highest in each
quarter of the time are told). Afterwards the file must hold each link once, in order, and the
answer of each link must be that of the file that it links to, asked for alone.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Link, ask, kill, go on, check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    files = sorted(path for path in arguments.pictures.rglob("*") if path.is_file())
    with tempfile.TemporaryDirectory() as place:
        folder, table, alone = Path(place, "links"), Path(place, "all.csv"), Path(place, "one.csv")
        _link(files, folder, arguments.count)
        command = [sys.executable, "-m", "pawsure", "predict", "--model", arguments.model, "--csv"]
        started = time.perf_counter()
        subprocess.run([*command, str(alone), str(arguments.pictures)], check=True)
        guess = (time.perf_counter() - started) / len(files) * arguments.count
        moment = random.Random(arguments.seed).uniform(0.2, 0.6) * guess
        first = _watched([*command, str(table), str(folder)], kill_after=moment)
        was_finished = table.exists()
        second = _watched([*command, str(table), str(folder), "--resume"])
        told = {
            "pictures": arguments.count,
            "files": len(files),
            "killed_after_s": round(moment, 1),
            "was_finished_then": was_finished,
            "first": first,
            "gone_on_with": second,
            **_checked(_rows(table), _rows(alone), folder),
        }
    print(json.dumps(told, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _link(files: list[Path], folder: Path, count: int) -> None:
    """Links in folders of a thousand."""
    for number in range(count):
        file = files[number % len(files)].resolve()
        place = folder / f"{number // 1000:03d}"
        if number % 1000 == 0:
            place.mkdir(parents=True)
        (place / f"{number:06d}{file.suffix}").symlink_to(file)


def _watched(command: list[str], *, kill_after: float | None = None) -> dict[str, Any]:
    """Run a process, killed after some seconds or to its end: its seconds and its memory."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    resident: list[float] = []
    while process.poll() is None:
        seconds = time.perf_counter() - started
        if kill_after is not None and seconds > kill_after:
            os.kill(process.pid, signal.SIGKILL)
        elif found := _resident_mb(process.pid):
            resident.append(found)
        time.sleep(1)
    if kill_after is None and process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    settled = resident[5:]  # after its start
    quarter = max(1, len(settled) // 4)
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "highest_mb_by_quarter": [
            round(max(settled[at : at + quarter]), 1)
            for at in range(0, len(settled) - quarter + 1, quarter)
        ],
    }


def _resident_mb(pid: int) -> float | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return None
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else None


def _rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _checked(
    rows: list[dict[str, str]], alone: list[dict[str, str]], folder: Path
) -> dict[str, Any]:
    """Whether every link is answered for once, in order, as its file is."""
    wanted = sorted(str(path) for path in folder.rglob("*") if path.is_symlink())
    by_file = {str(Path(row["path"]).resolve()): {**row, "path": ""} for row in alone}
    same = sum({**row, "path": ""} == by_file[os.path.realpath(row["path"])] for row in rows)
    return {
        "rows": len(rows),
        "every_picture_once_and_in_order": [row["path"] for row in rows] == wanted,
        "answered_as_alone": same,
    }


if __name__ == "__main__":
    main()

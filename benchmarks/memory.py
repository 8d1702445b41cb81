"""Peak memory of training against the number of pictures.

    python benchmarks/memory.py FOLDER [--counts 2000,20000] [--json OUT.json]

FOLDER has a folder for each class. Each count is one whole process of `pawsure train --recipe
classic` with one epoch a stage and an empty cache, on that many pictures (links to the first of
each class). The store is on disk, so the peak should hardly grow.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from agreement import require_same  # noqa: E402


def main() -> None:
    """One process after the other; print their peaks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--counts", default="2000,20000")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    peaks = {}
    for count in map(int, arguments.counts.split(",")):
        with tempfile.TemporaryDirectory() as scratch:
            data = _linked(arguments.folder, Path(scratch, "data"), count)
            peaks[count] = _peak_mb(data, Path(scratch), count)
        print(f"{count:>7,} pictures  {peaks[count]:>6,.0f} MB", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps({"peak_mb": peaks}, indent=2) + "\n", encoding="utf-8")


def _linked(source: Path, folder: Path, count: int) -> Path:
    labels = sorted(path for path in source.iterdir() if path.is_dir())
    for label in labels:
        (folder / label.name).mkdir(parents=True)
        for path in sorted(label.iterdir())[: count // len(labels)]:
            (folder / label.name / path.name).symlink_to(path.resolve())
    return folder


def _peak_mb(data: Path, scratch: Path, count: int) -> float:
    """Run one training; the largest resident set of that process."""
    command = [sys.executable, "-m", "pawsure", "train", str(data), "--recipe", "classic"]
    for stage in ("head", "fine-tune"):
        command += ["--set", f"stages.{stage}.epochs=1"]
    command += ["--out", str(scratch / "run")]
    child = os.fork()
    if child == 0:
        os.environ["PAWSURE_CACHE"] = str(scratch / "cache")
        os.execv(sys.executable, command)
    _, status, usage = os.wait4(child, 0)
    if status:
        sys.exit(f"training failed with status {status}")
    metrics = json.loads((scratch / "run" / "metrics.json").read_text(encoding="utf-8"))
    used = sum(sum(counts.values()) for counts in metrics["counts"].values())
    linked = sum(1 for path in data.rglob("*") if path.is_symlink())
    require_same("pictures", {"asked": count, "linked": linked, "used": used})
    return usage.ru_maxrss / 1024  # kilobytes on Linux


if __name__ == "__main__":
    main()

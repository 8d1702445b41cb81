"""What the audit finds of what was planted, and what it costs.

    python benchmarks/audit.py PHOTOS STRANGERS [--json docs/results/audit.json] [--only NAME]
    python benchmarks/audit.py - - --only million

PHOTOS has a folder for each class, STRANGERS one for each class of pictures that are of none of
them. Every measurement plants by its own seed:

    copies     500 copies of photographs: half size, JPEG quality 40, cropped by a tenth of each
               side, mirrored, brightness up or down by 20%; searched among all photographs
    labels     2% of the labels swapped; how many of them are in the top 3% of the ranking
    strangers  100 among 5,000 photographs; how many are in the top 3%; five draws
    cost       `pawsure audit PHOTOS` as a process with an empty cache but for the exported
               network: seconds and peak memory
    million    near-copy search alone, on synthetic spectra with a thousand planted pairs

Nothing is learned from file names but the class. Machine and other load: see docs/results.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from pawsure.audit.embeddings import Encoder, embed, find_network
from pawsure.audit.labels import find_wrong_labels
from pawsure.audit.outliers import find_outliers
from pawsure.copies.fingerprints import thumbnail
from pawsure.copies.grouping import grouped_catalog
from pawsure.copies.near_copies import find_near_copies, merged
from pawsure.copies.neighbours import find_candidates
from pawsure.copies.thumbnails import Thumbnails
from pawsure.data.cache import cache_dir
from pawsure.data.catalog import build_catalog
from pawsure.data.threads import one_thread_a_product
from pawsure.evaluation.intervals import wilson

COPIES, COPY_SEED = 500, 2024
LABEL_SHARE, LABEL_SEEDS = 0.02, (1, 2, 3)
STRANGERS, PHOTOGRAPHS, STRANGER_SEEDS = 100, 5000, (1, 2, 3, 4, 5)
TOP = 0.03


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def half(image: Image.Image, rng: np.random.Generator) -> bytes:
    size = max(1, image.width // 2), max(1, image.height // 2)
    return jpeg(image.resize(size, Image.Resampling.LANCZOS))


def quality_40(image: Image.Image, rng: np.random.Generator) -> bytes:
    return jpeg(image, 40)


def crop(image: Image.Image, rng: np.random.Generator) -> bytes:
    width, height = round(image.width * 0.9), round(image.height * 0.9)
    left = int(rng.integers(0, image.width - width + 1))
    top = int(rng.integers(0, image.height - height + 1))
    return jpeg(image.crop((left, top, left + width, top + height)))


def mirror(image: Image.Image, rng: np.random.Generator) -> bytes:
    return jpeg(ImageOps.mirror(image))


def brightness(image: Image.Image, rng: np.random.Generator) -> bytes:
    return jpeg(ImageEnhance.Brightness(image).enhance(float(rng.choice([0.8, 1.2]))))


CHANGES: dict[str, Callable[[Image.Image, np.random.Generator], bytes]] = {
    "half size": half,
    "quality 40": quality_40,
    "crop": crop,
    "mirror": mirror,
    "brightness": brightness,
}


def measure_copies(photos: Path) -> dict[str, Any]:
    """Plant copies; count those whose pair is found, and honest pairs that are called copies."""
    thumbnails = Thumbnails()
    catalog = build_catalog(photos, for_training=False, visit=thumbnails.look)
    thumbnails.keep()
    rows = catalog.where()
    _, first = np.unique(catalog.content[rows].astype(str), return_index=True)
    rows = rows[np.sort(first)]
    rng = np.random.default_rng(COPY_SEED)
    sources = rng.choice(len(rows), COPIES, replace=False)
    kinds = [list(CHANGES)[number % len(CHANGES)] for number in range(COPIES)]
    planted = np.stack(
        [
            thumbnail(CHANGES[kind](_opened(catalog.read(int(rows[source]))), rng))
            for source, kind in zip(sources, kinds, strict=True)
        ]
    )
    known = thumbnails.rows(catalog.content[rows])
    every = np.concatenate([known[slice(None)], planted])
    started = time.perf_counter()
    near = find_near_copies(every)
    seconds = time.perf_counter() - started
    group = merged(np.arange(len(every)), near)
    found = group[len(rows) :] == group[sources]
    honest = [
        (catalog.path[rows[a]], catalog.path[rows[b]], float(score))
        for a, b, score in zip(near.first, near.second, near.similarity, strict=True)
        if max(a, b) < len(rows)
    ]
    # Of pictures that are not themselves planted, those that share a group: chains count too.
    sizes = np.unique(group[: len(rows)], return_counts=True)[1]
    grouped_pairs = int((sizes * (sizes - 1) // 2).sum())
    pairs = len(rows) * (len(rows) - 1) // 2
    return {
        "planted": COPIES,
        "found": int(found.sum()),
        "share_found": float(found.mean()),
        "interval": _interval(int(found.sum()), COPIES),
        "by_change": {
            kind: f"{int(found[np.array(kinds) == kind].sum())} of {kinds.count(kind)}"
            for kind in CHANGES
        },
        "photographs": len(rows),
        "honest_pairs": pairs,
        "honest_pairs_in_one_group": grouped_pairs,
        "share_of_honest_pairs": grouped_pairs / pairs,
        "honest_pairs_found": [[a, b, round(score, 3)] for a, b, score in sorted(honest)],
        "seconds_search": round(seconds, 1),
    }


def measure_labels(photos: Path) -> dict[str, Any]:
    """Swap labels; count those in the top of the ranking by suspicion."""
    grouped = grouped_catalog(photos)
    catalog = grouped.catalog
    embedded = embed(catalog, _network())
    label, group = catalog.label[embedded.index], catalog.group[embedded.index]
    num_labels = len(catalog.labels)
    draws = []
    for seed in LABEL_SEEDS:
        rng = np.random.default_rng(seed)
        swapped = rng.choice(len(label), round(LABEL_SHARE * len(label)), replace=False)
        given = label.copy()
        given[swapped] = (given[swapped] + rng.integers(1, num_labels, len(swapped))) % num_labels
        started = time.perf_counter()
        found = find_wrong_labels(embedded.rows, given, group, num_labels=num_labels)
        top = np.argsort(-found.suspicion, kind="stable")[: round(TOP * len(label))]
        hits = int(np.isin(swapped, top).sum())
        flagged = np.flatnonzero(found.is_suspect)
        draws.append(
            {
                "seed": seed,
                "swapped": len(swapped),
                "in_top": hits,
                "share": hits / len(swapped),
                "interval": _interval(hits, len(swapped)),
                "flagged": len(flagged),
                "flagged_swapped": int(np.isin(flagged, swapped).sum()),
                "seconds": round(time.perf_counter() - started, 1),
            }
        )
    return {"pictures": len(label), "top": TOP, "draws": draws}


def measure_strangers(photos: Path, strangers: Path) -> dict[str, Any]:
    """Mix strangers into photographs; count those in the top of the ranking."""
    network = _network()
    at_home, foreign = (grouped_catalog(data, for_training=False) for data in (photos, strangers))
    inside, outside = (embed(one.catalog, network) for one in (at_home, foreign))
    draws = []
    for seed in STRANGER_SEEDS:
        rng = np.random.default_rng(seed)
        own = np.sort(rng.choice(len(inside.index), PHOTOGRAPHS, replace=False))
        other = np.sort(rng.choice(len(outside.index), STRANGERS, replace=False))
        rows = np.concatenate([inside.rows[own], outside.rows[other]])
        groups = np.concatenate(
            [
                at_home.catalog.group[inside.index[own]],
                foreign.catalog.group[outside.index[other]] + len(at_home.catalog),
            ]
        )
        found = find_outliers(rows, groups)
        top = np.argsort(-found.distance, kind="stable")[: round(TOP * len(rows))]
        hits = int((top >= PHOTOGRAPHS).sum())
        far = np.flatnonzero(found.is_outlier)
        draws.append(
            {
                "seed": seed,
                "in_top": hits,
                "share": hits / STRANGERS,
                "interval": _interval(hits, STRANGERS),
                "flagged": len(far),
                "flagged_strangers": int((far >= PHOTOGRAPHS).sum()),
            }
        )
    return {"strangers": STRANGERS, "photographs": PHOTOGRAPHS, "top": TOP, "draws": draws}


def measure_cost(photos: Path) -> dict[str, Any]:
    """One process, everything but the exported network made anew."""
    _network()
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "encoders").symlink_to(cache_dir().absolute() / "encoders")
        command = [sys.executable, "-m", "pawsure", "audit", str(photos)]
        command += ["--out", str(Path(scratch) / "audit"), "--json"]
        started = time.perf_counter()
        child = os.fork()
        if child == 0:
            os.environ["PAWSURE_CACHE"] = scratch
            os.execv(sys.executable, command)
        _, status, usage = os.wait4(child, 0)
        if status:
            sys.exit(f"the audit failed with status {status}")
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "cores": len(os.sched_getaffinity(0)),
        "peak_mb": round(usage.ru_maxrss / 1024),  # kilobytes on Linux
    }


def measure_million(counts: tuple[int, ...] = (20_000, 100_000, 1_000_000)) -> dict[str, Any]:
    """Spectra that fall with frequency as photographs' do; a thousand with a noisy copy."""
    results = []
    frequency = np.sqrt(np.add.outer(np.arange(16) ** 2, np.arange(16) ** 2)).reshape(-1)
    fall = (2000 / np.maximum(frequency, 1) ** 1.2).astype(np.float32)
    for count in counts:
        rng = np.random.default_rng(0)
        spectrum = rng.standard_normal((count, 256), dtype=np.float32)
        spectrum *= fall
        planted = rng.choice(count, 2000, replace=False).reshape(2, 1000)
        noise = rng.standard_normal((1000, 256), dtype=np.float32) * fall
        spectrum[planted[1]] = spectrum[planted[0]] + 0.3 * noise
        started, before = time.perf_counter(), time.process_time()
        with one_thread_a_product():
            found = find_candidates(spectrum)
        pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
        hits = sum((a, b) in pairs or (b, a) in pairs for a, b in planted.T.tolist())
        results.append(
            {
                "pictures": count,
                "seconds": round(time.perf_counter() - started, 1),
                "cpu_seconds": round(time.process_time() - before, 1),
                "planted_found": hits / 1000,
                "candidates": len(found),
                "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            }
        )
        print(json.dumps(results[-1]), flush=True)
    return {"runs": results}


def _network() -> Encoder:
    found = find_network()
    if not isinstance(found, Encoder):
        sys.exit(found.reason)
    return found


def _opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def _interval(hits: int, total: int) -> list[float]:
    found = wilson(hits, total)
    return [round(found.low, 4), round(found.high, 4)]


def main() -> None:
    """All measurements, or one; each is kept in the log as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("strangers", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only")
    given = parser.parse_args()
    measures: dict[str, Callable[[], dict[str, Any]]] = {
        "copies": lambda: measure_copies(given.photos),
        "labels": lambda: measure_labels(given.photos),
        "strangers": lambda: measure_strangers(given.photos, given.strangers),
        "cost": lambda: measure_cost(given.photos),
        "million": measure_million,
    }
    log = json.loads(given.json.read_text()) if given.json and given.json.is_file() else {}
    for name, measure in measures.items():
        if given.only in (None, name):
            log[name] = measure()
            print(name, json.dumps(log[name], indent=1)[:3000], flush=True)
            if given.json:
                given.json.write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

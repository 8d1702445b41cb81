"""How "neither" fares on small sets: real pictures refused, other pictures accepted.

    python benchmarks/small_sets.py THINGS OXFORD DEFECTS OTHERS [--backbone efficientnet_lite0]
                                    [--size 224] [--seeds 4] [--case NAME]... [--json OUT.json]

THINGS and DEFECTS have a folder for each label, OTHERS one for each kind of thing that is none of
them; names of files in OXFORD begin with the breed. Cats and dogs are drawn by `pawsure sample`,
circles and squares here.

Each set is split as `pawsure train` splits it, and `fit_trust` is fitted to the frozen backbone's
embeddings as `fast` does. Counted by the threshold that it sets at 5%: held-out pictures (test
split, and pictures of the labels that were not drawn) that are "neither", and other pictures that
are not. Nothing is "unsure", so fewer get a label in practice. Other pictures are of kinds that the
built-in background was not made of (see `tools/backgrounds.py`), without those that resemble cats
and dogs. Labels are drawn from such kinds too, except for "48 classes", which has all: half of its
pictures are in the background. Kinds of OTHERS that are a label there (`SAME`) are left out, and
counted apart.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
from backgrounds import backbone_graph, background_kinds  # noqa: E402

from pawsure.copies.grouping import grouped_catalog  # noqa: E402
from pawsure.data.drawn import draw_sample  # noqa: E402
from pawsure.data.images import read_file  # noqa: E402
from pawsure.data.sources import list_pictures  # noqa: E402
from pawsure.data.split import assign_splits  # noqa: E402
from pawsure.evaluation.measure import share_figure  # noqa: E402
from pawsure.training.known import known_for  # noqa: E402
from pawsure.training.recipe import Recipe, load_recipe  # noqa: E402
from pawsure.trust.fit import Trust, fit_trust  # noqa: E402
from pawsure.trust.nodes import Parts  # noqa: E402
from pawsure.trust.outputs import Outputs  # noqa: E402

REJECTED = 0.05
DRAWN = 100
"""Pictures of each drawn label."""

SAME = {
    "accordion", "barrel", "revolver", "reflex_camera", "strawberry", "umbrella", "dragonfly",
    "folding_chair", "rocking_chair", "Indian_elephant", "notebook", "loggerhead",
    "African_crocodile",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Set:
    """Pictures of one case.

    Attributes:
        label: by path.
        held_out: further pictures of the labels.
        others: pictures of none.
    """

    label: dict[Path, str]
    held_out: list[Path]
    others: list[Path]


class Embeddings:
    """What a graph makes of pictures, each run once."""

    def __init__(self, graph: onnx.ModelProto, size_px: int) -> None:
        self.graph = graph
        self._outputs = Outputs(graph, size_px)
        self._found: dict[Path, tuple[np.ndarray, np.ndarray]] = {}

    def __call__(self, paths: list[Path]) -> tuple[np.ndarray, np.ndarray]:
        """Logits and embeddings."""
        new = [path for path in dict.fromkeys(paths) if path not in self._found]
        if new:
            found = self._outputs(lambda row: read_file(str(new[row])), np.arange(len(new)), "")
            rows = zip(found.rows, found.logit, found.embedding, strict=True)
            self._found |= {new[row]: (logit, embedding) for row, logit, embedding in rows}
        logit, embedding = zip(*(self._found[path] for path in paths), strict=True)
        return np.stack(logit), np.stack(embedding)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("things", "oxford", "defects", "others"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--case", action="append", default=[])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    recipe = load_recipe("fast", {"backbone": given.backbone, "image_size": given.size})
    embeddings = Embeddings(backbone_graph(recipe.model), given.size)
    figures = {}
    with tempfile.TemporaryDirectory() as drawn:
        cases = sets(given.things, given.oxford, given.defects, given.others, Path(drawn))
        print("| labels | held-out pictures refused | other pictures accepted | by seed |")
        print("| --- | --- | --- | --- |")
        for name, of_seed in cases.items():
            if given.case and name not in given.case:
                continue
            runs = [measure(of_seed(seed), embeddings, recipe, seed) for seed in range(given.seeds)]
            figures[name] = summed(runs)
            print_row(name, figures[name])
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")


def sets(
    things: Path, oxford: Path, defects: Path, others: Path, drawn: Path
) -> dict[str, Callable[[int], Set]]:
    """Cases by name: a seed to a set."""
    unseen = sorted(set(folders(things)) - set(background_kinds(things)))
    kinds = sorted(set(folders(others)) - set(background_kinds(others)))
    far = [kind for kind in kinds if not kind.name.startswith("near_")]
    strangers = list_pictures([kind for kind in far if kind.name not in SAME])
    all_others = list_pictures([*far, *unseen])
    draw_sample(drawn / "sample", count=2 * DRAWN)
    draw_shapes(drawn / "shapes")
    breeds = list_pictures([oxford])

    def of_things(num: int, each: int) -> Callable[[int], Set]:
        def draw(seed: int) -> Set:
            rng = np.random.default_rng(seed)
            label: dict[Path, str] = {}
            rest: list[Path] = []
            picked = [unseen[place] for place in rng.permutation(len(unseen))[:num]]
            for kind in picked:
                paths = [Path(path) for path in list_pictures([kind])]
                order = [paths[place] for place in rng.permutation(len(paths))]
                label |= dict.fromkeys(order[:each], kind.name)
                rest += order[each:]
            left = [kind for kind in unseen if kind not in picked]
            return Set(label=label, held_out=rest, others=list_pictures(left) + strangers)

        return draw

    def whole(folder: Path, not_these: list[Path]) -> Callable[[int], Set]:
        label = {Path(path): Path(path).parent.name for path in list_pictures([folder])}
        return lambda seed: Set(label=label, held_out=[], others=not_these)

    def pets(name: Callable[[Path], str]) -> Callable[[int], Set]:
        label = {path: name(path) for path in breeds}
        return lambda seed: Set(label=label, held_out=[], others=all_others)

    return {
        "3 classes of 30": of_things(3, 30),
        "8 classes of 15": of_things(8, 15),
        "8 classes of 30": of_things(8, 30),
        "24 classes": of_things(24, 30),
        "48 classes": whole(things, strangers),
        "37 breeds of 4": pets(lambda path: path.stem.rsplit("_", 1)[0]),
        "cats and dogs, 148": pets(lambda path: path.parent.name),
        "6 defects": whole(defects, all_others),
        "drawn cats and dogs": whole(drawn / "sample", all_others),
        "drawn circles and squares": whole(drawn / "shapes", all_others),
        "48 classes, others that are a label": whole(
            things, list_pictures([kind for kind in far if kind.name in SAME])
        ),
    }


def folders(root: Path) -> list[Path]:
    """Those in a folder."""
    return [path for path in root.iterdir() if path.is_dir()]


def draw_shapes(folder: Path) -> None:
    """Circles and squares, as somebody would draw them in an afternoon."""
    rng = np.random.default_rng(0)
    for name in ("circle", "square"):
        (folder / name).mkdir(parents=True)
        for number in range(DRAWN):
            image = Image.new("RGB", (200, 160), tuple(rng.integers(120, 256, 3).tolist()))
            draw = ImageDraw.Draw(image)
            left, top = rng.integers(10, 100), rng.integers(10, 70)
            side, ink = int(rng.integers(30, 80)), tuple(rng.integers(0, 120, 3).tolist())
            shape = draw.ellipse if name == "circle" else draw.rectangle
            filling = ink if rng.random() < 0.6 else None
            width = int(rng.integers(2, 8))
            box = [left, top, left + side, top + side]
            shape(box, fill=filling, outline=ink, width=width)
            image.save(folder / name / f"{number}.jpg", quality=90)


def measure(given: Set, embeddings: Embeddings, recipe: Recipe, seed: int) -> dict[str, Any]:
    """Counts of one run."""
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / "set.csv"
        with manifest.open("w", newline="") as file:
            rows = ((path.resolve(), label) for path, label in given.label.items())
            csv.writer(file).writerows([("path", "label"), *rows])
        catalog = grouped_catalog(str(manifest)).catalog
    split = recipe.split
    catalog = assign_splits(
        catalog,
        seed=seed,
        validation=split.validation,
        test=split.test,
        minimum=split.minimum,
    )

    def stored(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return embeddings([Path(catalog.path[row]) for row in rows])

    known = known_for(recipe, embeddings.graph, is_frozen=True, say=lambda _: None)
    trust = fit_trust(
        embeddings.graph,
        catalog,
        max_error=1.0,
        rejected=REJECTED,
        size_px=recipe.model.image_size,
        seed=seed,
        parts=Parts(calibration=False, known=known),
        stored=stored,
    )
    test = [Path(path) for path in catalog.path[catalog.where("test")]]
    refused = is_neither(trust, embeddings, [*test, *given.held_out])
    accepted = ~is_neither(trust, embeddings, given.others)
    assert trust.familiarity is not None
    return {
        "refused": (int(refused.sum()), len(refused)),
        "accepted": (int(accepted.sum()), len(accepted)),
        "classes": trust.familiarity.classes_by,
        "train": len(catalog.where("train")),
        "validation": len(catalog.where("validation")),
    }


def is_neither(trust: Trust, embeddings: Embeddings, paths: list[Path]) -> np.ndarray:
    """Bool (N,)."""
    assert trust.familiarity is not None
    return trust.familiarity(embeddings(paths)[1]) < REJECTED


def summed(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """All seeds in one figure, and each."""
    figures: dict[str, Any] = {"runs": runs}
    for key in ("refused", "accepted"):
        successes, n = (sum(run[key][place] for run in runs) for place in (0, 1))
        figures[key] = {"n": n, **share_figure(successes, n)}
    return figures


def print_row(name: str, found: dict[str, Any]) -> None:
    """Of the table in docs/trust.md."""
    accepted = ", ".join(f"{run['accepted'][0] / run['accepted'][1]:.1%}" for run in found["runs"])
    refused, all_accepted = found["refused"], found["accepted"]
    classes = " or ".join(sorted({str(run["classes"]) for run in found["runs"]}))
    print(
        f"| {name} | {refused['value']:.1%} of {refused['n']} | {all_accepted['value']:.1%} "
        f"| {accepted} ({classes}) |",
        flush=True,
    )


if __name__ == "__main__":
    main()

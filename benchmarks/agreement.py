"""Whether both sides of a comparison do the same work: a ratio of different work is no figure.

Every benchmark that compares two sides asks one of these first. Where they disagree, it ends with
exit code 1 and names the difference; nothing is printed that could be taken for a result.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

HERE = Path(__file__).parent

LABELS_THAT_MAY_DIFFER = 0.03
"""Of pictures that both sides are given at the network's own size: int8 rounds."""

LABELS_OF_RESIZED = 0.1
"""Of pictures that each side resizes: Keras shrinks without a filter. On photographs of cats and
dogs none of a trained network differed; of one that knows next to nothing, one in nine did."""

LOGITS_THAT_MAY_DIFFER = 0.05
"""Root mean square of the difference, relative to that of the logits: where labels are easy, or all
the same, they prove nothing. float32 differs by 0.0000006, int8 by 0.02, a network that is given
pixels in 0 to 1 in place of -1 to 1 by 0.16 (and gives all pictures the same labels)."""

NUM_CHECKED = 256
"""Pictures on which two sides are compared before they are timed."""


def fail(what: str) -> NoReturn:
    """End the benchmark: its sides do not do the same work."""
    sys.exit(f"No comparison: {what}")


def require_same(what: str, values: Mapping[str, Hashable]) -> None:
    """All sides have the same value, such as a number of pictures.

    Args:
        what: the value is, such as "pictures answered".
        values: by side.
    """
    if len(set(values.values())) > 1:
        told = "; ".join(f"{side}: {value}" for side, value in values.items())
        fail(f"{what} differ ({told}).")


def require_same_labels(
    sides: Mapping[str, Sequence[Any]], *, tolerance: float = LABELS_THAT_MAY_DIFFER
) -> dict[str, float]:
    """Each side gives the pictures the same labels as the last one, but for a share.

    Args:
        sides: labels of the same pictures in the same order, by side.
        tolerance: the share that may differ.

    Returns:
        By side, the share that is the same as that of the last side.
    """
    require_same("pictures answered", {name: len(labels) for name, labels in sides.items()})
    *others, reference = sides
    wanted = sides[reference]
    if not wanted:
        fail("no side answered a picture.")
    same = {}
    for name in others:
        pairs = zip(sides[name], wanted, strict=True)
        same[name] = sum(one == other for one, other in pairs) / len(wanted)
        if same[name] < 1 - tolerance:
            fail(
                f"{name} and {reference} agree on {same[name]:.1%} of {len(wanted):,} labels; "
                f"at least {1 - tolerance:.1%} is needed. They are not the same network, or do "
                "not scale pixels alike."
            )
    return same


def require_close(what: str, values: Mapping[str, float], *, tolerance: float) -> None:
    """All sides have about the same value, such as an accuracy.

    Args:
        what: the value is.
        values: by side.
        tolerance: the largest difference.
    """
    spread = max(values.values()) - min(values.values())
    if not spread <= tolerance:  # so that what is no number fails too
        told = "; ".join(f"{side}: {value:.4g}" for side, value in values.items())
        fail(f"{what} differs by {spread:.4g}, more than {tolerance:.4g} ({told}).")


class Side:
    """A process that works when it is told to; see `keras_folder.py`, `pawsure_folder.py`."""

    def __init__(self, script: str, model: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / script), str(model)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        self.version = self._answer()["ready"]

    def do(self, what: str, **order: Any) -> dict[str, Any]:
        """Have something done; what came of it."""
        self._process.stdin.write(json.dumps({"do": what, **order}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def rate(self, what: str, **order: Any) -> float:
        """Pictures a second."""
        done = self.do(what, **order)
        return done["pictures"] / done["seconds"]

    def close(self) -> None:
        """Let the process end."""
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"{' '.join(self._process.args)} ended with {self._process.wait()}")
        return json.loads(line)


def require_same_answers(
    models: Mapping[str, Path], keras_model: Path, folder: Path
) -> dict[str, float]:
    """Model files give the labels and probabilities that Keras gives, on pictures of a folder.

    All are given the same pixels, resized to what the network takes.

    Args:
        models: model files by name.
        keras_model: model.keras of the same network.
        folder: of JPEGs.

    Returns:
        By model, the share of labels that is the same.
    """
    sides = {name: ("pawsure_folder.py", model) for name, model in models.items()}
    sides["keras"] = ("keras_folder.py", keras_model)
    with tempfile.TemporaryDirectory(prefix="agreement-") as scratch:
        few = _resized(folder, Path(scratch, "pictures"), next(iter(models.values())))
        found = {}
        for name, (script, model) in sides.items():
            side = Side(script, model)
            found[name] = np.array(side.do("probabilities", folder=str(few))["probabilities"])
            side.close()
    same = require_same_labels({name: each.argmax(axis=1).tolist() for name, each in found.items()})
    require_same("numbers of labels", {name: each.shape[1] for name, each in found.items()})
    for name in models:
        wanted = _logits(found["keras"])
        difference = _size(_logits(found[name]) - wanted) / _size(wanted)
        if not difference <= LOGITS_THAT_MAY_DIFFER:
            fail(
                f"logits of {name} and keras differ by {difference:.1%}; at most "
                f"{LOGITS_THAT_MAY_DIFFER:.1%} is allowed. They are not the same network, or do "
                "not scale pixels alike."
            )
    return same


def _logits(probability: np.ndarray) -> np.ndarray:
    """Up to what is common to all labels, which probabilities do not tell."""
    logit = np.log(np.maximum(probability, 1e-20))
    return logit - logit.mean(axis=1, keepdims=True)


def _size(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).mean()))


def _resized(source: Path, folder: Path, model: Path) -> Path:
    """Some pictures at the size that a model takes, as PNG."""
    from PIL import Image

    from pawsure.data.images import read
    from pawsure.model.metadata import read_metadata

    size_px = read_metadata(model).size_px
    folder.mkdir()
    for number, picture in enumerate(first_pictures(source, NUM_CHECKED, repeat=False)):
        pixels = read(picture.read_bytes(), size_px=size_px)
        Image.fromarray(pixels).save(folder / f"{number:04}.png")
    return folder


def first_pictures(folder: Path, count: int, *, repeat: bool = True) -> list[Path]:
    """So many JPEGs of a folder, spread evenly; again and again where there are too few."""
    pictures = sorted(path.resolve() for path in folder.rglob("*.jpg"))
    if not pictures:
        sys.exit(f"{folder} holds no pictures (*.jpg).")
    if not repeat:  # of every label, where they lie in folders or are named by it
        count = min(count, len(pictures))
        return [pictures[number * len(pictures) // count] for number in range(count)]
    return [pictures[number % len(pictures)] for number in range(count)]


def linked(source: Path, folder: Path, count: int) -> Path:
    """A folder of so many links to pictures, a thousand in each folder."""
    for number, picture in enumerate(first_pictures(source, count)):
        link = folder / f"{number // 1000:04}" / f"{number:07}.jpg"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(picture)
    return folder

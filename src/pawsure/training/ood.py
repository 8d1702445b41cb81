"""Out-of-distribution (OOD) pictures: the user's examples of "neither" (`--neither`)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pawsure.data import images
from pawsure.data.catalog import Catalog
from pawsure.data.file_names import from_text
from pawsure.data.parallel import available_cores, in_order
from pawsure.data.sources import list_pictures
from pawsure.errors import DataError, PictureError
from pawsure.model.predictor import Predictor

LEAST = 8
"""Fewer do not show in which direction such pictures differ."""


@dataclass(frozen=True, kw_only=True)
class OodPictures:
    """Examples of "neither".

    Attributes:
        path: object (N,), one for each content.
        content: object (N,), SHA-256 of its bytes.
        kind: object (N,), its folder.
        split: object (N,), "train" or "test".
        problems: reason by path of those left out.
    """

    path: np.ndarray
    content: np.ndarray
    kind: np.ndarray
    split: np.ndarray
    problems: dict[str, str]

    def __len__(self) -> int:
        """How many."""
        return len(self.path)

    def read(self, index: int) -> bytes:
        """The bytes of one picture."""
        return images.read_file(str(self.path[index]))

    def where(self, split: str) -> np.ndarray:
        """int64, indices of a split."""
        return np.flatnonzero(self.split == split)


def find_ood(
    folder: str | Path, catalog: Catalog, *, seed: int, test: float, name: str = "--neither"
) -> OodPictures:
    """Read a folder of OOD pictures and split it.

    The split of a picture depends on the seed and its content alone. Copies count once, and
    pictures that are in the catalog too, with a label, are left out.

    Args:
        folder: searched for pictures; folders in it are kinds of OOD pictures.
        catalog: of the labelled pictures.
        seed: of the run.
        test: held-out share, in (0, 1).
        name: the option that gave the folder, for errors.

    Raises:
        DataError: there are fewer than `LEAST` different pictures.
    """
    paths = list_pictures([Path(from_text(str(folder)))])
    problems: dict[str, str] = {}
    known = set(catalog.content[catalog.where()].tolist())
    content: dict[str, Path] = {}
    cores = available_cores()
    for path, digest in zip(
        paths, in_order(_digest, paths, workers=cores, ahead=4 * cores), strict=True
    ):
        if isinstance(digest, PictureError):
            problems[str(path)] = digest.reason
        elif digest in known:
            problems[str(path)] = "it is among the labelled pictures too"
        else:
            content.setdefault(digest, path)
    if len(content) < LEAST:
        raise DataError(
            f"{name} {folder} has {len(content)} different usable pictures; at least {LEAST} "
            "are needed to learn what is neither. Add some, or leave it out."
        )
    usable = [str(path) for path in content.values()]
    draws = np.array([_draw(seed, digest) for digest in content])
    return OodPictures(
        path=np.array(usable, dtype=object),
        content=np.array(list(content), dtype=object),
        kind=np.array([Path(path).parent.as_posix() for path in usable], dtype=object),
        split=np.where(draws < test, "test", "train").astype(object),
        problems=problems,
    )


def predict_ood(predictor: Predictor, ood: OodPictures) -> tuple[np.ndarray, np.ndarray] | None:
    """Probability and familiarity of the held-out OOD pictures; None if there are none."""
    batches = [batch.outputs for batch in predictor.predict_series(ood.read, ood.where("test"))]
    if not sum(map(len, batches)):
        return None
    familiarity = [batch.familiarity for batch in batches if batch.familiarity is not None]
    return np.concatenate([batch.probability for batch in batches]), np.concatenate(familiarity)


def _digest(path: Path) -> str | PictureError:
    try:
        return hashlib.sha256(images.read_file(str(path))).hexdigest()
    except PictureError as error:
        return error


def _draw(seed: int, content: str) -> float:
    digest = hashlib.sha256(f"{seed}:neither:{content}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64

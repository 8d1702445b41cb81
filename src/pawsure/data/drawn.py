"""The data set `sample`: a folder of drawn pictures, made when it is asked for and kept."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image

from pawsure.data.cache import cache_dir, in_cache
from pawsure.data.checksums import read_checked_json, write_checked_json
from pawsure.data.files import atomic_folder
from pawsure.errors import SourceError
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.sample.draw import KINDS, Kind, draw_picture


def drawn_sample(progress: Progress) -> Path:
    """The folder of the sample, drawn the first time it is asked for, and again if damaged."""

    def drawn() -> Path:
        folder = cache_dir() / "sample" / _version()
        described = folder.with_name(f"{folder.name}.json")
        if folder.is_dir() and read_checked_json(described) != _digests(folder):
            progress.say(f"The drawn sample in {folder} is damaged or unchecked; drawing it again.")
            shutil.rmtree(folder)
        if not folder.is_dir():
            with atomic_folder(folder) as temporary:
                draw_sample(temporary)
                write_checked_json(described, _digests(temporary))
        return folder

    return in_cache(drawn)


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by name."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _version() -> str:
    """A number that changes with the code that draws, so that it need not be kept by hand."""
    files = sorted(resources.files("pawsure.sample").iterdir(), key=lambda file: file.name)
    code = [file.read_bytes() for file in files if file.name.endswith(".py")]
    return hashlib.sha256(b"".join([*code, Path(__file__).read_bytes()])).hexdigest()[:16]


@dataclass(frozen=True)
class _File:
    """One picture of the data set: everything about it follows from seed, kind and index."""

    kind: Kind
    index: int
    seed: int

    def write(self, folder: Path) -> None:
        rng = np.random.default_rng([self.seed, KINDS.index(self.kind), self.index])
        picture = draw_picture(self.kind, rng, _random_size(rng))
        name = f"{self.kind}-{self.index:04d}"
        if rng.random() < 0.05:
            picture.save(folder / f"{name}.png", compress_level=3)
            return
        quality = int(rng.integers(72, 95))
        if rng.random() < 0.08:
            save_turned(picture, folder / f"{name}.jpg", quality, rng)
        else:
            picture.save(folder / f"{name}.jpg", quality=quality)


# EXIF orientation, and what undoes it: the picture is stored turned the other way.
_TURNS = (
    (3, Image.Transpose.ROTATE_180),
    (6, Image.Transpose.ROTATE_90),
    (8, Image.Transpose.ROTATE_270),
)
_ORIENTATION = 0x0112


def save_turned(picture: Image.Image, path: Path, quality: int, rng: np.random.Generator) -> None:
    """Save a JPEG turned, with the EXIF orientation that turns it back."""
    orientation, turn = _TURNS[rng.integers(len(_TURNS))]
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    picture.transpose(turn).save(path, quality=quality, exif=exif)


def _random_size(rng: np.random.Generator) -> tuple[int, int]:
    """Sides of 180 to 320 pixels; portrait, landscape and square alike."""
    width, height = rng.integers(180, 321, 2).tolist()
    return width, height


def draw_sample(
    folder: Path | str,
    *,
    seed: int = 0,
    count: int = 480,
    progress: Progress | None = None,
) -> None:
    """Write the sample data set: folders `cat` and `dog` of drawn pictures.

    The same seed gives the same pictures; a greater count adds to them and changes none.
    Either the whole folder appears or nothing does.

    Args:
        folder: to be made; it must not exist, or be empty.
        seed: 0 or greater.
        count: pictures in all, half of them cats (one more when odd).
        progress: told of every picture.

    Raises:
        SourceError: the folder holds something already.
        ValueError: seed or count is negative.
    """
    if seed < 0 or count < 0:
        raise ValueError(f"Seed and count are 0 or greater, not {seed} and {count}.")
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise SourceError(f"{folder} holds something already; name a new folder for the sample.")
    files = [_File("dog" if i % 2 else "cat", i // 2, seed) for i in range(count)]
    with atomic_folder(folder) as temporary:
        _write(files, temporary, progress or NO_PROGRESS)


def _write(files: list[_File], folder: Path, progress: Progress) -> None:
    for kind in ("cat", "dog"):
        (folder / kind).mkdir()
    progress.start("Drawing the sample", len(files))
    for file in files:
        file.write(folder / file.kind)
        progress.advance()
    progress.finish()

"""The run folder: where it lies, what is in it, and that it is never half a result."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pawsure.data.catalog import Catalog
from pawsure.data.checksums import CHECKSUMS, is_unchanged, write_checksums
from pawsure.data.files import atomic_path, check_place
from pawsure.data.saved_catalog import saved_fingerprint
from pawsure.errors import RunFolderError
from pawsure.training.recipe import Recipe, recipe_from_text, utf8_text

MODEL_FILE = "model.onnx"
KERAS_FILE = "model.keras"
CHECKPOINTS = "checkpoint"
HISTORY = "history.csv"
RECIPE = "recipe.toml"
METRICS = "metrics.json"
CATALOG = "catalog.parquet"
LOG = "run.log"

RUNS = Path("runs")
"""Where runs go that are given no folder."""


class RunFolder:
    """A folder that fills while a run goes on; `model.onnx` in it means that it came to an end.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: str | Path | None, name: str, recipe: str | None = None) -> RunFolder:
        """Make a new folder with a recipe in it, if there is one.

        A path of None takes the first free `runs/NAME-N`.

        It appears at once: wherever a run is killed, there is either no folder, and it can be
        started again, or one that `reopen` takes.

        Raises:
            RunFolderError: it exists, or can't be made.
        """
        cls.check_free(path)
        folder = Path(path) if path is not None else _first_free(name)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as made:
                inner = Path(made) / folder.name
                inner.mkdir()
                if recipe is not None:
                    cls(inner).write_text(RECIPE, recipe)
                    write_checksums(inner, [RECIPE])
                inner.rename(folder)
        except OSError as error:
            raise RunFolderError(f"{folder} can't be made: {error.strerror}.") from error
        return cls(folder)

    @staticmethod
    def check_free(path: str | Path | None) -> None:
        """Refuse a folder that exists or can't be made.

        Args:
            path: of the folder; None: one under `RUNS`.

        Raises:
            RunFolderError: it exists.
            StorageError: it can't be made.
        """
        if path is not None and Path(path).exists():
            raise RunFolderError(
                f"{path} exists already. Choose another --out, remove it, or, if its run was "
                f"interrupted, resume it: --resume {path}"
            )
        check_place(RUNS / "run" if path is None else path)

    @classmethod
    def reopen(cls, path: str | Path) -> RunFolder:
        """A run folder that was cut off, to go on with.

        Raises:
            RunFolderError: there is nothing in it to go on with, or nothing left to do.
        """
        folder = cls(Path(path))
        if not (folder / RECIPE).is_file():
            raise RunFolderError(
                f"{path} is not a run that can be resumed: it has no {RECIPE}. Start a new run "
                "without --resume."
            )
        if (folder / METRICS).is_file():
            raise RunFolderError(
                f"The run in {path} is finished; its model is {folder / MODEL_FILE}."
            )
        folder.refuse_damaged(RECIPE)
        return folder

    def recipe(self) -> Recipe:
        """The recipe that the run began with.

        Raises:
            RecipeError: it is not one.
        """
        return recipe_from_text(utf8_text(self / RECIPE), str(self.path))

    def refuse_damaged(self, name: str) -> None:
        """Refuse a file that is not what the run wrote.

        Raises:
            RunFolderError: it is not.
        """
        if not is_unchanged(self / name):
            raise RunFolderError(
                f"{self / name} was damaged or changed after the run wrote it (its checksum in "
                f"{CHECKSUMS} differs). Restore it, or start a new run without --resume."
            )

    def keep_catalog(self, catalog: Catalog) -> None:
        """Write down what the run learns from."""
        catalog.to_parquet(self / CATALOG)
        write_checksums(self.path, [CATALOG])

    def refuse_if_gone(self) -> None:
        """Stop a run whose folder was taken away, before it writes half a folder anew.

        Raises:
            RunFolderError: its recipe or catalog is gone.
        """
        gone = [name for name in (RECIPE, CATALOG) if not (self / name).is_file()]
        if gone:
            raise RunFolderError(
                f"{self / gone[0]} is gone: the run folder was moved or removed during the run. "
                "Start the run again."
            )

    def close(self, *names: str) -> None:
        """Note the checksums of a finished run, and remove what only an unfinished one needs."""
        write_checksums(self.path, [name for name in names if (self / name).is_file()])
        shutil.rmtree(self / CHECKPOINTS, ignore_errors=True)

    def check_same_data(self, catalog: Catalog) -> None:
        """Refuse to go on with other pictures, labels or splits than the run began with.

        Raises:
            RunFolderError: they have changed.
        """
        self.refuse_damaged(CATALOG)
        began_with = saved_fingerprint(self / CATALOG)
        if began_with not in (None, catalog.fingerprint):
            raise RunFolderError(
                f"The pictures, labels or splits have changed since the run in {self.path} began; "
                f"{self / CATALOG} lists them. Restore the data, or start a new run without "
                "--resume."
            )

    def __truediv__(self, name: str) -> Path:
        """A file in the folder."""
        return self.path / name

    def write_text(self, name: str, text: str) -> None:
        """Write a file, whole or not at all."""
        with atomic_path(self / name) as temporary:
            Path(temporary).write_text(text, encoding="utf-8", errors="backslashreplace")

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file, whole or not at all."""
        self.write_text(name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def write_history(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write history.csv: a row an epoch, all stages below each other."""
        with (
            atomic_path(self / HISTORY) as temporary,
            open(temporary, "w", encoding="utf-8", newline="") as file,
        ):
            names = list(dict.fromkeys(name for row in rows for name in row))
            writer = csv.DictWriter(file, fieldnames=names, restval="")
            writer.writeheader()
            writer.writerows(rows)

    def checkpoint(self, stage: str) -> Path:
        """Where a stage keeps its state while the run goes on."""
        return self / CHECKPOINTS / f"{stage}.npz"


def _first_free(name: str) -> Path:
    number = 1
    while (folder := RUNS / f"{name}-{number}").exists():
        number += 1
    return folder

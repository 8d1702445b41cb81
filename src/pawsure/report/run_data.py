"""Everything in a run folder, read for its report."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pawsure.data.checksums import CHECKSUMS, is_unchanged
from pawsure.data.tables import read_table
from pawsure.errors import ModelFileError, RunFolderError
from pawsure.evaluation.headline import Headline, cross_validated, headline
from pawsure.evaluation.selected import Selected
from pawsure.model.metadata import ModelMetadata, read_metadata
from pawsure.report.predictions import FILE_NAME, RecordedAnswers, read_answers

Figures = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class RunData:
    """The contents of a run folder; parts that it lacks are empty or None.

    Attributes:
        folder: the run folder.
        metrics: metrics.json.
        recipe: text of recipe.toml.
        answers: the model's answers for held-out pictures.
        metadata: of the model file.
        pictures: columns of catalog.parquet by name.
    """

    folder: Path
    metrics: dict[str, Any]
    recipe: str = ""
    answers: RecordedAnswers | None = None
    metadata: ModelMetadata | None = None
    pictures: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def model_file(self) -> Path:
        """Path of the model file."""
        return self.folder / "model.onnx"

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.folder.resolve().name

    @property
    def labels(self) -> list[str]:
        """The class names."""
        return list(self.test.get("labels", ()))

    @property
    def test(self) -> Figures:
        """Figures on the test split."""
        return self.metrics["test"]

    @property
    def cross_validation(self) -> Figures | None:
        """Cross-validated figures, if there are few test pictures."""
        return cross_validated(self.metrics)

    @property
    def headline(self) -> Headline:
        """The accuracy at the top of the report."""
        return headline(self.metrics)

    @property
    def selected(self) -> Selected | None:
        """Which weights the model file has; None in runs of older versions."""
        record = self.metrics.get("selected")
        return None if record is None else Selected.from_dict(record)

    @property
    def trust(self) -> Figures:
        """Calibration, "unsure" and "neither"."""
        return self.metrics.get("trust") or {}

    @property
    def audit(self) -> Figures:
        """What the audit found in the pictures."""
        return self.metrics.get("audit") or {}

    @property
    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Number of pictures by split and label."""
        return self.metrics.get("counts") or {}

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The recipe as tables."""
        try:
            return tomllib.loads(self.recipe)
        except tomllib.TOMLDecodeError:
            return {}

    @property
    def data(self) -> str:
        """The run's data, as named on the command line; "DATA" if unknown."""
        return str(self.metrics.get("data") or "DATA")


def read_run(folder: Path) -> RunData:
    """Read a run folder.

    Raises:
        RunFolderError: it is not one, the run is not finished, or a file is damaged.
    """
    for name in ("metrics.json", "recipe.toml", FILE_NAME, "catalog.parquet"):
        if not is_unchanged(folder / name):
            raise RunFolderError(
                f"{folder / name} was damaged or changed after the run. Restore it, or, to "
                f"accept it as it is, remove its line from {folder / CHECKSUMS}."
            )
    recipe = folder / "recipe.toml"
    return RunData(
        folder=folder,
        metrics=_metrics(folder),
        recipe=recipe.read_text("utf-8", errors="replace") if recipe.is_file() else "",
        answers=read_answers(folder / FILE_NAME),
        metadata=_metadata(folder / "model.onnx"),
        pictures=_catalog(folder / "catalog.parquet"),
    )


def _metrics(folder: Path) -> dict[str, Any]:
    path = folder / "metrics.json"
    if not path.is_file():
        raise RunFolderError(
            f"The run in {folder} is not finished: there is no metrics.json. Resume it: pawsure "
            f"train DATA --resume {folder}"
            if (folder / "recipe.toml").is_file()
            else f"{folder} is not a run folder: there is no metrics.json. Name a folder that "
            "'pawsure train' wrote, such as runs/mine."
        )
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
        metrics["test"]["accuracy"]["value"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFolderError(
            f"{path} can't be read ({error}). It is damaged, or not written by 'pawsure train'."
        ) from error
    return dict(metrics)


def _metadata(path: Path) -> ModelMetadata | None:
    try:
        return read_metadata(path)
    except ModelFileError:
        return None


def _catalog(path: Path) -> dict[str, np.ndarray]:
    import pyarrow as pa

    try:
        table = read_table(path)
    except (OSError, pa.ArrowException):
        return {}
    return {
        name: np.array(table[name].to_pylist(), dtype=object)
        for name in ("path", "label", "split", "problem", "content", "group")
        if name in table.column_names
    }

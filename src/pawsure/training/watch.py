"""Where people watch training: TensorBoard's event files and MLflow's runs.

Both are written through their own libraries, which the extra `watch` installs. Watching never
costs a run: what can't be set up is an error before work begins, and a watcher that fails
later is left out with a note.
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol

from pawsure.errors import MissingExtraError, UsageError
from pawsure.evaluation.selected import Selected
from pawsure.progress import NO_PROGRESS, Progress

EXPERIMENT = "pawsure"
"""What runs are gathered under in MLflow, unless MLFLOW_EXPERIMENT_NAME says otherwise."""

_MLFLOW_DEFAULTS = {
    # What somebody trains is nobody else's business.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Its own patience with a server that is not there is several minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    # Runs in a plain folder are what --mlflow ./mlruns asks for.
    "MLFLOW_ALLOW_FILE_STORE": "true",
}

_LONGEST_PARAMETER = 500  # of a value, by the strictest of MLflow's stores
_MOST_PARAMETERS = 100  # a request

_TRAIN = {"loss": "loss", "accuracy": "accuracy", "learning_rate": "learning_rate"}
_VALIDATION = {"validation_loss": "loss", "validation_accuracy": "accuracy"}
"""Curves of one name in two folders are drawn over each other, as Keras's own callback does."""


class Watcher(Protocol):
    """Somebody who is told how a run goes on."""

    def on_start(self, recipe: str) -> None:
        """The run begins; `recipe` is its TOML text."""

    def on_epoch(self, stage: str, row: Mapping[str, Any], step: int) -> None:
        """An epoch has ended; `step` counts epochs through the whole run, from 1."""

    def on_end(self, metrics: Mapping[str, Any] | None) -> None:
        """The run has ended with these metrics; None if it was cut off."""


class Watching:
    """All watchers of a run; a context that tells them if the run is cut off.

    Args:
        watchers: those to tell.
        progress: told when one of them fails and is left out.
    """

    def __init__(self, watchers: Sequence[Watcher] = (), progress: Progress = NO_PROGRESS) -> None:
        self._watchers = list(watchers)
        self._progress = progress
        self._seen: set[tuple[Any, ...]] = set()
        self._is_open = False

    def start(self, recipe: str) -> None:
        """Tell that the run begins.

        Raises:
            UsageError: a watcher can't be reached.
        """
        self._is_open = True
        for watcher in self._watchers:
            watcher.on_start(recipe)

    def history(self, stage: str, rows: Sequence[Mapping[str, Any]], before: int) -> None:
        """Tell what is new in the history of a stage.

        Args:
            stage: its name.
            rows: all so far; those that were told already are not told again.
            before: epochs of the stages before.
        """
        for row in rows:
            key = (stage, row["epoch"], row.get("loss"), row.get("validation_loss"))
            if key not in self._seen:
                self._seen.add(key)
                step = before + int(row["epoch"])
                self._tell(partial(_tell_epoch, stage=stage, row=row, step=step))

    def end(self, metrics: Mapping[str, Any] | None) -> None:
        """Tell that the run has ended."""
        if self._is_open:
            self._is_open = False
            self._tell(lambda one: one.on_end(metrics))

    def __enter__(self) -> Watching:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end(None)

    def _tell(self, message: Callable[[Watcher], None]) -> None:
        for watcher in list(self._watchers):
            try:
                message(watcher)
            # Whatever their libraries raise, hours of training are worth more than a curve.
            except Exception as error:
                self._watchers.remove(watcher)
                self._progress.say(f"{type(watcher).__name__} is not used any more: {error}")


def _tell_epoch(watcher: Watcher, *, stage: str, row: Mapping[str, Any], step: int) -> None:
    watcher.on_epoch(stage, row, step)


def make_watchers(
    *, tensorboard: Path | None = None, mlflow: str | None = None, name: str
) -> list[Watcher]:
    """The watchers that were asked for.

    Args:
        tensorboard: folder for event files; the run gets a folder of its own in it.
        mlflow: where MLflow keeps its runs: a folder, or the address of a server or database.
        name: of the run.

    Raises:
        MissingExtraError: the library of one is not installed.
    """
    for module, wanted in (("tensorboard", tensorboard), ("mlflow", mlflow)):
        if wanted is not None and importlib.util.find_spec(module) is None:
            raise MissingExtraError(module, "watch")
    watchers: list[Watcher] = []
    if tensorboard is not None:
        watchers.append(TensorBoard(tensorboard / name))
    if mlflow is not None:
        watchers.append(MLflow(mlflow, name))
    return watchers


# TensorBoard


class TensorBoard:
    """Writes event files, without TensorFlow.

    TensorBoard's own writer takes TensorFlow for its files where it is installed, and its
    import would double the time of a run that needs none; its records and messages do not.

    Args:
        folder: of the run; curves come from "train" and "validation" in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, _EventFile] = {}

    def on_start(self, recipe: str) -> None:
        """Open the files, and show the recipe as text."""
        try:
            for part in ("train", "validation"):
                self._files[part] = _EventFile(self._folder / part)
        except OSError as error:
            raise UsageError(
                f"TensorBoard's files can't be written in {self._folder}: {error.strerror}. "
                "Choose another --tensorboard."
            ) from error
        self._files["train"].text("recipe", f"```\n{recipe}\n```")

    def on_epoch(self, stage: str, row: Mapping[str, Any], step: int) -> None:
        """Add a point to each curve."""
        for part, curves in (("train", _TRAIN), ("validation", _VALIDATION)):
            values = {tag: row[key] for key, tag in curves.items() if key in row}
            self._files[part].scalars(values, step)

    def on_end(self, metrics: Mapping[str, Any] | None) -> None:
        """Show the final figures as text, and close the files."""
        if metrics is not None:
            figures = {key: value for key, value in _figures(metrics)}
            lines = ["| figure | value |", "| --- | --- |"]
            lines += [f"| {key} | {value:.4f} |" for key, value in figures.items()]
            lines += ["", _selected(metrics)]
            self._files["validation"].text("figures", "\n".join(lines))
        for file in self._files.values():
            file.close()


class _EventFile:
    """One event file; each call is on disk when it returns."""

    def __init__(self, folder: Path) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder.mkdir(parents=True, exist_ok=True)
        stem = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}"
        self._file: IO[bytes] = open(_free(folder, stem), "wb")  # noqa: SIM115
        self._records = RecordWriter(self._file)
        self._add(file_version="brain.Event:2")

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        points = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._add(summary=Summary(value=points), step=step)

    def text(self, tag: str, markdown: str) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
        from tensorboard.compat.proto.types_pb2 import DT_STRING
        from tensorboard.plugins.text.metadata import create_summary_metadata

        content = TensorProto(
            dtype=DT_STRING,
            string_val=[markdown.encode()],
            tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)]),
        )
        kind = create_summary_metadata(display_name=tag, description="")
        value = Summary.Value(tag=tag, tensor=content, metadata=kind)
        self._add(summary=Summary(value=[value]), step=0)

    def close(self) -> None:
        self._records.close()

    def _add(self, **content: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._records.write(Event(wall_time=time.time(), **content).SerializeToString())
        self._records.flush()


def _free(folder: Path, stem: str) -> Path:
    """A name that no file in the folder has: two runs of a process may share a second."""
    number = 0
    while (path := folder / f"{stem}.{number}").exists():
        number += 1
    return path


# MLflow


class MLflow:
    """Writes a run of MLflow: recipe as parameters, epochs as metrics, both as files too.

    Args:
        uri: a folder, or the address of a server or database.
        name: of the run.
    """

    def __init__(self, uri: str, name: str) -> None:
        self._uri = uri
        self._name = name
        self._client: Any = None
        self._run = ""

    def on_start(self, recipe: str) -> None:
        """Make the run, in its experiment."""
        for key, value in _MLFLOW_DEFAULTS.items():
            os.environ.setdefault(key, value)
        from mlflow import MlflowClient
        from mlflow.entities import Param
        from mlflow.exceptions import MlflowException

        try:
            self._client = MlflowClient(tracking_uri=self._uri)
            self._run = self._client.create_run(self._experiment(), run_name=self._name).info.run_id
        except MlflowException as error:
            reason = str(error).partition("\n")[0]
            raise UsageError(
                f"MLflow can't keep a run at {self._uri}: {reason}. Give --mlflow a folder, or "
                "the address of a server that can be reached."
            ) from error
        settings = [
            Param(key, str(value)[:_LONGEST_PARAMETER])
            for key, value in _flat(tomllib.loads(recipe))
        ]
        for first in range(0, len(settings), _MOST_PARAMETERS):
            self._client.log_batch(self._run, params=settings[first : first + _MOST_PARAMETERS])
        self._client.log_text(self._run, recipe, "recipe.toml")

    def on_epoch(self, stage: str, row: Mapping[str, Any], step: int) -> None:
        """Add a point to each curve."""
        numbers = {
            key: float(value)
            for key, value in row.items()
            if key != "epoch" and isinstance(value, (int, float))
        }
        self._log(numbers, step)
        self._client.set_tag(self._run, "stage", stage)

    def on_end(self, metrics: Mapping[str, Any] | None) -> None:
        """Add the final figures, and close the run as finished or failed."""
        if metrics is not None:
            self._log(dict(_figures(metrics)), step=0)
            self._client.set_tag(self._run, "selected", _selected(metrics))
            self._client.log_text(self._run, json.dumps(metrics, indent=2), "metrics.json")
        self._client.set_terminated(self._run, "FAILED" if metrics is None else "FINISHED")

    def _experiment(self) -> str:
        """Its number; made when it is not there."""
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        found = self._client.get_experiment_by_name(name)
        return str(found.experiment_id if found else self._client.create_experiment(name))

    def _log(self, numbers: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        batch = [Metric(key, value, now_ms, step) for key, value in numbers.items()]
        self._client.log_batch(self._run, metrics=batch)


def _figures(metrics: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The figures of each split, such as test_accuracy and the ends of its interval.

    `test_n` stands beside them, and those of cross-validation where there are few test pictures.
    """
    for split in ("validation", "test", "cross_validation"):
        figures = metrics.get(split) or {}
        if "n" in figures:
            yield f"{split}_n", float(figures["n"])
        for name, figure in figures.items():
            if not isinstance(figure, Mapping) or "value" not in figure:
                continue
            yield f"{split}_{name}", float(figure["value"])
            for end in ("low", "high"):
                if figure.get(end) is not None:
                    yield f"{split}_{name}_{end}", float(figure[end])


def _selected(metrics: Mapping[str, Any]) -> str:
    """Which weights the model file has: curves show every stage, discarded ones too."""
    record = metrics.get("selected")
    return Selected.from_dict(record).sentence() if record else ""


def _flat(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by dotted key; stages by their name."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            for place, each in enumerate(value):
                yield from _flat(each, f"{above}{key}.{each.get('name', place)}.")
        else:
            yield f"{above}{key}", value

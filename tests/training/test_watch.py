from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pawsure.errors import MissingExtraError, UsageError
from pawsure.progress import NoProgress
from pawsure.training.recipe import load_recipe, recipe_to_toml
from pawsure.training.watch import MLflow, TensorBoard, Watching, make_watchers

RECIPE = recipe_to_toml(load_recipe("classic"))
METRICS = {
    "test": {
        "n": 100,
        "accuracy": {"value": 0.96, "low": 0.93, "high": 0.98},
        "confusion_matrix": [[48, 2], [2, 48]],
    },
    "counts": {},
}


def rows(number: int) -> list[dict[str, float]]:
    return [
        {
            "epoch": epoch,
            "learning_rate": 1e-3,
            "loss": 1 / epoch,
            "accuracy": 1 - 0.5 / epoch,
            "validation_loss": 1.5 / epoch,
            "validation_accuracy": 1 - 0.6 / epoch,
            "seconds": 2.0,
        }
        for epoch in range(1, number + 1)
    ]


@dataclass
class Notes:
    told: list[Any] = field(default_factory=list)
    fails: bool = False

    def on_start(self, recipe):
        self.told.append("start")

    def on_epoch(self, stage, row, step):
        if self.fails:
            raise ConnectionError("the server went away")
        self.told.append((stage, row["epoch"], step))

    def on_end(self, metrics):
        self.told.append(("end", metrics))


@dataclass
class Said(NoProgress):
    lines: list[str] = field(default_factory=list)

    def say(self, message):
        self.lines.append(message)


def test_every_epoch_is_told_once_and_counted_through_the_run():
    notes = Notes()
    with Watching([notes]) as watching:
        watching.start(RECIPE)
        for done in (1, 2):
            watching.history("head", rows(2)[:done], before=0)
        watching.history("fine-tune", rows(1), before=2)
        watching.history("fine-tune", rows(1), before=2)
        watching.end(METRICS)
    assert notes.told == [
        *("start", ("head", 1, 1), ("head", 2, 2), ("fine-tune", 1, 3)),
        ("end", METRICS),
    ]


def test_another_trial_of_a_stage_is_told_as_well():
    notes = Notes()
    deeper = [row | {"validation_loss": 0.1} for row in rows(1)]
    watching = Watching([notes])
    watching.history("fine-tune", rows(1), before=0)
    watching.history("fine-tune", deeper, before=0)
    assert len(notes.told) == 2


def test_a_run_that_is_cut_off_ends_for_its_watchers_too():
    notes = Notes()
    with pytest.raises(KeyboardInterrupt), Watching([notes]) as watching:
        watching.start(RECIPE)
        raise KeyboardInterrupt
    assert notes.told == ["start", ("end", None)]


def test_a_watcher_that_fails_is_left_out_and_the_others_go_on():
    broken, notes, said = Notes(fails=True), Notes(), Said()
    watching = Watching([broken, notes], said)
    watching.history("head", rows(3), before=0)
    assert len(notes.told) == 3
    assert said.lines == ["Notes is not used any more: the server went away"]


def test_without_its_library_a_watcher_is_refused_at_once(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"'tensorboard'.*\[watch\]"):
        make_watchers(tensorboard=tmp_path, name="run")
    with pytest.raises(MissingExtraError, match=r"'mlflow'.*\[watch\]"):
        make_watchers(mlflow="mlruns", name="run")
    assert make_watchers(name="run") == []


def watch(watching: Watching) -> None:
    """A whole run of two stages."""
    with watching:
        watching.start(RECIPE)
        watching.history("head", rows(2), before=0)
        watching.history("fine-tune", rows(3), before=2)
        watching.end(METRICS)


def test_tensorboard_reads_what_was_written(tmp_path: Path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    watch(Watching(make_watchers(tensorboard=tmp_path, name="my-run")))
    read = {}
    for part in ("train", "validation"):
        read[part] = EventAccumulator(str(tmp_path / "my-run" / part))
        read[part].Reload()
    assert read["train"].Tags()["scalars"] == ["loss", "accuracy", "learning_rate"]
    losses = read["validation"].Scalars("loss")
    assert [point.step for point in losses] == [1, 2, 3, 4, 5]
    assert [point.value for point in losses] == pytest.approx([1.5, 0.75, 1.5, 0.75, 0.5])
    (recipe,) = read["train"].Tensors("recipe")
    assert b'backbone = "mobilenet_v2"' in recipe.tensor_proto.string_val[0]
    (figures,) = read["validation"].Tensors("figures")
    assert b"| test_accuracy | 0.9600 |" in figures.tensor_proto.string_val[0]


def test_what_tensorboard_is_told_is_on_disk_at_once(tmp_path: Path):
    pytest.importorskip("tensorboard")
    board = TensorBoard(tmp_path)
    board.on_start(RECIPE)
    (file,) = (tmp_path / "validation").iterdir()
    before = file.stat().st_size
    board.on_epoch("head", rows(1)[0], 1)
    assert file.stat().st_size > before


def test_tensorboard_is_written_without_tensorflow(tmp_path: Path):
    pytest.importorskip("tensorboard")
    program = f"""
import sys
from pathlib import Path
from pawsure.training.watch import TensorBoard
board = TensorBoard(Path({str(tmp_path)!r}))
board.on_start("seed = 0")
board.on_epoch("head", {{"epoch": 1, "loss": 0.5}}, 1)
board.on_end({{}})
sys.exit("tensorflow" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_a_folder_that_cannot_be_made_is_told_before_training(tmp_path: Path):
    pytest.importorskip("tensorboard")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="Choose another --tensorboard"):
        TensorBoard(tmp_path / "file").on_start(RECIPE)


def test_mlflow_reads_what_was_written(tmp_path: Path, monkeypatch):
    pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    uri = (tmp_path / "mlruns").as_uri()
    watch(Watching(make_watchers(mlflow=uri, name="my-run")))
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("pawsure")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "my-run"
    assert run.info.status == "FINISHED"
    assert run.data.params["model.backbone"] == "mobilenet_v2"
    assert run.data.params["stages.fine-tune.train_from"] == "100"
    assert run.data.metrics["test_accuracy"] == pytest.approx(0.96)
    assert run.data.metrics["test_accuracy_low"] == pytest.approx(0.93)
    points = client.get_metric_history(run.info.run_id, "validation_loss")
    assert [point.step for point in points] == [1, 2, 3, 4, 5]
    names = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert names == {"recipe.toml", "metrics.json"}


def test_a_run_that_was_cut_off_has_failed_for_mlflow(tmp_path: Path):
    pytest.importorskip("mlflow")
    uri = (tmp_path / "mlruns").as_uri()
    with Watching(make_watchers(mlflow=uri, name="my-run")) as watching:
        watching.start(RECIPE)
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("pawsure")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FAILED"


def test_a_place_that_mlflow_cannot_reach_is_told_before_training(monkeypatch):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UsageError, match="MLflow can't keep a run at http://127.0.0.1:9"):
        MLflow("http://127.0.0.1:9", "my-run").on_start(RECIPE)

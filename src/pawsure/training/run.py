"""The whole story of a training run, from labelled pictures to a measured model file."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pawsure.data.catalog import Catalog, build_catalog
from pawsure.data.split import assign_splits
from pawsure.errors import DataError
from pawsure.evaluation.evaluate import Predictions, measure, predict
from pawsure.features.extract import extract
from pawsure.features.views import ORIGINAL
from pawsure.model.metadata import ModelMetadata
from pawsure.model.predictor import Predictor
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.training.prefixes import (
    CutPrefix,
    Source,
    export_prefix,
    find_prefix,
    scaling_of,
)
from pawsure.training.recipe import (
    HEAD,
    Recipe,
    Stage,
    load_recipe,
    recipe_from_text,
    recipe_to_toml,
)
from pawsure.training.rows import TrainingRows
from pawsure.training.run_folder import KERAS_FILE, METRICS, MODEL_FILE, RECIPE, RunFolder

if TYPE_CHECKING:
    import keras

    from pawsure.network.classifier import Classifier
    from pawsure.training.checkpoint import StageState


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run.

    Attributes:
        folder: the run folder.
        model_file: the model in it.
        metrics: what `metrics.json` says.
        summary: the same for people, a few lines.
    """

    folder: Path
    model_file: Path
    metrics: dict[str, Any]
    summary: list[str] = field(default_factory=list)


def train(
    data: str | Path,
    *,
    recipe: str | Path | Recipe = "default",
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    resume: str | Path | None = None,
    progress: Progress = NO_PROGRESS,
) -> Run:
    """Train a classifier on labelled pictures, measure it, and write its run folder.

    Args:
        data: see `pawsure.data.sources.open_source`.
        recipe: a name on board, a TOML file, or a `Recipe`.
        out: the run folder to make; None takes the first free one under `runs/`.
        overrides: keys of the recipe to change; see `load_recipe`.
        resume: a run folder that was cut off, to go on with.
        progress: told what happens.

    Raises:
        DataError: the pictures can't be trained on.
        UsageError: the recipe, the weights or the run folder are not right.
        ParityError: the exported file disagrees with the network; nothing is written.
    """
    folder = None
    if resume is not None:
        folder = RunFolder.reopen(resume)
        recipe = recipe_from_text((folder / RECIPE).read_text(encoding="utf-8"), str(resume))
    elif not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe, overrides)
    return _Training(recipe, progress).run(data, out, folder)


class _Training:
    """One run; its steps in the order in which they happen."""

    def __init__(self, recipe: Recipe, progress: Progress) -> None:
        self.recipe = recipe
        self.progress = progress
        self.seconds: dict[str, float] = {}
        self.log: list[str] = []
        self._started = time.perf_counter()
        self._classifier: Classifier | None = None
        self._labels: tuple[str, ...] = ()

    def run(self, data: str | Path, out: str | Path | None, folder: RunFolder | None) -> Run:
        """Everything; in a new folder, or on with one that was cut off."""
        if folder is None:
            RunFolder.check_free(out)  # before minutes are spent
        keras_import = _KerasImport()
        started = time.perf_counter()
        catalog = self._catalog(data)
        self._labels = catalog.labels
        self._lap("catalog", started)

        prefix = self._prefix(keras_import)
        catalog = self._extract(catalog, prefix)
        if folder is None:
            folder = RunFolder.create(out, self.recipe.name)
            folder.write_text(RECIPE, recipe_to_toml(self.recipe))
        catalog.to_parquet(folder / "catalog.parquet")
        return self._train_and_measure(catalog, prefix, folder)

    def _catalog(self, data: str | Path) -> Catalog:
        recipe = self.recipe
        catalog = build_catalog(data, progress=self.progress)
        if recipe.model.head == "sigmoid" and len(catalog.labels) != 2:
            raise DataError(
                f"The data have {len(catalog.labels)} labels ({', '.join(catalog.labels)}); "
                "a sigmoid head is for two. Take --recipe default, or --set head=softmax."
            )
        return assign_splits(
            catalog, seed=recipe.seed, validation=recipe.split.validation, test=recipe.split.test
        )

    def _prefix(self, keras_import: _KerasImport) -> CutPrefix:
        started = time.perf_counter()
        recipe = self.recipe
        train_froms = list(dict.fromkeys(stage.train_from for stage in recipe.stages))
        found = find_prefix(recipe.model, train_froms, seed=recipe.seed)
        if found is None:
            keras_import.wait()
            found = export_prefix(
                recipe.model, train_froms, lambda: self.classifier.backbone, seed=recipe.seed
            )
            self._say(f"Exported the frozen part of {recipe.model.backbone}.")
        self._lap("prefix", started)
        return found

    def _extract(self, catalog: Catalog, prefix: CutPrefix) -> Catalog:
        started = time.perf_counter()
        outputs = sorted({source.output for source in prefix.sources.values()})
        learned_from = np.concatenate([catalog.where("train"), catalog.where("validation")])
        done = extract(
            catalog.read,
            catalog.content,
            learned_from,
            prefix.prefix,
            outputs,
            progress=self.progress,
        )
        self._say(
            f"{done.computed} pictures through the frozen part, {done.reused} as stored by an "
            f"earlier run, {len(done.problems)} unreadable."
        )
        self._lap("features", started)
        return catalog.with_problems(done.problems) if done.problems else catalog

    def _train_and_measure(self, catalog: Catalog, prefix: CutPrefix, folder: RunFolder) -> Run:
        states, expected = self._stages(catalog, prefix, folder)
        started = time.perf_counter()
        validation, parity = self._export(catalog, folder, expected)
        self._lap("export", started)
        started = time.perf_counter()
        predictor = Predictor(folder / MODEL_FILE)
        test = predict(predictor, catalog, split="test", progress=self.progress)
        metrics = {
            "validation": measure(validation.probability, validation.label, self._labels),
            "test": measure(test.probability, test.label, self._labels),
            "stages": {
                stage.name: state.history
                for stage, state in zip(self.recipe.stages, states, strict=True)
            },
            "parity": parity,
            "counts": catalog.counts(),
        }
        self._lap("measure", started)
        metrics["seconds"] = self.seconds
        folder.write_text("run.log", "\n".join(self.log) + "\n")
        folder.write_json(METRICS, metrics)
        folder.drop_checkpoints()
        return Run(
            folder=folder.path,
            model_file=folder / MODEL_FILE,
            metrics=metrics,
            summary=_summary(folder.path, metrics),
        )

    def _stages(
        self, catalog: Catalog, prefix: CutPrefix, folder: RunFolder
    ) -> tuple[list[StageState], np.ndarray]:
        """All stages; their states, and what the trained network says of validation."""
        states: list[StageState] = []
        rows: list[dict[str, Any]] = []
        for number, stage in enumerate(self.recipe.stages):
            started = time.perf_counter()
            before = list(rows)

            def write(history: list[dict[str, Any]], before: Any = before, stage: Stage = stage) -> None:
                rows[:] = [*before, *({"stage": stage.name, **row} for row in history)]
                folder.write_history(rows)

            state, expected = self._stage(number, stage, catalog, prefix, folder, write)
            states.append(state)
            best = min(state.history, key=lambda row: row["validation_loss"])
            self._say(
                f"{stage.name}: validation accuracy {best['validation_accuracy']:.2%} and loss "
                f"{best['validation_loss']:.4f} at epoch {best['epoch']}."
            )
            self._lap(f"stage {stage.name}", started)
        return states, expected

    def _stage(
        self,
        number: int,
        stage: Stage,
        catalog: Catalog,
        prefix: CutPrefix,
        folder: RunFolder,
        on_epoch: Any,
    ) -> tuple[StageState, np.ndarray]:
        from pawsure.training.stages import StageData, predict_probabilities, train_stage

        source = prefix.sources[stage.train_from]
        store = prefix.prefix.store(source.output, ORIGINAL.name)
        train_at, validation_at = catalog.where("train"), catalog.where("validation")
        data = StageData(
            train_rows=TrainingRows(
                catalog, prefix.prefix, source.output, stage, self.recipe.seed, self.progress
            ),
            train_labels=catalog.label[train_at],
            validation_rows=store.rows(catalog.content[validation_at]),
            validation_labels=catalog.label[validation_at],
            num_labels=len(catalog.labels),
        )
        part = self._part(stage, source)
        state = train_stage(
            part,
            stage,
            data,
            is_sigmoid=self.classifier.is_sigmoid,
            seed=(self.recipe.seed, number),
            checkpoint=folder.checkpoint(stage.name),
            on_epoch=on_epoch,
            progress=self.progress,
        )
        expected = predict_probabilities(
            part, data.validation_rows, is_sigmoid=self.classifier.is_sigmoid
        )
        return state, expected

    def _part(self, stage: Stage, source: Source) -> keras.Model:
        """The part of the network that a stage trains, with what learns marked."""
        from pawsure.network.cuts import cut_before
        from pawsure.network.trainable import freeze_batch_norm, set_trainable_from

        backbone = self.classifier.backbone
        if stage.train_from == HEAD:
            return self.classifier.head_part()
        first = 0 if stage.train_from == "all" else stage.train_from
        set_trainable_from(backbone, first)
        if stage.batch_norm == "frozen":
            freeze_batch_norm(backbone)
        return self.classifier.part_from(
            cut_before(backbone, first), scaling_of(self.recipe.model)
        )

    def _export(
        self, catalog: Catalog, folder: RunFolder, expected: np.ndarray
    ) -> tuple[Predictions, dict[str, Any]]:
        """Write the model file once it agrees with Keras on every validation picture."""
        from pawsure.network.classifier import save_whole
        from pawsure.training import handover

        scaling = scaling_of(self.recipe.model)
        metadata = ModelMetadata(
            labels=catalog.labels,
            size_px=self.recipe.model.image_size,
            backbone=self.recipe.model.backbone,
            recipe=recipe_to_toml(self.recipe),
            data_fingerprint=catalog.fingerprint,
        )
        with handover.checked_model_file(folder / MODEL_FILE) as unchecked:
            handover.write_model(self.classifier, scaling, metadata, unchecked)
            predictor = Predictor(unchecked)
            pixels = handover.check_from_pixels(self.classifier, scaling, predictor, catalog)
            validation, stored = handover.check_against_stored(
                predictor, catalog, expected, progress=self.progress
            )
        save_whole(self.classifier, scaling, folder / KERAS_FILE)
        return validation, {"pixels": asdict(pixels), "stored": asdict(stored)}

    @property
    def classifier(self) -> Classifier:
        """The network, built when it is first wanted."""
        if self._classifier is None:
            from pawsure.network.backbones import build_backbone
            from pawsure.network.classifier import Classifier

            model = self.recipe.model
            self._classifier = Classifier(
                build_backbone(
                    model.backbone,
                    size_px=model.image_size,
                    weights=model.weights,
                    seed=self.recipe.seed,
                ),
                len(self._labels),
                head=model.head,
                dropout=model.dropout,
                seed=self.recipe.seed,
            )
        return self._classifier

    def _say(self, message: str) -> None:
        """Tell who watches, and whoever reads run.log later."""
        self.progress.say(message)
        self.log.append(f"{time.perf_counter() - self._started:8.1f} s  {message}")

    def _lap(self, name: str, started: float) -> None:
        self.seconds[name] = round(time.perf_counter() - started, 2)


class _KerasImport:
    """Imports Keras in a thread of its own while pictures are read: it takes seconds."""

    def __init__(self) -> None:
        self._thread = threading.Thread(target=self._import, daemon=True)
        self._thread.start()

    def _import(self) -> None:
        try:
            import keras  # noqa: F401
        except ImportError:
            return  # whoever needs it imports it again, and tells the error

    def wait(self) -> None:
        self._thread.join()


def _summary(folder: Path, metrics: Mapping[str, Any]) -> list[str]:
    test = metrics["test"]
    accuracy = test["accuracy"]
    return [
        f"Test accuracy {accuracy['value']:.1%} on {test['n']} pictures that nothing was learned "
        f"from (95% interval {accuracy['low']:.1%} to {accuracy['high']:.1%}).",
        f"Run folder: {folder}",
    ]

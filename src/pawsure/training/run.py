"""The whole story of a training run, from labelled pictures to a measured model file."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pawsure.copies.grouping import grouped_catalog
from pawsure.copies.leakage import refuse_leakage
from pawsure.copies.summary import AuditSummary, summarise
from pawsure.data.cache import check_cache, tell_notes
from pawsure.data.catalog import Catalog, check_trainable
from pawsure.data.entries import Source
from pawsure.data.sources import open_source
from pawsure.data.split import assign_splits
from pawsure.errors import DataError, PawsureError, storage_error
from pawsure.evaluation.headline import headline
from pawsure.evaluation.selected import Selected
from pawsure.features.extract import ExactRows, extract
from pawsure.features.prefix import FEATURE_MAP, Prefix
from pawsure.features.prune import VARIABLE, prune
from pawsure.network.prefixes import (
    CutPrefix,
    export_prefix,
    find_prefix,
    prefix_needs_keras,
    require_keras,
)
from pawsure.network.recipe import AUTO, is_file
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.report.build import write_report
from pawsure.report.predictions import FILE_NAME as ANSWERS
from pawsure.report.predictions import write_answers
from pawsure.training.cross_validation import cross_validate
from pawsure.training.figures import diagnose_run, measure_run, summary_of
from pawsure.training.finished import Run
from pawsure.training.interpolation import kept_point
from pawsure.training.learner import Learner, StageResult, front_output
from pawsure.training.recipe import Recipe, load_recipe, recipe_to_toml
from pawsure.training.run_folder import (
    CATALOG,
    LOG,
    METRICS,
    MODEL_FILE,
    RECIPE,
    RunFolder,
)
from pawsure.training.shipping import ship
from pawsure.training.strangers import Strangers, find_strangers
from pawsure.training.teacher import teacher_prefix
from pawsure.training.watch import Watching, make_watchers
from pawsure.trust.robustness import sentence as on_robustness
from pawsure.wording import count

if TYPE_CHECKING:
    from pawsure.network.classifier import Classifier


def train(
    data: str | Path,
    *,
    recipe: str | Path | Recipe = "default",
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    resume: str | Path | None = None,
    tensorboard: str | Path | None = None,
    mlflow: str | None = None,
    strict: bool = False,
    labels: str | None = None,
    progress: Progress = NO_PROGRESS,
    on_folder: Callable[[Path], None] | None = None,
) -> Run:
    """Train a classifier on labelled pictures, measure it, and write its run folder.

    Args:
        data: see `pawsure.data.sources.open_source`.
        recipe: a name on board, a TOML file, or a `Recipe`.
        out: the run folder to make; None takes the first free one under `runs/`.
        overrides: keys of the recipe to change; see `load_recipe`.
        resume: a run folder that was cut off, to go on with; its own recipe is taken.
        tensorboard: a folder for TensorBoard's event files.
        mlflow: where MLflow keeps its runs: a folder, or the address of a server.
        strict: whether to refuse data whose own splits share copies of pictures.
        labels: which folder names the label, "outer", "inner" or "parent", where several could.
        progress: told what happens.
        on_folder: called with the run folder once the run can be resumed from it.

    Raises:
        DataError: the pictures can't be trained on, or leak and `strict` is set.
        UsageError: the recipe, the weights or the run folder are not right.
        StorageError: a file can't be written, or went away while it was used.
        ParityError: the exported file disagrees with the network; it is not written.
    """
    folder = None
    if resume is not None:
        folder = RunFolder.reopen(resume)
        recipe = folder.recipe()
    elif not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe, overrides)
    watchers = make_watchers(
        tensorboard=None if tensorboard is None else Path(tensorboard),
        mlflow=mlflow,
        name=Path(resume or out or recipe.name).name,
    )
    try:
        check_cache()
        tell_notes(progress)
        with Watching(watchers, progress) as watching:
            training = _Training(recipe, watching, progress, strict=strict, on_folder=on_folder)
            return training.run(data, labels, out, folder)
    except Exception as error:
        known = None if isinstance(error, PawsureError) else storage_error(error)
        if known is None:
            raise
        raise known from error
    finally:
        tell_notes(progress)


class _Training:
    """One run; its steps in the order in which they happen."""

    def __init__(
        self,
        recipe: Recipe,
        watching: Watching,
        progress: Progress,
        *,
        strict: bool,
        on_folder: Callable[[Path], None] | None = None,
    ) -> None:
        self.recipe = recipe
        self.strict = strict
        self.on_folder = on_folder
        self.watching = watching
        self.progress = progress
        self.folder: RunFolder | None = None
        self.seconds: dict[str, float] = {}
        self.log: list[str] = []
        self._started = time.perf_counter()
        self._labels: tuple[str, ...] = ()
        self._audit: AuditSummary | None = None
        self._exact = ExactRows(None)

    def run(
        self,
        data: str | Path,
        labels: str | None,
        out: str | Path | None,
        folder: RunFolder | None,
    ) -> Run:
        """Everything; in a new folder, or on with one that was cut off."""
        if folder is None:
            RunFolder.check_free(out)  # before minutes are spent
        prefix = self._find_prefix()
        wants_keras = self._wants_keras(prefix)
        source = open_source(data, labels=labels, progress=self.progress)
        for note in source.notes:
            self._log(note)
        with _KerasImport(wanted=wants_keras) as keras_import:
            catalog = self._catalog(source)
            self._check_teachers(catalog)
            strangers = self._strangers(catalog)
            keras_import.wait_if(prefix is None)
        prefix = prefix or self._export_prefix()
        catalog = self._extract(catalog, prefix)
        self._open(folder, out, catalog)
        keras_import.wait_if(self.recipe.needs_keras)
        results, learner = self._learn(catalog, prefix)
        metrics = self._ship_and_measure(results, learner, strangers, str(data))
        return self._close(metrics, source)

    def _wants_keras(self, prefix: CutPrefix | None) -> bool:
        """Whether any of this run needs Keras.

        Raises:
            MissingExtraError: it does, and there is none.
        """
        recipe = self.recipe
        wanted = recipe.needs_keras or (
            prefix is None and prefix_needs_keras(recipe.model, _train_froms(recipe))
        )
        if wanted:
            require_keras()
        return wanted

    def _find_prefix(self) -> CutPrefix | None:
        """What an earlier run has exported for these stages."""
        recipe = self.recipe
        return find_prefix(
            recipe.model, _train_froms(recipe), seed=recipe.seed, progress=self.progress
        )

    def _export_prefix(self) -> CutPrefix:
        recipe = self.recipe
        with self._timed("prefix"):
            prefix = export_prefix(
                recipe.model,
                _train_froms(recipe),
                lambda: self.classifier.backbone,
                seed=recipe.seed,
            )
        self._say(f"Exported the frozen layers of {recipe.model.backbone} (cached).")
        if is_file(recipe.model.backbone):
            self._say(_what_it_gives(prefix.prefix))
        return prefix

    def _catalog(self, source: Source) -> Catalog:
        recipe = self.recipe
        with self._timed("catalog"):
            grouped = grouped_catalog(source, progress=self.progress)
        catalog = grouped.catalog
        self._labels = catalog.labels
        for line in catalog.problem_lines():
            self._warn(line)
        if recipe.model.head == "sigmoid" and len(catalog.labels) != 2:
            raise DataError(
                f"The data have {len(catalog.labels)} labels ({', '.join(catalog.labels)}); "
                "a sigmoid head is for two. Take --recipe default, or --set head=softmax."
            )
        catalog = assign_splits(catalog, seed=recipe.seed, **asdict(recipe.split))
        self._audit = summarise(grouped, catalog)
        warnings = self._audit.warnings()
        for sentence in self._audit.sentences():
            (self._warn if sentence in warnings else self._say)(sentence)
        if self.strict:
            refuse_leakage(self._audit.leakage, data=source.name)
        return catalog

    def _check_teachers(self, catalog: Catalog) -> None:
        """Refuse a teacher of something else before minutes are spent."""
        for stage in self.recipe.stages:
            if stage.teacher:
                teacher_prefix(stage.teacher, catalog.labels)

    def _strangers(self, catalog: Catalog) -> Strangers | None:
        """The pictures that the user gave as examples of "neither"."""
        folder, split = self.recipe.trust.neither, self.recipe.split
        if not folder:
            return None
        found = find_strangers(folder, catalog, seed=self.recipe.seed, test=split.test)
        for path, reason in found.problems.items():
            self._warn(f"Left out {path}: {reason}")
        return found

    def _extract(self, catalog: Catalog, prefix: CutPrefix) -> Catalog:
        """Run the frozen part on what every stage needs; name what turns out unreadable."""
        recipe = self.recipe
        self._make_room()
        stages = [stage for stage in recipe.stages if stage.train_from != AUTO]
        output = {stage.name: prefix.sources[stage.train_from][0].output for stage in stages}
        judged = sorted(set(output.values()))
        learned = sorted({output[stage.name] for stage in stages if stage.sees_originals})
        self._exact = ExactRows(front_output(recipe, prefix))
        problems: dict[int, str] = {}
        computed = reused = 0
        with self._timed("features"):
            for split, outputs in (("train", learned), ("validation", judged)):
                done = extract(
                    catalog.read,
                    catalog.content,
                    catalog.where(split),
                    prefix.prefix,
                    outputs,
                    exact=self._exact if split == "validation" else None,
                    progress=self.progress,
                )
                problems |= done.problems
                computed, reused = computed + done.computed, reused + done.reused
        self._say(f"Computed features for {count(computed, 'picture')} ({reused:,} from cache).")
        for row, reason in problems.items():
            self._warn(f"Left out {catalog.path[row]}: {reason}")
        if problems:
            catalog = catalog.with_problems(problems)
            check_trainable(catalog)
        return catalog

    def _make_room(self) -> None:
        pruned = prune()
        if pruned.folders:
            self._say(
                f"Removed {pruned.num_bytes / 1e9:,.1f} GB of features that no run of the last "
                f"day has used, to keep the store within its bounds ({VARIABLE})."
            )

    def _open(self, folder: RunFolder | None, out: str | Path | None, catalog: Catalog) -> None:
        """From here on the run leaves traces, and can be gone on with."""
        recipe = recipe_to_toml(self.recipe)
        if folder is None:
            folder = RunFolder.create(out, self.recipe.name, recipe)
        else:
            folder.check_same_data(catalog)
        self.folder = folder
        folder.keep_catalog(catalog)
        if self.on_folder is not None:
            self.on_folder(folder.path)
        self.watching.start(recipe)

    def _learn(self, catalog: Catalog, prefix: CutPrefix) -> tuple[list[StageResult], Learner]:
        """All stages."""
        assert self.folder is not None
        learner = Learner(
            self.recipe,
            catalog,
            prefix,
            lambda: self.classifier,
            self.folder.checkpoint,
            self._exact,
            self.progress,
        )
        results: list[StageResult] = []
        for number, stage in enumerate(self.recipe.stages):
            with self._timed(f"stage {stage.name}"):
                result = learner.learn(number, lambda rows: self._write_history(results, rows))
            results.append(result)
            self._tell(result)
        return results, learner

    def _write_history(self, done: list[StageResult], rows: list[dict[str, Any]]) -> None:
        """Keep history.csv up to date: stages that are done, then the one that goes on."""
        assert self.folder is not None
        name = self.recipe.stages[len(done)].name
        before = sum(len(result.history) for result in done)
        self.watching.history(name, rows, before)
        histories = [(result.name, result.history) for result in done]
        histories.append((name, rows))
        self.folder.write_history(
            [{"stage": name, **row} for name, history in histories for row in history]
        )

    def _tell(self, result: StageResult) -> None:
        for trial in result.depth:
            self._say(
                f"From {trial.cut}: validation loss {trial.validation_loss:.4f}, a gain of "
                f"{trial.gain:.4f} ± {trial.standard_error:.4f}: "
                f"{'significant' if trial.accepted else 'not significant'}."
            )
        if result.interpolation:
            self._say(_interpolated(result))
        self._say(
            f"{result.name}: validation accuracy {result.validation_accuracy:.2%}, "
            f"loss {result.validation_loss:.4f}"
            + ("." if result.is_kept else ", no better than before: discarded.")
        )

    def _ship_and_measure(
        self, results: list[StageResult], learner: Learner, strangers: Strangers | None, data: str
    ) -> dict[str, Any]:
        """Write the model file, and every figure of it."""
        assert self.folder is not None and self._audit is not None
        catalog = learner.catalog
        shipped = ship(
            self.recipe,
            learner,
            lambda: self.classifier,
            self.folder,
            strangers=strangers,
            head_is_all=not self.recipe.needs_keras,
            timed=self._timed,
            say=self._say,
            progress=self.progress,
        )
        with self._timed("cross-validation"):
            crossed = cross_validate(
                catalog, learner.prefix.prefix, seed=self.recipe.seed, progress=self.progress
            )
        with self._timed("measure"):
            measured = measure_run(self.folder, shipped, catalog, strangers, crossed, self.progress)
        with self._timed("diagnose"):
            diagnosis = diagnose_run(self.folder, self.recipe, results, shipped, catalog, data)
        details = [Selected.from_dict(diagnosis["selected"]).sentence()]
        details += filter(None, [on_robustness(measured.figures["robustness"])])
        for sentence in dict.fromkeys(details + diagnosis["sentences"]):
            self._say(sentence)
        write_answers(
            self.folder / ANSWERS,
            catalog,
            {"validation": shipped.validation, "test": measured.test},
            data=data,
        )
        metrics = {
            **measured.figures,
            "stages": [result.to_dict() for result in results],
            "counts": catalog.counts(),
            "unreadable": catalog.problems(),
            "selected": diagnosis["selected"],
            "diagnosis": diagnosis,
            "audit": self._audit.to_dict(),
            "data": data,
        }
        return {"headline": headline(metrics).to_dict(), **metrics}

    def _close(self, metrics: dict[str, Any], source: Source) -> Run:
        assert self.folder is not None
        folder = self.folder
        folder.refuse_if_gone()
        summary = summary_of(folder.path, metrics)
        for line in summary:
            self._log(line)
        self._write_metrics(metrics)
        with self._timed("report"):
            write_report(folder.path, source=source)
        self._write_metrics(metrics)
        self.watching.end(metrics)
        folder.close(RECIPE, CATALOG, METRICS, ANSWERS)
        return Run(
            folder=folder.path,
            model_file=folder / MODEL_FILE,
            metrics=metrics,
            summary=summary,
        )

    def _write_metrics(self, metrics: dict[str, Any]) -> None:
        """With the seconds that every step has taken so far."""
        assert self.folder is not None
        metrics["seconds"] = {**self.seconds, "all": self._elapsed()}
        self.folder.write_json(METRICS, metrics)

    @cached_property
    def classifier(self) -> Classifier:
        """The network, built when it is first wanted."""
        from pawsure.network.build import build_backbone
        from pawsure.network.classifier import Classifier

        model, seed = self.recipe.model, self.recipe.seed
        backbone = build_backbone(
            model.backbone, size_px=model.image_size, weights=model.weights, seed=seed
        )
        return Classifier(
            backbone, len(self._labels), head=model.head, dropout=model.dropout, seed=seed
        )

    def _warn(self, message: str) -> None:
        """Show a warning, and keep it in run.log."""
        self.progress.say(message)
        self._log(message)

    def _say(self, message: str) -> None:
        """Keep a detail in run.log; it is shown only if details were asked for."""
        self.progress.detail(message)
        self._log(message)

    def _log(self, message: str) -> None:
        self.log.append(f"{self._elapsed():8.1f} s  {message}\n")
        if self.folder is not None:
            self.folder.write_text(LOG, "".join(self.log))

    def _elapsed(self) -> float:
        return round(time.perf_counter() - self._started, 2)

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 2)


class _KerasImport:
    """Imports Keras in a thread of its own while pictures are read: it takes seconds."""

    def __init__(self, *, wanted: bool) -> None:
        self._thread: threading.Thread | None = None
        if wanted and "keras" not in sys.modules:
            self._thread = threading.Thread(target=self._import, daemon=True)
            self._thread.start()

    def __enter__(self) -> _KerasImport:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A process that ends in the middle of TensorFlow's import may crash on its way out.
        self.wait_if(kind is not None)

    def _import(self) -> None:
        try:
            from pawsure.network.framework import keras  # noqa: F401
        except ImportError:
            return  # whoever needs it imports it again, and tells the error

    def wait_if(self, needed: bool) -> None:
        if needed and self._thread is not None:
            self._thread.join()


def _what_it_gives(prefix: Prefix) -> str:
    """What was taken for the features of a file."""
    import onnx

    assert prefix.path is not None
    graph = onnx.load(prefix.path).graph
    sizes = next(
        [dim.dim_value for dim in output.type.tensor_type.shape.dim[1:]]
        for output in graph.output
        if output.name == FEATURE_MAP
    )
    height, width, features = sizes
    places = f"at {height} × {width} places" if height * width > 1 else "without places"
    maps = "" if height * width > 1 else " There are no heat maps with it."
    return (
        f"It takes pictures of {prefix.size_px} pixels and gives {features:,} features "
        f"{places}.{maps}"
    )


def _interpolated(result: StageResult) -> str:
    if result.share == 1:
        return f"{result.name}: weight interpolation did not help."
    loss, end = kept_point(result.interpolation).validation_loss, result.interpolation[0]
    return (
        f"{result.name}: interpolated, {result.share:.0%} trained and {1 - result.share:.0%} "
        f"initial weights: validation loss {loss:.4f}, before {end.validation_loss:.4f}."
    )


def _train_froms(recipe: Recipe) -> list[str | int | float]:
    """Where the stages start to learn, each named once."""
    return list(dict.fromkeys(stage.train_from for stage in recipe.stages))

"""A training run from top to bottom: prepare, extract, learn, finalize, measure, report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pawsure.data.cache import check_cache, tell_notes
from pawsure.data.catalog import Catalog, check_trainable
from pawsure.data.sources import open_source
from pawsure.errors import PawsureError, storage_error
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
from pawsure.training.finalize import Finalized, finalize
from pawsure.training.finished import Run
from pawsure.training.interpolation import best_point
from pawsure.training.learned import Features, History, Learned, StageResult, front_output
from pawsure.training.learner import Learner
from pawsure.training.prepare import KerasImport, Prepared, prepare
from pawsure.training.recipe import Recipe, load_recipe, recipe_to_toml
from pawsure.training.run_folder import (
    CATALOG,
    METRICS,
    MODEL_FILE,
    RECIPE,
    RunFolder,
)
from pawsure.training.run_log import RunLog
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
        recipe: a built-in name, a TOML file, or a `Recipe`.
        out: the run folder to create; None takes the first free one under `runs/`.
        overrides: keys of the recipe to change; see `load_recipe`.
        resume: the folder of an interrupted run, to resume with its own recipe.
        tensorboard: a folder for TensorBoard's event files.
        mlflow: where MLflow keeps its runs: a folder, or the address of a server.
        strict: whether to refuse data whose own splits share copies of pictures.
        labels: which folder names the label, "outer", "inner" or "parent", where several could.
        progress: told what happens.
        on_folder: called with the run folder once the run can be resumed from it.

    Raises:
        DataError: the pictures can't be trained on, or leak and `strict` is set.
        UsageError: the recipe, the weights or the run folder are not right.
        StorageError: a file can't be written, or disappeared during the run.
        ParityError: the exported file disagrees with the network; it is not written.
    """
    folder = None
    if resume is not None:
        folder = RunFolder.reopen(resume)
        recipe = folder.recipe()
    else:
        if not isinstance(recipe, Recipe):
            recipe = load_recipe(recipe, overrides)
        RunFolder.check_free(out)  # before minutes are spent
    watchers = make_watchers(
        tensorboard=None if tensorboard is None else Path(tensorboard),
        mlflow=mlflow,
        name=Path(resume or out or recipe.name).name,
    )
    with _storage_errors(progress), Watching(watchers, progress) as watching:
        log = RunLog(progress)
        found = find_prefix(recipe.model, recipe.train_froms, seed=recipe.seed, progress=progress)
        wants_keras = _wants_keras(recipe, found)
        source = open_source(data, labels=labels, progress=progress)
        for note in source.notes:
            log.write(note)
        with KerasImport(wanted=wants_keras) as keras_import:
            prepared = prepare(source, recipe, strict=strict, log=log)
            keras_import.wait_if(found is None)
        classifier = _classifier_of(recipe, len(prepared.catalog.labels))
        prefix = found or _export_prefix(recipe, classifier, log)
        features = _extract(recipe, prepared.catalog, prefix, log)
        folder = _open_folder(folder, out, recipe, features.catalog)
        log.keep_in(folder)
        if on_folder is not None:
            on_folder(folder.path)
        watching.start(recipe_to_toml(recipe))
        keras_import.wait_if(recipe.needs_keras)
        learned = _learn(recipe, features, classifier, folder, watching, log)
        finalized = finalize(recipe, learned, classifier, folder, ood=prepared.ood, log=log)
        metrics = _measure(learned, finalized, prepared, folder, str(data), log)
        return _report(metrics, prepared, folder, watching, log)


@contextmanager
def _storage_errors(progress: Progress) -> Iterator[None]:
    """Check the cache, and turn errors of the file system into `StorageError`."""
    try:
        check_cache()
        tell_notes(progress)
        yield
    except Exception as error:
        known = None if isinstance(error, PawsureError) else storage_error(error)
        if known is None:
            raise
        raise known from error
    finally:
        tell_notes(progress)


def _wants_keras(recipe: Recipe, prefix: CutPrefix | None) -> bool:
    """Whether any of this run needs Keras.

    Raises:
        MissingExtraError: it does, and Keras is not installed.
    """
    wanted = recipe.needs_keras or (
        prefix is None and prefix_needs_keras(recipe.model, recipe.train_froms)
    )
    if wanted:
        require_keras()
    return wanted


def _classifier_of(recipe: Recipe, num_labels: int) -> Callable[[], Classifier]:
    """Gives the network, built with its initial weights when it is first asked for."""

    @cache
    def classifier() -> Classifier:
        from pawsure.network.build import build_backbone
        from pawsure.network.classifier import Classifier

        model, seed = recipe.model, recipe.seed
        backbone = build_backbone(
            model.backbone, size_px=model.image_size, weights=model.weights, seed=seed
        )
        return Classifier(backbone, num_labels, head=model.head, dropout=model.dropout, seed=seed)

    return classifier


def _export_prefix(recipe: Recipe, classifier: Callable[[], Classifier], log: RunLog) -> CutPrefix:
    """Export the frozen layers that no earlier run has exported."""
    with log.timed("prefix"):
        prefix = export_prefix(
            recipe.model, recipe.train_froms, lambda: classifier().backbone, seed=recipe.seed
        )
    log.say(f"Exported the frozen layers of {recipe.model.backbone} (cached).")
    if is_file(recipe.model.backbone):
        log.say(_shapes_of(prefix.prefix))
    return prefix


def _extract(recipe: Recipe, catalog: Catalog, prefix: CutPrefix, log: RunLog) -> Features:
    """Compute the features that the stages need; leave out pictures that can't be read."""
    pruned = prune()
    if pruned.folders:
        log.say(
            f"Removed {pruned.num_bytes / 1e9:,.1f} GB of features that no run of the last day "
            f"has used, to keep the feature store within its limit ({VARIABLE})."
        )
    stages = [stage for stage in recipe.stages if stage.train_from != AUTO]
    output = {stage.name: prefix.inputs[stage.train_from][0].output for stage in stages}
    for_training = sorted({output[stage.name] for stage in stages if stage.sees_originals})
    for_validation = sorted(set(output.values()))
    exact = ExactRows(front_output(recipe, prefix))
    problems: dict[int, str] = {}
    computed = reused = 0
    with log.timed("features"):
        for split, outputs in (("train", for_training), ("validation", for_validation)):
            done = extract(
                catalog.read,
                catalog.content,
                catalog.where(split),
                prefix.prefix,
                outputs,
                exact=exact if split == "validation" else None,
                progress=log.progress,
            )
            problems |= done.problems
            computed, reused = computed + done.computed, reused + done.reused
    log.say(f"Computed features for {count(computed, 'picture')} ({reused:,} from cache).")
    for index, reason in problems.items():
        log.warn(f"Left out {catalog.path[index]}: {reason}")
    if problems:
        catalog = catalog.with_problems(problems)
        check_trainable(catalog)
    return Features(catalog=catalog, prefix=prefix, exact=exact)


def _open_folder(
    folder: RunFolder | None, out: str | Path | None, recipe: Recipe, catalog: Catalog
) -> RunFolder:
    """Create the run folder, or check an interrupted one; from here the run can be resumed."""
    if folder is None:
        folder = RunFolder.create(out, recipe.name, recipe_to_toml(recipe))
    else:
        folder.check_same_data(catalog)
    folder.keep_catalog(catalog)
    return folder


def _learn(
    recipe: Recipe,
    features: Features,
    classifier: Callable[[], Classifier],
    folder: RunFolder,
    watching: Watching,
    log: RunLog,
) -> Learned:
    """Train all stages."""
    learner = Learner(recipe, features, classifier, folder.checkpoint, log.progress)
    results: list[StageResult] = []

    def on_epoch(history: History) -> None:
        """Update history.csv: the finished stages, then the current one."""
        name = recipe.stages[len(results)].name
        before = [{"stage": done.name, **row} for done in results for row in done.history]
        watching.history(name, history, len(before))
        folder.write_history(before + [{"stage": name, **row} for row in history])

    for number, stage in enumerate(recipe.stages):
        with log.timed(f"stage {stage.name}"):
            result = learner.learn(number, on_epoch)
        results.append(result)
        for sentence in _sentences(result):
            log.say(sentence)
    return Learned(
        catalog=features.catalog,
        prefix=features.prefix,
        exact=features.exact,
        recipe=recipe,
        stages=tuple(results),
    )


def _measure(
    learned: Learned,
    finalized: Finalized,
    prepared: Prepared,
    folder: RunFolder,
    data: str,
    log: RunLog,
) -> dict[str, Any]:
    """Every figure of the model file; also writes its answers."""
    catalog, recipe = learned.catalog, learned.recipe
    with log.timed("cross-validation"):
        crossed = cross_validate(
            catalog, learned.prefix.prefix, seed=recipe.seed, progress=log.progress
        )
    with log.timed("measure"):
        measured = measure_run(folder, finalized, catalog, prepared.ood, crossed, log.progress)
    with log.timed("diagnose"):
        diagnosis = diagnose_run(folder, learned, finalized, data)
    details = [Selected.from_dict(diagnosis["selected"]).sentence()]
    details += filter(None, [on_robustness(measured.figures["robustness"])])
    for sentence in dict.fromkeys(details + diagnosis["sentences"]):
        log.say(sentence)
    write_answers(
        folder / ANSWERS,
        catalog,
        {"validation": finalized.validation, "test": measured.test},
        data=data,
    )
    metrics = {
        **measured.figures,
        "stages": [stage.to_dict() for stage in learned.stages],
        "counts": catalog.counts(),
        "unreadable": catalog.problems(),
        "selected": diagnosis["selected"],
        "diagnosis": diagnosis,
        "audit": prepared.audit.to_dict(),
        "data": data,
    }
    return {"headline": headline(metrics).to_dict(), **metrics}


def _report(
    metrics: dict[str, Any], prepared: Prepared, folder: RunFolder, watching: Watching, log: RunLog
) -> Run:
    """Write metrics.json and report.html, and close the run folder."""
    folder.refuse_if_gone()
    summary = summary_of(folder.path, metrics)
    for line in summary:
        log.write(line)
    _write_metrics(metrics, folder, log)
    with log.timed("report"):
        write_report(folder.path, source=prepared.source)
    _write_metrics(metrics, folder, log)
    watching.end(metrics)
    folder.close(RECIPE, CATALOG, METRICS, ANSWERS)
    return Run(folder=folder.path, model_file=folder / MODEL_FILE, metrics=metrics, summary=summary)


def _write_metrics(metrics: dict[str, Any], folder: RunFolder, log: RunLog) -> None:
    """With the seconds of every step so far."""
    metrics["seconds"] = {**log.seconds, "all": log.elapsed()}
    folder.write_json(METRICS, metrics)


def _shapes_of(prefix: Prefix) -> str:
    """The size of the pictures and features of an ONNX file, in words."""
    import onnx

    assert prefix.path is not None  # for the type checker: a backbone is a file
    graph = onnx.load(prefix.path).graph
    shape = next(
        output.type.tensor_type.shape for output in graph.output if output.name == FEATURE_MAP
    )
    height, width, features = (dim.dim_value for dim in shape.dim[1:])
    has_map = height * width > 1
    return f"It takes pictures of {prefix.size_px} pixels and gives {features:,} features " + (
        f"at {height} × {width} places." if has_map else "without places. There are no heat maps."
    )


def _sentences(result: StageResult) -> list[str]:
    """The result of a stage, in words."""
    sentences = [
        f"From {trial.cut}: validation loss {trial.validation_loss:.4f}, a gain of "
        f"{trial.gain:.4f} ± {trial.standard_error:.4f}: "
        f"{'significant' if trial.accepted else 'not significant'}."
        for trial in result.depth
    ]
    if result.interpolation:
        sentences.append(_interpolated(result))
    outcome = "." if result.is_kept else ", no better than before: discarded."
    return [
        *sentences,
        f"{result.name}: validation accuracy {result.validation_accuracy:.2%}, "
        f"loss {result.validation_loss:.4f}{outcome}",
    ]


def _interpolated(result: StageResult) -> str:
    if result.share == 1:
        return f"{result.name}: weight interpolation did not help."
    loss, end = best_point(result.interpolation).validation_loss, result.interpolation[0]
    return (
        f"{result.name}: interpolated, {result.share:.0%} trained and {1 - result.share:.0%} "
        f"initial weights: validation loss {loss:.4f}, before {end.validation_loss:.4f}."
    )

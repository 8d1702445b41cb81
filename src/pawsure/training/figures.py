"""Figures of a finished run, its diagnosis, and a summary for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pawsure.data.catalog import Catalog
from pawsure.evaluation.diagnosis import diagnose
from pawsure.evaluation.evaluate import predict
from pawsure.evaluation.findings import StageRecord
from pawsure.evaluation.headline import LEAST_TEST_PICTURES, headline_sentences
from pawsure.evaluation.measure import Predictions, measure
from pawsure.evaluation.metrics import log_loss
from pawsure.export.model_file import stamp_figures
from pawsure.model.predictor import Predictor
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.report.build import FILE_NAME as REPORT
from pawsure.training.finalize import Finalized
from pawsure.training.learned import Learned, StageResult
from pawsure.training.ood import OodPictures, predict_ood
from pawsure.training.recipe import Recipe, load_recipe, recipe_names
from pawsure.training.run_folder import LOG, MODEL_FILE, RECIPE, RunFolder
from pawsure.trust.calibration import at_best_temperature
from pawsure.trust.figures import trust_figures
from pawsure.trust.robustness import measure_robustness

DIAGNOSED_PICTURES = 500
"""Training pictures that are run again for the training error: enough for an interval of two to
four points, in a second."""

MOST_ADVICE = 2
"""Suggestions in the summary; all are in the report and in metrics.json."""

IN_THE_FILE = ("n", "accuracy", "log_loss", "brier_score", "calibration_error", "answers")
"""Figures of the test split that a model file carries in its metadata."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The figures of a model file.

    Attributes:
        figures: JSON-ready: `validation`, `test`, `parity`, `trust`, `robustness`.
        test: answers of the file for every test picture.
    """

    figures: dict[str, Any]
    test: Predictions


def measure_run(
    folder: RunFolder,
    finalized: Finalized,
    catalog: Catalog,
    ood: OodPictures | None,
    cross_validation: dict[str, Any] | None = None,
    progress: Progress = NO_PROGRESS,
) -> Measured:
    """Measure a model file; figures of the test split are added to its metadata.

    Args:
        folder: that holds it.
        finalized: the file.
        catalog: of the run.
        ood: examples of "neither", if any; the held-out ones are measured.
        cross_validation: figures of `pawsure.training.cross_validation`, for the file's metadata.
        progress: told of every picture.
    """
    predictor = Predictor(folder / MODEL_FILE, threads=1)  # passes go side by side
    test = predict(predictor, catalog, split="test", progress=progress)
    figures: dict[str, Any] = {
        name: measure(answers.probability, answers.label, catalog.labels, outcome=answers.outcome)
        for name, answers in (("validation", finalized.validation), ("test", test))
    }
    stamped = {"test": {name: figures["test"][name] for name in IN_THE_FILE}}
    figures["cross_validation"] = cross_validation
    if cross_validation:
        stamped["cross_validation"] = {
            name: cross_validation[name] for name in ("of", "folds", "n", "accuracy")
        }
    stamp_figures(folder / MODEL_FILE, stamped)
    unknown = None if ood is None else predict_ood(predictor, ood)
    figures["parity"] = finalized.parity
    figures["trust"] = trust_figures(finalized.trust, finalized.validation, test, unknown)
    clean = finalized.validation
    figures["robustness"] = measure_robustness(
        predictor,
        catalog.read,
        clean.indices,
        clean.label,
        clean=None if clean.outcome is None else (clean.probability, clean.outcome),
        progress=progress,
    )
    return Measured(figures=figures, test=test)


def diagnose_run(
    folder: RunFolder, learned: Learned, finalized: Finalized, data: str
) -> dict[str, Any]:
    """The diagnosis of a run, in figures and in words; JSON-ready.

    Stages are compared by the weights that they ended with, without test-time augmentation;
    everything else is about the file.
    """
    recipe, catalog = learned.recipe, learned.catalog
    rng = np.random.default_rng(recipe.seed)
    some = np.sort(rng.permutation(catalog.where("train"))[:DIAGNOSED_PICTURES])
    series = finalized.file.predict_series(catalog.read, some)
    batches = [(batch.indices, batch.outputs.probability) for batch in series]
    return diagnose(
        _records(learned.stages, recipe, catalog.label[catalog.where("validation")]),
        catalog.label[catalog.where("validation")],
        train_probability=np.concatenate([probability for _, probability in batches]),
        train_label=catalog.label[np.concatenate([indices for indices, _ in batches])],
        validation_probability=finalized.validation.probability,
        tta=finalized.tta,
        recipe=asdict(recipe),
        data=data,
        recipe_name=_recipe_to_start_from(recipe, folder),
        run=str(folder.path),
    ).to_dict()


def summary_of(folder: Path, metrics: Mapping[str, Any]) -> list[str]:
    """A run in at most a dozen lines: result, verdict, suggestions, where things are."""
    diagnosis = metrics["diagnosis"]
    return [
        *headline_sentences(metrics),
        *_answers(metrics["test"], metrics["trust"]["neither"]["ood"]),
        diagnosis["verdict"],
        *(f"To try: {one['command']}  ({one['why']})" for one in diagnosis["next"][:MOST_ADVICE]),
        f"Run folder: {folder} (report: {folder / REPORT}; details: {folder / LOG})",
    ]


def _answers(test: Mapping[str, Any], ood: Mapping[str, Any] | None) -> list[str]:
    """What the model does with pictures that it had better not answer."""
    answers, lines = test["answers"], []
    error = answers["error"]
    if test["n"] >= LEAST_TEST_PICTURES:
        lines.append(
            f"Coverage {answers['answered']['value']:.1%}"
            + ("" if error is None else f" with {error['value']:.1%} error")
            + f"; {answers['unsure']['value']:.1%} unsure, "
            f'{answers["neither"]["value"]:.1%} "neither".'
        )
    if ood is not None:
        lines.append(
            f"{round(ood['accepted']['value'] * ood['n']):,} of {ood['n']:,} "
            'out-of-distribution pictures were accepted as known (not "neither").'
        )
    return lines


def _recipe_to_start_from(recipe: Recipe, folder: RunFolder) -> str:
    """The recipe that advice changes: a built-in one if this is unchanged, else the run's."""
    unchanged = recipe.name in recipe_names() and load_recipe(recipe.name) == recipe
    return recipe.name if unchanged else str(folder / RECIPE)


def _records(
    results: Sequence[StageResult], recipe: Recipe, label: np.ndarray
) -> list[StageRecord]:
    """The stages for the diagnosis, all judged alike.

    Epochs of a stage that softens its targets are judged at their best temperature. Where there
    is such a stage, the others are too: raw losses do not compare with those.
    """
    is_softened = {stage.name: stage.softens_targets for stage in recipe.stages}
    if any(is_softened.values()):
        results = [
            result if is_softened[result.name] else _at_best_temperature(result, label)
            for result in results
        ]
    return [_record(result) for result in results]


def _at_best_temperature(result: StageResult, label: np.ndarray) -> StageResult:
    """The same stage with losses at the best temperature, as far as they are known."""
    judged = at_best_temperature(result.validation_probability, label)
    epochs = {
        epoch: at_best_temperature(probability, label)
        for epoch, probability in result.epoch_probability.items()
    }
    known = {result.kept_epoch: judged, **epochs}
    history = [
        {**row, "validation_loss": log_loss(known[row["epoch"]], label)}
        if row["epoch"] in known
        else row
        for row in result.history
    ]
    return replace(result, history=history, judged_probability=judged, epoch_probability=epochs)


def _record(result: StageResult) -> StageRecord:
    """A stage for the diagnosis."""
    return StageRecord(
        name=result.name,
        history=result.history,
        kept_epoch=result.kept_epoch,
        probability=result.judged_probability,
        epoch_probability=result.epoch_probability,
        in_time="penalty" not in result.history[0],
        share=result.share,
        is_selected=result.is_kept,
    )

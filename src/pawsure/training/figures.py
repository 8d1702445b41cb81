"""What a finished run says of itself: figures, a diagnosis, a summary for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pawsure.data.catalog import Catalog
from pawsure.evaluation.diagnosis import StageRecord, diagnose
from pawsure.evaluation.evaluate import Predictions, measure, predict
from pawsure.export.model_file import stamp_figures
from pawsure.model.predictor import Predictor
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.report.build import FILE_NAME as REPORT
from pawsure.training.learner import StageResult
from pawsure.training.recipe import Recipe, load_recipe, recipe_names
from pawsure.training.run_folder import MODEL_FILE, RECIPE, RunFolder
from pawsure.training.shipping import Shipped
from pawsure.training.strangers import Strangers, run_strangers
from pawsure.trust.figures import trust_figures
from pawsure.trust.robustness import measure_robustness
from pawsure.trust.robustness import sentence as on_robustness

DIAGNOSED_PICTURES = 500
"""Training pictures that are looked at again, to see how much better the network knows them:
enough for an interval of two to four points, for a second of work."""

IN_THE_FILE = ("n", "accuracy", "log_loss", "brier_score", "calibration_error", "answers")
"""Figures of the test split that a model file carries in its metadata."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The figures of a model file.

    Attributes:
        figures: JSON-ready: `validation`, `test`, `parity`, `trust`, `robustness`.
        test: what the file says of every test picture.
    """

    figures: dict[str, Any]
    test: Predictions


def measure_run(
    folder: RunFolder,
    shipped: Shipped,
    catalog: Catalog,
    strangers: Strangers | None,
    progress: Progress = NO_PROGRESS,
) -> Measured:
    """Every figure of a model file, by itself; those of the test split go into it as well.

    Args:
        folder: that holds it.
        shipped: what it was written from.
        catalog: of the run.
        strangers: of the user, if any; those that nothing was learned from are measured on.
        progress: told of every picture.
    """
    predictor = Predictor(folder / MODEL_FILE)
    test = predict(predictor, catalog, split="test", progress=progress)
    figures: dict[str, Any] = {
        name: measure(
            found.probability,
            found.label,
            catalog.labels,
            outcome=found.outcome,
        )
        for name, found in (("validation", shipped.validation), ("test", test))
    }
    stamp_figures(
        folder / MODEL_FILE, {"test": {name: figures["test"][name] for name in IN_THE_FILE}}
    )
    unknown = None if strangers is None else run_strangers(predictor, strangers)
    figures["parity"] = shipped.parity
    figures["trust"] = trust_figures(shipped.trust, shipped.validation, test, unknown)
    figures["robustness"] = measure_robustness(
        predictor,
        catalog.read,
        shipped.validation.indices,
        shipped.validation.label,
        progress=progress,
    )
    return Measured(figures=figures, test=test)


def diagnose_run(
    folder: RunFolder,
    recipe: Recipe,
    results: list[StageResult],
    shipped: Shipped,
    catalog: Catalog,
    data: str,
) -> dict[str, Any]:
    """What the run shows about itself, in figures and in words; JSON-ready.

    Stages are compared by the network that they left, which looks once; training and validation
    pictures by the file, where that looks twice.
    """
    rng = np.random.default_rng(recipe.seed)
    some = np.sort(rng.permutation(catalog.where("train"))[:DIAGNOSED_PICTURES])
    learned = Predictor(folder / MODEL_FILE).predict_series(catalog.read, some)
    batches = [(batch.indices, batch.outputs.probability) for batch in learned]
    return diagnose(
        [_record(result) for result in results],
        catalog.label[catalog.where("validation")],
        train_probability=np.concatenate([probability for _, probability in batches]),
        train_label=catalog.label[np.concatenate([indices for indices, _ in batches])],
        validation_probability=shipped.validation.probability if recipe.model.looks == 2 else None,
        recipe=asdict(recipe),
        data=data,
        recipe_name=_recipe_to_start_from(recipe, folder),
    ).to_dict()


def summary_of(folder: Path, metrics: Mapping[str, Any]) -> list[str]:
    """A run in a few lines, for people."""
    test = metrics["test"]
    accuracy = test["accuracy"]
    return [
        f"Test accuracy {accuracy['value']:.1%} on {test['n']:,} pictures that nothing was "
        f"learned from (95% interval {accuracy['low']:.1%} to {accuracy['high']:.1%}).",
        *_answers(test["answers"], metrics["trust"]["neither"]["strangers"]),
        *filter(None, [on_robustness(metrics["robustness"])]),
        *metrics["diagnosis"]["sentences"],
        f"Run folder: {folder} (open {folder / REPORT} in a browser)",
    ]


def _answers(answers: Mapping[str, Any], strangers: Mapping[str, Any] | None) -> list[str]:
    """What the model does with pictures that it had better not answer."""
    error = answers["error"]
    lines = [
        f"It answers {answers['answered']['value']:.1%} of them"
        + ("" if error is None else f", {error['value']:.1%} of these wrongly")
        + f"; {answers['unsure']['value']:.1%} are unsure, {answers['neither']['value']:.1%} "
        "too unlike what it learned from."
    ]
    if strangers is not None:
        lines.append(
            f"Of {strangers['n']:,} strangers that it was never shown, "
            f"{strangers['accepted']['value']:.1%} pass for something that it knows."
        )
    return lines


def _recipe_to_start_from(recipe: Recipe, folder: RunFolder) -> str:
    """What advice changes: a recipe on board if this is one unchanged, else the run's own."""
    unchanged = recipe.name in recipe_names() and load_recipe(recipe.name) == recipe
    return recipe.name if unchanged else str(folder / RECIPE)


def _record(result: StageResult) -> StageRecord:
    """A stage as the diagnosis wants it.

    Its kept epoch has the probabilities that every epoch was judged by: where targets are
    softened those at their best temperature, not those that the bare network puts out.
    """
    kept = result.history[result.kept]["epoch"]
    return StageRecord(
        name=result.name,
        history=result.history,
        kept_epoch=kept,
        probability=result.epoch_probability.get(kept, result.validation_probability),
        epoch_probability=result.epoch_probability,
        in_time="penalty" not in result.history[0],
    )

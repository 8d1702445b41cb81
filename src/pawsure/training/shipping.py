"""From what has learned to the model file: trust fitted, agreement checked, written."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import onnx

from pawsure.evaluation.evaluate import predict
from pawsure.evaluation.measure import Predictions
from pawsure.evaluation.metrics import accuracy, log_loss, softmax
from pawsure.export.model_file import write_model_file
from pawsure.graph.tta import with_tta
from pawsure.model.metadata import ModelMetadata
from pawsure.model.predictor import Predictor
from pawsure.network.prefixes import scaling_of
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.training import handover
from pawsure.training.known import known_for
from pawsure.training.learner import Learner
from pawsure.training.recipe import Recipe, backbone_name, recipe_to_toml
from pawsure.training.resumed import ResumedFile, StoredOutputs
from pawsure.training.run_folder import KERAS_FILE, MODEL_FILE, RunFolder
from pawsure.training.seen import Front, Seen
from pawsure.training.strangers import Strangers
from pawsure.trust.calibration import at_best_temperature
from pawsure.trust.fit import Trust, fit_trust
from pawsure.trust.nodes import Parts

if TYPE_CHECKING:
    from pawsure.network.classifier import Classifier


@dataclass(frozen=True, kw_only=True)
class Shipped:
    """A model file that was written, and what it was checked by.

    Attributes:
        validation: what the file says of every validation picture.
        parity: by check, how far the file is from the network that learned; JSON-ready.
        trust: what was fitted for it.
        file: the file; pictures of which it is known what its network makes of them are not
            run again.
        tta: whether the file uses test-time augmentation.
    """

    validation: Predictions
    tta: bool
    parity: dict[str, Any]
    trust: Trust
    file: ResumedFile


def ship(
    recipe: Recipe,
    learner: Learner,
    classifier: Callable[[], Classifier],
    folder: RunFolder,
    *,
    strangers: Strangers | None,
    head_is_all: bool,
    timed: Callable[[str], AbstractContextManager[None]],
    progress: Progress = NO_PROGRESS,
    say: Callable[[str], None],
) -> Shipped:
    """Write the model file once it agrees with what learned, on every validation picture.

    Args:
        recipe: of the run.
        learner: after its last stage.
        classifier: gives the Keras network, where the recipe has one.
        folder: where to.
        strangers: of the user, if any.
        head_is_all: whether the feature store has all that the finished network makes of a
            picture, because only a head was learned.
        timed: measures a step of this name.
        progress: told of every picture.
        say: told what was found.

    Raises:
        ParityError: the file disagrees with the network; it is not written.
    """
    catalog = learner.catalog
    checks: dict[str, Any] = {}

    def looked_at(graph: onnx.ModelProto, front: Front | None = None) -> Seen:
        size_px = recipe.model.image_size
        return Seen(graph, catalog, size_px=size_px, front=front, progress=progress)

    def resumed(seen: Seen) -> ResumedFile:
        file, report = seen.of_file(unchecked)
        checks["whole"] = asdict(report)
        return file

    def without_trust(graph: onnx.ModelProto, seen: Seen) -> ResumedFile:
        """The file as it is before trust is fitted, run on validation."""
        seen(catalog.where("validation"))
        write_model_file(graph, metadata, unchecked)
        return resumed(seen)

    def agreeing(file: Predictor | ResumedFile) -> Predictions:
        """What a file that looks once says of validation, if it is what Keras said."""
        if recipe.needs_keras:
            predictor = file if isinstance(file, Predictor) else file.predictor
            report = handover.check_from_pixels(classifier(), scaling, predictor, catalog)
            checks["pixels"] = asdict(report)
        found, stored = handover.check_against_stored(
            file, catalog, learner.validation_probability, progress=progress
        )
        checks["stored"] = asdict(stored)
        return found

    with timed("export"), handover.checked_model_file(folder / MODEL_FILE) as unchecked:
        scaling = scaling_of(recipe.model)
        graph = (
            handover.graph_of(classifier(), scaling)
            if recipe.needs_keras
            else handover.head_only_graph(learner.prefix.prefix, learner.head)
        )
        metadata = _metadata(recipe, learner)
        looks_twice = False
        seen = looked_at(graph, learner.front())
        if recipe.model.looks == 2:
            once = without_trust(graph, seen)
            one = agreeing(once)
            twice_graph = with_tta(graph)
            twice_seen = looked_at(twice_graph)
            twice = without_trust(twice_graph, twice_seen)
            checks["second_look"] = asdict(
                handover.check_second_look(once.predictor, twice.predictor, catalog)
            )
            two = predict(twice, catalog, split="validation", progress=progress)
            looks_twice, sentence = _what_it_brings(one, two)
            say(sentence)
            if looks_twice:
                graph, seen = twice_graph, twice_seen
        with timed("trust"):
            known = known_for(
                recipe,
                graph,
                is_frozen=learner.has_frozen_embedding,
                say=say,
                progress=progress,
            )
            trust = fit_trust(
                graph,
                catalog,
                max_error=recipe.trust.max_error,
                rejected=recipe.trust.rejected,
                size_px=recipe.model.image_size,
                seed=recipe.seed,
                parts=Parts(known=known),
                strangers=strangers,
                stored=learner.stored if head_is_all and not looks_twice else seen,
                progress=progress,
            )
        for sentence in trust.sentences():
            say(sentence)
        metadata = replace(metadata, thresholds=trust.thresholds)
        write_model_file(trust.attach(graph), metadata, unchecked)
        is_seen = seen.has(catalog.where("validation"))
        file = resumed(seen) if is_seen else Predictor(unchecked)
        validation = (
            predict(file, catalog, split="validation", progress=progress)
            if looks_twice
            else agreeing(file)
        )
        if isinstance(file, Predictor):  # what is stored of training pictures is not run again
            stored = StoredOutputs(outputs=learner.stored, rows=catalog.where("train"))
            file = ResumedFile(file, onnx.load(unchecked), stored)
        if recipe.needs_keras:
            classifier().save(scaling, folder / KERAS_FILE)
        assert trust.calibration is not None
        handover.check_calibration(trust.calibration, validation)
    return Shipped(validation=validation, tta=looks_twice, parity=checks, trust=trust, file=file)


def _what_it_brings(one: Predictions, two: Predictions) -> tuple[bool, str]:
    """Whether the second look pays on the same pictures, each at its best temperature."""
    losses, figures = [], []
    for found in (one, two):
        assert found.logit is not None
        probability = at_best_temperature(softmax(found.logit), found.label)
        losses.append(log_loss(probability, found.label))
        right = accuracy(probability, found.label)
        figures.append(f"accuracy {right:.2%}, loss {losses[-1]:.4f}")
    pays = losses[1] < losses[0]
    outcome = "" if pays else " It does not help here, and is not used."
    return pays, f"Test-time augmentation: validation {figures[1]}; without: {figures[0]}.{outcome}"


def _metadata(recipe: Recipe, learner: Learner) -> ModelMetadata:
    """What is known of the model before anything is fitted for it or measured."""
    return ModelMetadata(
        labels=learner.catalog.labels,
        size_px=recipe.model.image_size,
        backbone=backbone_name(recipe.model),
        recipe=recipe_to_toml(recipe),
        data_fingerprint=learner.catalog.fingerprint,
    )

"""From trained weights to the model file: build the graph, fit trust, check, write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from pawsure.data.files import atomic_path
from pawsure.evaluation.evaluate import predict
from pawsure.evaluation.measure import Predictions
from pawsure.evaluation.metrics import accuracy, log_loss, softmax
from pawsure.export.model_file import write_model_file
from pawsure.graph.tta import with_tta
from pawsure.model.metadata import ModelMetadata
from pawsure.model.predictor import Predictor
from pawsure.network.prefixes import scaling_of
from pawsure.training import parity_checks
from pawsure.training.cached_outputs import CachedOutputs, Front
from pawsure.training.cached_predictor import CachedPredictor, StoredOutputs
from pawsure.training.known import known_for
from pawsure.training.learned import Learned
from pawsure.training.model_graph import graph_of, head_only_graph
from pawsure.training.ood import OodPictures
from pawsure.training.recipe import Recipe, backbone_name, recipe_to_toml
from pawsure.training.run_folder import KERAS_FILE, MODEL_FILE, RunFolder
from pawsure.training.run_log import RunLog
from pawsure.trust.calibration import at_best_temperature
from pawsure.trust.fit import Trust, fit_trust
from pawsure.trust.nodes import Parts

if TYPE_CHECKING:
    from pawsure.network.classifier import Classifier


@dataclass(frozen=True, kw_only=True)
class Finalized:
    """A model file that passed its checks.

    Attributes:
        validation: its answers for every validation picture.
        tta: whether it uses test-time augmentation.
        parity: by check, how far it is from the trained network; JSON-ready.
        trust: what was fitted for it.
        file: the file; pictures whose network outputs are known are not run again.
    """

    validation: Predictions
    tta: bool
    parity: dict[str, Any]
    trust: Trust
    file: CachedPredictor


def finalize(
    recipe: Recipe,
    learned: Learned,
    classifier: Callable[[], Classifier],
    folder: RunFolder,
    *,
    ood: OodPictures | None,
    log: RunLog,
) -> Finalized:
    """Write the model file once it agrees with the trained network on every validation picture.

    Args:
        recipe: of the run.
        learned: what its stages ended with.
        classifier: gives the Keras network, if the recipe has one.
        folder: where to write.
        ood: examples of "neither", if any.
        log: of the run.

    Raises:
        ParityError: the file disagrees with the network; it is not written.
    """
    with log.timed("export"), atomic_path(folder / MODEL_FILE) as path:
        draft = _Draft(recipe=recipe, learned=learned, classifier=classifier, path=path, log=log)
        network = draft.build()
        parity: dict[str, Any] = {}
        if recipe.model.tta:
            network, parity = draft.with_tta_if_it_helps(network)
        with log.timed("trust"):
            trust = draft.fit_trust(network, ood)
        for sentence in trust.sentences():
            log.say(sentence)
        draft.write(trust.attach(network.graph), trust.thresholds)
        file, validation, checks = draft.check(network)
        assert trust.calibration is not None  # `fit_trust` below asks for it
        parity_checks.check_calibration(trust.calibration, validation)
        if recipe.needs_keras:
            classifier().save(scaling_of(recipe.model), folder / KERAS_FILE)
    return Finalized(
        validation=validation, tta=network.tta, parity=parity | checks, trust=trust, file=file
    )


@dataclass(frozen=True, kw_only=True)
class _Network:
    """A graph without trust, and its outputs for the pictures that it was run on."""

    graph: onnx.ModelProto
    outputs: CachedOutputs
    tta: bool = False


@dataclass(frozen=True, kw_only=True)
class _Draft:
    """The steps of `finalize`, and what they share; `path` is the file before it is checked."""

    recipe: Recipe
    learned: Learned
    classifier: Callable[[], Classifier]
    path: Path
    log: RunLog

    def build(self) -> _Network:
        """The trained network, as a graph."""
        if self.recipe.needs_keras:
            graph = graph_of(self.classifier(), scaling_of(self.recipe.model))
        else:
            graph = head_only_graph(self.learned.prefix.prefix, self.learned.head)
        return _Network(graph=graph, outputs=self._outputs(graph, self.learned.front()))

    def with_tta_if_it_helps(self, plain: _Network) -> tuple[_Network, dict[str, Any]]:
        """Add test-time augmentation if it lowers the validation loss; also the checks so far."""
        plain_file, plain_answers, parity = self._without_trust(plain)
        graph = with_tta(plain.graph)
        augmented = _Network(graph=graph, outputs=self._outputs(graph), tta=True)
        file, answers, checks = self._without_trust(augmented)
        report = parity_checks.check_tta(plain_file.predictor, file.predictor, self.learned.catalog)
        helps, sentence = tta_helps(plain_answers, answers)
        self.log.say(sentence)
        return augmented if helps else plain, parity | checks | {"tta": asdict(report)}

    def fit_trust(self, network: _Network, ood: OodPictures | None) -> Trust:
        """Calibration, familiarity and thresholds."""
        recipe, learned, progress = self.recipe, self.learned, self.log.progress
        known = known_for(
            recipe,
            network.graph,
            is_frozen=learned.has_frozen_embedding,
            say=self.log.say,
            progress=progress,
        )
        # If only a head was trained, the feature store has all that the network computes.
        is_stored = not recipe.needs_keras and not network.tta
        return fit_trust(
            network.graph,
            learned.catalog,
            max_error=recipe.trust.max_error,
            rejected=recipe.trust.rejected,
            size_px=recipe.model.image_size,
            seed=recipe.seed,
            parts=Parts(known=known),
            ood=ood,
            stored=learned.stored if is_stored else network.outputs,
            progress=progress,
        )

    def write(
        self, graph: onnx.ModelProto, thresholds: dict[str, float | None] | None = None
    ) -> None:
        """Write a graph with its metadata, unchecked."""
        metadata = ModelMetadata(
            labels=self.learned.catalog.labels,
            size_px=self.recipe.model.image_size,
            backbone=backbone_name(self.recipe.model),
            recipe=recipe_to_toml(self.recipe),
            data_fingerprint=self.learned.catalog.fingerprint,
        )
        if thresholds is not None:
            metadata = replace(metadata, thresholds=thresholds)
        write_model_file(graph, metadata, self.path)

    def check(self, network: _Network) -> tuple[CachedPredictor, Predictions, dict[str, Any]]:
        """The written file, its answers on validation, and how far it is from what was trained.

        With test-time augmentation it answers from two views; the plain file was checked before.
        """
        catalog, progress = self.learned.catalog, self.log.progress
        checks: dict[str, Any] = {}
        if network.outputs.has(catalog.where("validation")):
            file, whole = network.outputs.of_file(self.path)
            checks["whole"] = asdict(whole)
        else:
            stored = StoredOutputs(outputs=self.learned.stored, indices=catalog.where("train"))
            file = CachedPredictor(Predictor(self.path), onnx.load(self.path), stored)
        if network.tta:
            return file, predict(file, catalog, split="validation", progress=progress), checks
        if self.recipe.needs_keras:
            scaling = scaling_of(self.recipe.model)
            checks["pixels"] = asdict(
                parity_checks.check_from_pixels(self.classifier(), scaling, file.predictor, catalog)
            )
        answers, report = parity_checks.check_against_stored(
            file, catalog, self.learned.validation_probability, progress=progress
        )
        return file, answers, checks | {"stored": asdict(report)}

    def _without_trust(
        self, network: _Network
    ) -> tuple[CachedPredictor, Predictions, dict[str, Any]]:
        """Write and check a network as it is before trust is fitted."""
        network.outputs(self.learned.catalog.where("validation"))
        self.write(network.graph)
        return self.check(network)

    def _outputs(self, graph: onnx.ModelProto, front: Front | None = None) -> CachedOutputs:
        return CachedOutputs(
            graph,
            self.learned.catalog,
            size_px=self.recipe.model.image_size,
            front=front,
            progress=self.log.progress,
        )


def tta_helps(plain: Predictions, augmented: Predictions) -> tuple[bool, str]:
    """Whether test-time augmentation lowers the loss, each at its best temperature; in words."""
    losses, figures = [], []
    for answers in (plain, augmented):
        assert answers.logit is not None
        probability = at_best_temperature(softmax(answers.logit), answers.label)
        losses.append(log_loss(probability, answers.label))
        right = accuracy(probability, answers.label)
        figures.append(f"accuracy {right:.2%}, loss {losses[-1]:.4f}")
    helps = losses[1] < losses[0]
    outcome = "" if helps else " It does not help here, and is not used."
    return (
        helps,
        f"Test-time augmentation: validation {figures[1]}; without: {figures[0]}.{outcome}",
    )

"""Trains the stages of a recipe: a linear probe without Keras, or layers of a Keras network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pawsure.evaluation.metrics import accuracy, log_loss
from pawsure.features.extract import extract
from pawsure.features.views import ORIGINAL, Rows
from pawsure.network.prefixes import StageInput, scaling_of
from pawsure.network.recipe import AUTO, HEAD
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.training.depth import DepthTrial, is_worth_it
from pawsure.training.inputs import TrainingInputs, refuse_losses
from pawsure.training.interpolation import Point, best_on_line, mean_of_logits
from pawsure.training.learned import Features, History, StageResult
from pawsure.training.recipe import LOGISTIC, Recipe, Stage
from pawsure.training.teacher import PROBABILITY, teacher_prefix
from pawsure.trust.calibration import at_best_temperature

if TYPE_CHECKING:
    import keras

    from pawsure.network.classifier import Classifier


class Learner:
    """Trains the stages of a recipe one after the other.

    Args:
        recipe: its stages and its network.
        features: what it learns from.
        classifier: gives the Keras network, when a stage needs it.
        checkpoint: where a stage of this name keeps its state.
        progress: told what happens.
    """

    def __init__(
        self,
        recipe: Recipe,
        features: Features,
        classifier: Callable[[], Classifier],
        checkpoint: Callable[[str], Path],
        progress: Progress = NO_PROGRESS,
    ) -> None:
        self.recipe = recipe
        self.catalog = features.catalog
        self.prefix = features.prefix
        self._classifier = classifier
        self._checkpoint = checkpoint
        self._progress = progress
        self._validation = self.catalog.where("validation")
        self._last: StageResult | None = None  # of those that were kept

    def learn(self, number: int, on_epoch: Callable[[History], None]) -> StageResult:
        """Train one stage; `on_epoch` is given its history after each epoch."""
        stage = self.recipe.stages[number]
        inputs = self.prefix.inputs[stage.train_from]
        if stage.optimizer == LOGISTIC:
            result = self._fit_head(stage, inputs[0], on_epoch)
        elif stage.train_from == AUTO:
            result = self._find_depth(number, stage, inputs, on_epoch)
        else:
            result = self._train_or_undo(number, stage, inputs[0], on_epoch)
        if result.is_kept:
            self._last = result
        return result

    @property
    def _has_frozen_embedding(self) -> bool:
        """Whether the embedding of the network is that of the frozen backbone."""
        return self._last is None or self._last.is_embedding_frozen

    def _fit_head(
        self, stage: Stage, cut: StageInput, on_epoch: Callable[[History], None]
    ) -> StageResult:
        """A linear probe."""
        from pawsure.training.linear import fit_linear_head

        head = fit_linear_head(
            self._training_inputs(stage, cut)(0),
            self.catalog.label[self.catalog.where("train")],
            self._validation_inputs(cut),
            self.catalog.label[self._validation],
            num_labels=len(self.catalog.labels),
            seed=self.recipe.seed,
        )
        on_epoch(head.history)
        if self.recipe.needs_keras:
            self._classifier().set_head(head.kernel, head.bias)
        probability = head.probabilities(self._validation_inputs(cut))
        return StageResult(
            name=stage.name,
            history=head.history,
            kept=head.kept,
            head=head,
            validation_probability=probability,
            is_embedding_frozen=self._has_frozen_embedding,
            **self._judged(stage, probability),
        )

    def _judged(self, stage: Stage, probability: np.ndarray) -> dict[str, Any]:
        """Judge the result of a stage by the same rule as its epochs."""
        label = self.catalog.label[self._validation]
        judged = at_best_temperature(probability, label) if stage.softens_targets else probability
        return {
            "judged_probability": judged,
            "validation_loss": log_loss(judged, label),
            "validation_accuracy": accuracy(judged, label),
        }

    def _find_depth(
        self,
        number: int,
        stage: Stage,
        cuts: tuple[StageInput, ...],
        on_epoch: Callable[[History], None],
    ) -> StageResult:
        """Train from deeper and deeper cuts while the validation loss falls.

        Each trial continues from the best before it (gradual unfreezing, Howard & Ruder 2018,
        arXiv:1801.06146, section 3.3).
        """
        classifier = self._classifier()
        label = self.catalog.label[self._validation]
        before, best_weights = self._last, classifier.get_weights()
        best: StageResult | None = None
        trials: list[DepthTrial] = []
        for cut in cuts:
            classifier.set_weights(best_weights)
            name = f"{stage.name} from {cut.output}"
            tried = self._train(number, stage, cut, name, on_epoch)
            trial = is_worth_it(
                cut.output,
                None
                if before is None
                else at_best_temperature(before.validation_probability, label),
                at_best_temperature(tried.validation_probability, label),
                label,
            )
            trials.append(trial)
            if not trial.accepted:
                break
            before = best = tried
            best_weights = classifier.get_weights()
        classifier.set_weights(best_weights)
        # If no depth helps, the stage is the only trial, and its weights are discarded.
        shown = tried if best is None else best
        on_epoch(shown.history)
        return replace(shown, name=stage.name, depth=trials, is_kept=best is not None)

    def _train_or_undo(
        self,
        number: int,
        stage: Stage,
        cut: StageInput,
        on_epoch: Callable[[History], None],
    ) -> StageResult:
        """Train, and restore the weights if even the best epoch is worse."""
        start = self._classifier().get_weights()
        result = self._train(number, stage, cut, stage.name, on_epoch)
        if self._last is None or stage.keep == "last":
            return result
        label = self.catalog.label[self._validation]
        before, after = (
            log_loss(at_best_temperature(each.validation_probability, label), label)
            for each in (self._last, result)
        )
        if after <= before:
            return result
        self._classifier().set_weights(start)
        self._classifier().frozen = None
        return replace(result, is_kept=False)

    def _train(
        self,
        number: int,
        stage: Stage,
        cut: StageInput,
        name: str,
        on_epoch: Callable[[History], None],
    ) -> StageResult:
        """Gradient steps, in Keras; then weight interpolation, if the recipe has it."""
        from pawsure.network.cuts import cut_before
        from pawsure.training.stages import StageData, predict_probabilities, train_stage

        classifier = self._classifier()
        data = StageData(
            train_inputs=self._training_inputs(stage, cut),
            train_targets=self._training_targets(stage),
            validation_inputs=self._validation_inputs(cut),
            validation_labels=self.catalog.label[self._validation],
        )
        part = self._part(stage, cut)
        start = classifier.get_weights()
        if stage.keep_frozen:
            assert cut.first is not None
            classifier.keep_frozen(cut_before(classifier.backbone, cut.first))
        state = train_stage(
            part,
            stage,
            data,
            is_sigmoid=classifier.is_sigmoid,
            seed=(self.recipe.seed, number),
            checkpoint=self._checkpoint(name),
            on_epoch=on_epoch,
            progress=self._progress,
        )

        def judge(weights: list[np.ndarray]) -> np.ndarray:
            classifier.set_weights(weights)
            return predict_probabilities(
                part, data.validation_inputs, is_sigmoid=classifier.is_sigmoid
            )

        points: list[Point] = []
        end = classifier.get_weights()
        probability = state.kept_probability
        if probability is None:  # the stage was over before this process began
            probability = judge(end)
        if stage.interpolate:
            end, probability, points = best_on_line(
                start, end, judge, data.validation_labels, probability
            )
            classifier.set_weights(end)
        if stage.keep_frozen:
            assert self._last is not None
            probability, shares = mean_of_logits(
                self._last.validation_probability, probability, data.validation_labels
            )
            classifier.set_shares(shares)
        return StageResult(
            name=name,
            history=state.history,
            kept=state.kept_epoch(stage.keep),
            epoch_probability=dict(enumerate(state.validation, start=1)),
            interpolation=points,
            validation_probability=probability,
            is_embedding_frozen=stage.keep_frozen
            or (stage.train_from == HEAD and self._has_frozen_embedding),
            **self._judged(stage, probability),
        )

    def _part(self, stage: Stage, cut: StageInput) -> keras.Model:
        """The part of the network that a stage trains, with its trainable layers marked."""
        from pawsure.network.cuts import cut_before
        from pawsure.network.trainable import freeze_batch_norm, set_trainable_from

        classifier = self._classifier()
        if stage.train_from == HEAD:
            return classifier.head_part()
        assert cut.first is not None  # only a head's input has none
        set_trainable_from(classifier.backbone, cut.first)
        if stage.batch_norm == "frozen":
            freeze_batch_norm(classifier.backbone)
        behind = cut_before(classifier.backbone, cut.first)
        return classifier.part_from(behind, scaling_of(self.recipe.model))

    def _training_inputs(self, stage: Stage, cut: StageInput) -> TrainingInputs:
        return TrainingInputs(
            self.catalog,
            self.prefix.prefix,
            cut.output,
            stage,
            self.recipe.seed,
            self._progress,
        )

    def _training_targets(self, stage: Stage) -> Callable[[int], Rows]:
        """By epoch, the labels of the training pictures, or a teacher's answers to their views."""
        if stage.teacher:
            teacher = teacher_prefix(stage.teacher, self.catalog.labels)
            return TrainingInputs(
                self.catalog, teacher, PROBABILITY, stage, self.recipe.seed, self._progress
            )
        labels = self.catalog.label[self.catalog.where("train")]
        targets = np.eye(len(self.catalog.labels), dtype=np.float32)[labels]
        return lambda epoch: targets

    def _validation_inputs(self, cut: StageInput) -> Rows:
        """Never augmented; already stored, except at the cuts that `auto` tries."""
        done = extract(
            self.catalog.read,
            self.catalog.content,
            self._validation,
            self.prefix.prefix,
            [cut.output],
            progress=self._progress,
        )
        refuse_losses(self.catalog, done.problems)
        store = self.prefix.prefix.store(cut.output, ORIGINAL.name)
        return store.rows(self.catalog.content[self._validation])

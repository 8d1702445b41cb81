"""What learns in a run: a head alone, without Keras, or parts of a Keras network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from pawsure.data.catalog import Catalog
from pawsure.data.loader import load_batch
from pawsure.evaluation.metrics import accuracy, log_loss
from pawsure.features.extract import ExactRows, extract, runner
from pawsure.features.prefix import BATCH_SIZE, POOLED, Prefix
from pawsure.features.views import ORIGINAL, Rows
from pawsure.network.prefixes import CutPrefix, Source, scaling_of
from pawsure.network.recipe import AUTO, HEAD
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.training.depth import DepthTrial, is_worth_it
from pawsure.training.interpolation import Point, best_on_line, kept_point, mean_of_logits
from pawsure.training.recipe import LOGISTIC, Recipe, Stage
from pawsure.training.rows import TrainingRows, refuse_losses
from pawsure.training.seen import Front
from pawsure.training.teacher import PROBABILITY, teacher_prefix
from pawsure.trust.calibration import at_best_temperature

if TYPE_CHECKING:
    import keras

    from pawsure.network.classifier import Classifier
    from pawsure.training.linear import LinearHead

History = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """What a stage came to.

    Attributes:
        name: of the stage.
        history: a row an epoch.
        kept: number of the row whose weights the stage ended with, from 0.
        validation_probability: float64 (M, K), by the weights that the stage ended with,
            interpolated ones included.
        judged_probability: the same as epochs are judged: where targets are softened, at the
            best temperature.
        validation_loss: of `judged_probability`.
        validation_accuracy: of the same, in [0, 1].
        epoch_probability: the same after each epoch, by its number; empty for a head that was
            fitted at once.
        depth: the trials that chose where learning starts; empty where it was given.
        interpolation: the places tried between start and end; empty where none were.
        is_embedding_frozen: whether the network's embedding is still that of its initial weights.
        is_kept: whether the network has its weights; False: they were discarded, because the
            network was no worse before. A stage that keeps its best epoch never leaves the
            network worse than it found it.
    """

    name: str
    history: History
    kept: int
    validation_probability: np.ndarray
    judged_probability: np.ndarray
    validation_loss: float
    validation_accuracy: float
    epoch_probability: dict[int, np.ndarray] = field(default_factory=dict)
    depth: list[DepthTrial] = field(default_factory=list)
    interpolation: list[Point] = field(default_factory=list)
    is_kept: bool = True
    is_embedding_frozen: bool = False

    @property
    def kept_epoch(self) -> int:
        """The epoch whose weights the stage ended with."""
        return int(self.history[self.kept]["epoch"])

    @property
    def share(self) -> float:
        """Of the trained weights, where they were interpolated with the initial ones; else 1."""
        return kept_point(self.interpolation).share if self.interpolation else 1.0

    def to_dict(self) -> dict[str, Any]:
        """For metrics.json."""
        return {
            "name": self.name,
            "is_kept": self.is_kept,
            "kept_epoch": self.kept_epoch,
            "share": self.share,
            "validation_loss": self.validation_loss,
            "validation_accuracy": self.validation_accuracy,
            "history": self.history,
            "depth": [asdict(trial) for trial in self.depth],
            "interpolation": [asdict(point) for point in self.interpolation],
        }


def front_output(recipe: Recipe, prefix: CutPrefix) -> str | None:
    """The first cut behind which a stage learns; None where no stage is known to have one."""
    cuts = [
        source
        for stage in recipe.stages
        if stage.train_from != AUTO
        for source in prefix.sources[stage.train_from]
        if source.first
    ]
    return min(cuts, key=lambda cut: cut.first or 0).output if cuts else None


class _FrontRows:
    """What the frozen layers make of pictures; called from several threads.

    Args:
        catalog: where the pictures are.
        prefix: the frozen layers.
        output: of these.
        stored: int (M,), rows of the catalog of which the stored features are taken.
        exact: features of others, as far as they are known; the rest is computed.
    """

    def __init__(
        self,
        catalog: Catalog,
        prefix: Prefix,
        output: str,
        stored: np.ndarray,
        exact: ExactRows,
    ) -> None:
        self._catalog = catalog
        self._prefix = prefix
        self._output = output
        self._place = {row: number for number, row in enumerate(stored.tolist())}
        self._stored = prefix.store(output, ORIGINAL.name).rows(catalog.content[stored])
        self._exact = exact
        self._run = runner(prefix, [output])
        self._lock = Lock()

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Rows of the catalog, int (N,), to float32 (N, h, w, F)."""
        found = np.empty((len(rows), *self._prefix.shapes[self._output]), np.float32)
        missing = []
        for at, row in enumerate(rows.tolist()):
            content = self._catalog.content[row]
            if row in self._place:
                with self._lock:
                    found[at] = self._stored[np.array([self._place[row]])][0]
            elif content in self._exact:
                found[at] = self._exact[content]
            else:
                missing.append(at)
        for first in range(0, len(missing), BATCH_SIZE):
            some = missing[first : first + BATCH_SIZE]
            found[some] = self._computed(rows[some])
        return found

    def _computed(self, rows: np.ndarray) -> np.ndarray:
        batch = load_batch(self._catalog.read, rows, size_px=self._prefix.size_px)
        refuse_losses(self._catalog, dict(batch.problems))
        return self._run(batch.pictures)[self._output]


class Learner:
    """Trains the stages of a recipe one after the other.

    Args:
        recipe: its stages and its network.
        catalog: what is learned from.
        prefix: the frozen part, for every stage.
        classifier: gives the Keras network, when a stage wants it.
        checkpoint: where a stage of this name keeps its state.
        exact: validation rows at `front_output`, as far as this process computed them.
        progress: told what happens.
    """

    def __init__(
        self,
        recipe: Recipe,
        catalog: Catalog,
        prefix: CutPrefix,
        classifier: Callable[[], Classifier],
        checkpoint: Callable[[str], Path],
        exact: ExactRows,
        progress: Progress = NO_PROGRESS,
    ) -> None:
        self.recipe = recipe
        self.catalog = catalog
        self.prefix = prefix
        self.head: LinearHead | None = None
        self._classifier = classifier
        self._checkpoint = checkpoint
        self._exact = exact
        self._progress = progress
        self._validation = catalog.where("validation")
        self._last: StageResult | None = None  # of those that were kept

    def learn(self, number: int, on_epoch: Callable[[History], None]) -> StageResult:
        """Train one stage; `on_epoch` is told its history after each epoch."""
        stage = self.recipe.stages[number]
        sources = self.prefix.sources[stage.train_from]
        if stage.optimizer == LOGISTIC:
            result = self._fit_head(stage, sources[0], on_epoch)
        elif stage.train_from == AUTO:
            result = self._find_depth(number, stage, sources, on_epoch)
        else:
            result = self._train_or_undo(number, stage, sources[0], on_epoch)
        if result.is_kept:
            self._last = result
        return result

    @property
    def validation_probability(self) -> np.ndarray:
        """What the network as it is now says of the validation pictures: float64 (M, K)."""
        assert self._last is not None
        return self._last.validation_probability

    @property
    def has_frozen_embedding(self) -> bool:
        """Whether the embedding of the network is that of the frozen backbone."""
        return self._last is None or self._last.is_embedding_frozen

    def stored(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What a head on a frozen backbone makes of pictures, from the store alone.

        Only where no layer before the head learned.

        Args:
            rows: of the catalog, int (N,).

        Returns:
            Logits (N, K) and embeddings (N, F), float32.
        """
        assert self.head is not None
        contents = self.catalog.content[rows]
        rows = self.prefix.prefix.store(POOLED, ORIGINAL.name).rows(contents)[:]
        pooled = np.asarray(rows).astype(np.float32)
        return pooled @ self.head.kernel + self.head.bias, pooled

    def front(self) -> Front | None:
        """What no stage has changed, with what it is known to make of pictures.

        Of training pictures, what is stored where a stage learned from them as they are, which
        depends on the recipe alone. Of validation pictures, what it puts out before the store
        rounds it; where another run stored that, it is computed again, to the same bits.
        """
        path, output = self.prefix.prefix.path, front_output(self.recipe, self.prefix)
        if path is None or output is None:
            return None
        is_stored = any(
            stage.train_from != AUTO
            and stage.sees_originals
            and self.prefix.sources[stage.train_from][0].output == output
            for stage in self.recipe.stages
        )
        stored = self.catalog.where("train") if is_stored else np.zeros(0, np.int64)
        return Front(
            graph=onnx.load(path),
            output=output,
            rows=np.concatenate([stored, self._validation]),
            known=_FrontRows(self.catalog, self.prefix.prefix, output, stored, self._exact),
        )

    def _fit_head(
        self, stage: Stage, source: Source, on_epoch: Callable[[History], None]
    ) -> StageResult:
        """The best linear head, at once."""
        from pawsure.training.linear import fit_linear_head

        head = fit_linear_head(
            self._training_rows(stage, source)(0),
            self.catalog.label[self.catalog.where("train")],
            self._validation_rows(source),
            self.catalog.label[self._validation],
            num_labels=len(self.catalog.labels),
            seed=self.recipe.seed,
        )
        on_epoch(head.history)
        self.head = head
        if self.recipe.needs_keras:
            self._classifier().set_head(head.kernel, head.bias)
        found = head.probabilities(self._validation_rows(source))
        return StageResult(
            name=stage.name,
            history=head.history,
            kept=head.kept,
            validation_probability=found,
            is_embedding_frozen=self.has_frozen_embedding,
            **self._judged(stage, found),
        )

    def _judged(self, stage: Stage, found: np.ndarray) -> dict[str, Any]:
        """How a stage's result is judged, by the rule that its epochs are judged by."""
        label = self.catalog.label[self._validation]
        judged = at_best_temperature(found, label) if stage.softens_targets else found
        return {
            "judged_probability": judged,
            "validation_loss": log_loss(judged, label),
            "validation_accuracy": accuracy(judged, label),
        }

    def _find_depth(
        self,
        number: int,
        stage: Stage,
        sources: tuple[Source, ...],
        on_epoch: Callable[[History], None],
    ) -> StageResult:
        """Learn from ever deeper cuts while validation gains by it.

        Each trial goes on from the best before it: what the layers near the end have learned
        is no reason to start anew (gradual unfreezing, Howard & Ruder 2018,
        arXiv:1801.06146, section 3.3).
        """
        classifier = self._classifier()
        label = self.catalog.label[self._validation]
        before, best_weights = self._last, classifier.get_weights()
        best: StageResult | None = None
        trials: list[DepthTrial] = []
        for source in sources:
            classifier.set_weights(best_weights)
            name = f"{stage.name} from {source.output}"
            tried = self._train(number, stage, source, name, on_epoch)
            trial = is_worth_it(
                source.output,
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
        # Where no depth pays, the stage is the trial that was made, and its weights are discarded.
        shown = tried if best is None else best
        on_epoch(shown.history)
        return replace(shown, name=stage.name, depth=trials, is_kept=best is not None)

    def _train_or_undo(
        self,
        number: int,
        stage: Stage,
        source: Source,
        on_epoch: Callable[[History], None],
    ) -> StageResult:
        """Train, and put the weights back if even the best epoch is worse than they were."""
        start = self._classifier().get_weights()
        result = self._train(number, stage, source, stage.name, on_epoch)
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
        source: Source,
        name: str,
        on_epoch: Callable[[History], None],
    ) -> StageResult:
        """Gradient steps, in Keras; then part of the way back, if the recipe wants that."""
        from pawsure.network.cuts import cut_before
        from pawsure.training.stages import StageData, predict_probabilities, train_stage

        classifier = self._classifier()
        data = StageData(
            train_rows=self._training_rows(stage, source),
            train_targets=self._training_targets(stage),
            validation_rows=self._validation_rows(source),
            validation_labels=self.catalog.label[self._validation],
        )
        part = self._part(stage, source)
        start = classifier.get_weights()
        if stage.keep_frozen:
            assert source.first is not None
            classifier.keep_frozen(cut_before(classifier.backbone, source.first))
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
                part, data.validation_rows, is_sigmoid=classifier.is_sigmoid
            )

        points: list[Point] = []
        end = classifier.get_weights()
        found = state.kept_probability
        if found is None:  # the stage was over before this process began
            found = judge(end)
        if stage.interpolate:
            end, found, points = best_on_line(start, end, judge, data.validation_labels, found)
            classifier.set_weights(end)
        if stage.keep_frozen:
            assert self._last is not None
            found, shares = mean_of_logits(
                self._last.validation_probability, found, data.validation_labels
            )
            classifier.set_shares(shares)
        return StageResult(
            name=name,
            history=state.history,
            kept=state.kept_epoch(stage.keep),
            epoch_probability=dict(enumerate(state.validation, start=1)),
            interpolation=points,
            validation_probability=found,
            is_embedding_frozen=stage.keep_frozen
            or (stage.train_from == HEAD and self.has_frozen_embedding),
            **self._judged(stage, found),
        )

    def _part(self, stage: Stage, source: Source) -> keras.Model:
        """The part of the network that a stage trains, with what learns marked."""
        from pawsure.network.cuts import cut_before
        from pawsure.network.trainable import freeze_batch_norm, set_trainable_from

        classifier = self._classifier()
        if stage.train_from == HEAD:
            return classifier.head_part()
        assert source.first is not None  # only a head's source has none
        set_trainable_from(classifier.backbone, source.first)
        if stage.batch_norm == "frozen":
            freeze_batch_norm(classifier.backbone)
        cut = cut_before(classifier.backbone, source.first)
        return classifier.part_from(cut, scaling_of(self.recipe.model))

    def _training_rows(self, stage: Stage, source: Source) -> TrainingRows:
        return TrainingRows(
            self.catalog,
            self.prefix.prefix,
            source.output,
            stage,
            self.recipe.seed,
            self._progress,
        )

    def _training_targets(self, stage: Stage) -> Callable[[int], Rows]:
        """By epoch, the labels of its training rows, or a teacher's answers to the same views."""
        if stage.teacher:
            teacher = teacher_prefix(stage.teacher, self.catalog.labels)
            return TrainingRows(
                self.catalog, teacher, PROBABILITY, stage, self.recipe.seed, self._progress
            )
        labels = self.catalog.label[self.catalog.where("train")]
        targets = np.eye(len(self.catalog.labels), dtype=np.float32)[labels]
        return lambda epoch: targets

    def _validation_rows(self, source: Source) -> Rows:
        """Never augmented; stored already, but for the cuts that `auto` comes to."""
        done = extract(
            self.catalog.read,
            self.catalog.content,
            self._validation,
            self.prefix.prefix,
            [source.output],
            progress=self._progress,
        )
        refuse_losses(self.catalog, done.problems)
        store = self.prefix.prefix.store(source.output, ORIGINAL.name)
        return store.rows(self.catalog.content[self._validation])

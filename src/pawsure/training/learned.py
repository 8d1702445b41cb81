"""What the stages of a run ended with: their results, and the features that the network reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from pawsure.data.catalog import Catalog
from pawsure.data.loader import load_batch
from pawsure.features.extract import ExactRows, runner
from pawsure.features.prefix import BATCH_SIZE, POOLED, Prefix
from pawsure.features.views import ORIGINAL
from pawsure.network.prefixes import CutPrefix
from pawsure.network.recipe import AUTO
from pawsure.training.cached_outputs import Front
from pawsure.training.depth import DepthTrial
from pawsure.training.inputs import refuse_losses
from pawsure.training.interpolation import Point, best_point
from pawsure.training.recipe import Recipe

if TYPE_CHECKING:
    from pawsure.training.linear import LinearHead

History = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """What a stage ended with.

    Attributes:
        name: of the stage.
        history: a row an epoch.
        kept: index of the row whose weights the stage ended with.
        validation_probability: float64 (M, K), by these weights, interpolated ones included.
        judged_probability: the same as epochs are judged: if targets are softened, at the best
            temperature.
        validation_loss: of `judged_probability`.
        validation_accuracy: of the same, in [0, 1].
        epoch_probability: the same after each epoch, by its number; empty for a linear probe.
        depth: the trials that selected the cut; empty if it was given.
        interpolation: the points tried between start and end; empty without interpolation.
        head: of a linear probe; None for a stage of gradient steps.
        is_embedding_frozen: whether the network's embedding is still that of its initial weights.
        is_kept: whether the network has the stage's weights; False: they were discarded, because
            the network was no worse before. A stage that keeps its best epoch never leaves the
            network worse than before.
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
    head: LinearHead | None = None
    is_kept: bool = True
    is_embedding_frozen: bool = False

    @property
    def kept_epoch(self) -> int:
        """The epoch whose weights the stage ended with."""
        return int(self.history[self.kept]["epoch"])

    @property
    def share(self) -> float:
        """Of the trained weights, if they were interpolated with the initial ones; else 1."""
        return best_point(self.interpolation).share if self.interpolation else 1.0

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


@dataclass(frozen=True, kw_only=True)
class Features:
    """What a run learns from.

    Attributes:
        catalog: of the pictures that can be read.
        prefix: the frozen layers; their outputs are in the feature store.
        exact: validation features at `front_output` before the store rounded them, as far as
            this process computed them.
    """

    catalog: Catalog
    prefix: CutPrefix
    exact: ExactRows


@dataclass(frozen=True, kw_only=True)
class Learned(Features):
    """What the stages ended with; the Keras network, if there is one, has the weights.

    Attributes:
        recipe: of the run.
        stages: a result each.
    """

    recipe: Recipe
    stages: Sequence[StageResult]

    @property
    def head(self) -> LinearHead:
        """The linear probe of a recipe that trains nothing else."""
        return next(stage.head for stage in reversed(self.stages) if stage.head is not None)

    @property
    def validation_probability(self) -> np.ndarray:
        """Of the trained network for the validation pictures: float64 (M, K)."""
        return self._last.validation_probability

    @property
    def has_frozen_embedding(self) -> bool:
        """Whether the embedding of the network is that of the frozen backbone."""
        return self._last.is_embedding_frozen

    @property
    def _last(self) -> StageResult:
        """The stage whose weights the network has."""
        return next(stage for stage in reversed(self.stages) if stage.is_kept)

    def stored(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Outputs of `head` from stored features; only if no other layer was trained.

        Args:
            indices: of the catalog, int (N,).

        Returns:
            Logits (N, K) and embeddings (N, F), float32.
        """
        store = self.prefix.prefix.store(POOLED, ORIGINAL.name)
        pooled = np.asarray(store.rows(self.catalog.content[indices])[:]).astype(np.float32)
        return pooled @ self.head.kernel + self.head.bias, pooled

    def front(self) -> Front | None:
        """The layers that no stage trained, with their known features; None if there are none.

        Of training pictures, the stored features if a stage learned from the unchanged pictures,
        which depends on the recipe alone. Of validation pictures, the features before the store
        rounded them; if another run stored those, they are computed again, to the same bits.
        """
        path, output = self.prefix.prefix.path, front_output(self.recipe, self.prefix)
        if path is None or output is None:
            return None
        is_stored = any(
            stage.train_from != AUTO
            and stage.sees_originals
            and self.prefix.inputs[stage.train_from][0].output == output
            for stage in self.recipe.stages
        )
        stored = self.catalog.where("train") if is_stored else np.zeros(0, np.int64)
        return Front(
            graph=onnx.load(path),
            output=output,
            indices=np.concatenate([stored, self.catalog.where("validation")]),
            known=FrontFeatures(self.catalog, self.prefix.prefix, output, stored, self.exact),
        )


def front_output(recipe: Recipe, prefix: CutPrefix) -> str | None:
    """The first cut that a stage trains from; None if no stage is known to have one."""
    cuts = [
        cut
        for stage in recipe.stages
        if stage.train_from != AUTO
        for cut in prefix.inputs[stage.train_from]
        if cut.first
    ]
    return min(cuts, key=lambda cut: cut.first or 0).output if cuts else None


class FrontFeatures:
    """Features of pictures at a cut; called from several threads.

    Args:
        catalog: of the pictures.
        prefix: the frozen layers.
        output: of these.
        stored: int (M,), indices of the pictures whose stored features are used.
        exact: features of other pictures, as far as they are known; the rest is computed.
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
        self._place = {index: number for number, index in enumerate(stored.tolist())}
        self._stored = prefix.store(output, ORIGINAL.name).rows(catalog.content[stored])
        self._exact = exact
        self._run = runner(prefix, [output])
        self._lock = Lock()

    def __call__(self, indices: np.ndarray) -> np.ndarray:
        """Indices of the catalog, int (N,), to float32 (N, h, w, F)."""
        features = np.empty((len(indices), *self._prefix.shapes[self._output]), np.float32)
        missing = []
        for at, index in enumerate(indices.tolist()):
            content = self._catalog.content[index]
            if index in self._place:
                with self._lock:
                    features[at] = self._stored[np.array([self._place[index]])][0]
            elif content in self._exact:
                features[at] = self._exact[content]
            else:
                missing.append(at)
        for first in range(0, len(missing), BATCH_SIZE):
            some = missing[first : first + BATCH_SIZE]
            features[some] = self._computed(indices[some])
        return features

    def _computed(self, indices: np.ndarray) -> np.ndarray:
        batch = load_batch(self._catalog.read, indices, size_px=self._prefix.size_px)
        refuse_losses(self._catalog, dict(batch.problems))
        return self._run(batch.pictures)[self._output]

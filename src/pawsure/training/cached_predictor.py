"""A model file that answers from cached outputs of its network.

A model file is a network followed by the nodes of trust, which read two small tensors of it. If
these are known for a picture, the file's own last nodes compute its answer, and the picture is not
decoded or run again. That both halves make the whole is checked by the bytes of all nodes and
constants (`pawsure.training.cached_outputs`), and by running the whole file on some pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import onnx

from pawsure.errors import ParityError
from pawsure.evaluation.metrics import softmax
from pawsure.export.parity import ParityReport, compare
from pawsure.graph.prune import copy_of, drop_unneeded
from pawsure.model.predictor import PredictedBatch, Predictor
from pawsure.onnx_runtime import one_thread_session

BETWEEN = ("logit", "embedding")
"""The tensors that the nodes of trust read from the network."""

WHOLE_TOLERANCE = 1e-4
"""The same nodes in one session and in two: measured differences stay below 1e-6."""

FAMILIARITY_TOLERANCE = 0.01
"""Of the mean over pictures: of one picture it may jump where two pictures are almost alike."""


@dataclass(frozen=True, kw_only=True)
class CachedAnswers:
    """Outputs of a model file for N pictures, without maps; all float32.

    Attributes:
        probability: (N, K).
        logit: (N, K).
        familiarity: (N,), or None where the file has none.
    """

    probability: np.ndarray
    logit: np.ndarray
    familiarity: np.ndarray | None


@dataclass(frozen=True, kw_only=True)
class CachedBatch:
    """Like `PredictedBatch`; all pictures could be read."""

    indices: np.ndarray
    outputs: CachedAnswers
    problems: tuple[tuple[int, str], ...] = ()


class KnownOutputs(Protocol):
    """Outputs of a network for some pictures of a catalog."""

    def __call__(self, indices: np.ndarray, /) -> tuple[np.ndarray, np.ndarray]:
        """The tensors `BETWEEN` for pictures of the catalog, int (N,)."""

    def has(self, indices: np.ndarray, /) -> bool:
        """Whether they are known for all of these."""


@dataclass(frozen=True, kw_only=True)
class StoredOutputs:
    """Outputs of a head on stored features, if only a head was trained.

    `pawsure.training.parity_checks.check_against_stored` compares them with the file.

    Attributes:
        outputs: gives logits (N, K) and embeddings (N, F) of pictures of the catalog.
        indices: int (M,), the pictures that it may be asked for.
    """

    outputs: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    indices: np.ndarray

    def __call__(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits and embeddings of pictures."""
        return self.outputs(indices)

    def has(self, indices: np.ndarray) -> bool:
        """Whether it may be asked for all of these."""
        return bool(np.isin(indices, self.indices).all())


class CachedPredictor:
    """A model file that does not run its network again on pictures whose outputs are known.

    Args:
        predictor: the file.
        written: its graph.
        known: outputs of its network.
    """

    def __init__(self, predictor: Predictor, written: onnx.ModelProto, known: KnownOutputs) -> None:
        self.predictor = predictor
        self._known = known
        tail = _nodes_behind(written, BETWEEN)
        self._names = [output.name for output in tail.graph.output]
        self._session = one_thread_session(tail.SerializeToString())
        self._inputs = {item.name for item in self._session.get_inputs()}

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the file."""
        return self.predictor.labels

    def outcomes(self, probability: np.ndarray, familiarity: np.ndarray | None) -> np.ndarray:
        """As `Predictor.outcomes`."""
        return self.predictor.outcomes(probability, familiarity)

    def predict_series(
        self, read: Callable[[int], bytes], indices: np.ndarray
    ) -> Iterable[PredictedBatch | CachedBatch]:
        """As `Predictor.predict_series`; runs all if the outputs of one are not known.

        Args:
            read: gives the bytes of a picture.
            indices: int (N,), pictures of the catalog.
        """
        if self._known.has(indices):
            return self._cached(indices)
        return self.predictor.predict_series(read, indices)

    def _cached(self, indices: np.ndarray) -> Iterator[CachedBatch]:
        values = dict(zip(BETWEEN, self._known(indices), strict=True))
        given = {name: value for name, value in values.items() if name in self._inputs}
        found = dict(zip(self._names, self._session.run(self._names, given), strict=True))
        outputs = CachedAnswers(
            probability=found["probability"],
            logit=values["logit"],
            familiarity=found.get("familiarity"),
        )
        yield CachedBatch(indices=indices, outputs=outputs)

    def check(self, read: Callable[[int], bytes], some: np.ndarray) -> ParityReport:
        """Compare with the whole file on pictures whose outputs are known.

        Args:
            read: gives the bytes of a picture.
            some: int (N,), pictures of the catalog.

        Raises:
            ParityError: they disagree.
        """
        whole = [batch.outputs for batch in self.predictor.predict_series(read, some)]
        (batch,) = self._cached(some)
        halves = batch.outputs
        if halves.familiarity is not None:
            found = np.concatenate([each.familiarity for each in whole if len(each)])
            if not np.abs(found - halves.familiarity).mean() < FAMILIARITY_TOLERANCE:
                raise ParityError(
                    "The familiarity of the model file differs from that of its last nodes. "
                    "Nothing was written; this is a bug in pawsure, please report it with the "
                    "recipe."
                )
        reports = [
            compare(np.concatenate(first), second, tolerance=WHOLE_TOLERANCE)
            for first, second in (
                ([softmax(each.logit) for each in whole], softmax(halves.logit)),
                ([each.probability for each in whole], halves.probability),
            )
        ]
        return max(reports, key=lambda report: report.max_difference)


def _nodes_behind(model: onnx.ModelProto, names: Iterable[str]) -> onnx.ModelProto:
    """The nodes from some tensors to `probability`, and to `familiarity` if there is one."""
    names = set(names)
    model = copy_of(model)
    graph = model.graph
    outputs = [item for item in graph.output if item.name in ("probability", "familiarity")]
    del graph.output[:]
    graph.output.extend(outputs)
    behind = [node for node in graph.node if not names.intersection(node.output)]
    del graph.node[:]
    graph.node.extend(behind)
    drop_unneeded(graph, {item.name for item in outputs})
    taken = {name for node in graph.node for name in node.input}
    del graph.input[:]
    graph.input.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", None])
        for name in sorted(names & taken)
    )
    return model

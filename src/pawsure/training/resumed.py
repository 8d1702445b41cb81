"""A model file that goes on from what its network is known to make of pictures.

The file is a network with the nodes of trust behind it. What these take from the network is two
tensors of a few numbers a picture; where they are known, the answers of the file are those of its
own last nodes to them, and nothing is decoded or run again. That the two halves are the whole is
held by the bytes of all nodes and constants (`pawsure.training.seen`), and by running the whole
file on some of the pictures.
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
"""The tensors between the network and the nodes of trust: all that these take from it."""

WHOLE_TOLERANCE = 1e-4
"""The same nodes in one session and in two: measured differences stay below 1e-6."""


FAMILIARITY_TOLERANCE = 0.01
"""Of the mean over pictures: a share of pictures may jump where two of them are all but alike."""


@dataclass(frozen=True, kw_only=True)
class Resumed:
    """What a model file puts out for N pictures, without maps; all float32.

    Attributes:
        probability: (N, K).
        logit: (N, K).
        familiarity: (N,), or None where the file has none.
    """

    probability: np.ndarray
    logit: np.ndarray
    familiarity: np.ndarray | None


@dataclass(frozen=True, kw_only=True)
class ResumedBatch:
    """A series of pictures as `PredictedBatch` is a part of one; all could be read."""

    indices: np.ndarray
    outputs: Resumed
    problems: tuple[tuple[int, str], ...] = ()


class Known(Protocol):
    """What a network makes of some pictures of a catalog."""

    def __call__(self, rows: np.ndarray, /) -> tuple[np.ndarray, np.ndarray]:
        """The tensors `BETWEEN` for rows of the catalog, int (N,)."""

    def has(self, rows: np.ndarray, /) -> bool:
        """Whether they are known for all of these."""


@dataclass(frozen=True, kw_only=True)
class StoredOutputs:
    """What a head makes of features that are stored, where only a head was learned.

    How far that is from what the file makes of pixels is known: all validation pictures are
    compared, see `pawsure.training.handover.check_against_stored`.

    Attributes:
        outputs: gives logits (N, K) and embeddings (N, F) of rows.
        rows: of the catalog, int (M,), those that it may be asked for.
    """

    outputs: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    rows: np.ndarray

    def __call__(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits and embeddings of pictures."""
        return self.outputs(rows)

    def has(self, rows: np.ndarray) -> bool:
        """Whether it may be asked for all of these."""
        return bool(np.isin(rows, self.rows).all())


class ResumedFile:
    """A model file that answers for pictures that its network has seen without looking again.

    Args:
        predictor: the file.
        written: its graph.
        known: what its network made of pictures.
    """

    def __init__(self, predictor: Predictor, written: onnx.ModelProto, known: Known) -> None:
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
        """As `Predictor.outcomes`: what to act on, by the thresholds of the file."""
        return self.predictor.outcomes(probability, familiarity)

    def predict_series(
        self, read: Callable[[int], bytes], indices: np.ndarray
    ) -> Iterable[PredictedBatch | ResumedBatch]:
        """As `Predictor.predict_series`; pictures are run where one of them was not seen.

        Args:
            read: gives the bytes of a picture.
            indices: int (N,), rows of the catalog.
        """
        if self._known.has(indices):
            return self._resumed(indices)
        return self.predictor.predict_series(read, indices)

    def _resumed(self, indices: np.ndarray) -> Iterator[ResumedBatch]:
        values = dict(zip(BETWEEN, self._known(indices), strict=True))
        given = {name: value for name, value in values.items() if name in self._inputs}
        found = dict(zip(self._names, self._session.run(self._names, given), strict=True))
        outputs = Resumed(
            probability=found["probability"],
            logit=values["logit"],
            familiarity=found.get("familiarity"),
        )
        yield ResumedBatch(indices=indices, outputs=outputs)

    def check(self, read: Callable[[int], bytes], some: np.ndarray) -> ParityReport:
        """Compare with the whole file, from the bytes of pictures that were seen on.

        Args:
            read: gives the bytes of a picture.
            some: int (N,), rows of the catalog.

        Raises:
            ParityError: they disagree.
        """
        whole = [batch.outputs for batch in self.predictor.predict_series(read, some)]
        (batch,) = self._resumed(some)
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
    """What a graph makes of some of its tensors: `probability`, and `familiarity` if it has it."""
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

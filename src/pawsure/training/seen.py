"""What the network of a model file makes of pictures: each is decoded and run once in a run.

Trust is fitted on what the network says of pictures, before there is a model file; then the file
is held against what learned, measured and diagnosed, on many of the same pictures. The file is
that network, to the byte, with the nodes of trust behind it. So its answers are those of its own
last nodes to what the network was seen to put out: nothing is decoded or run again. That the two
halves are the whole is held by the bytes of all nodes and constants, and by running the whole file
on some of the pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from pawsure.data.catalog import Catalog
from pawsure.data.loader import load_batch
from pawsure.data.parallel import available_cores, in_order
from pawsure.errors import ParityError
from pawsure.evaluation.calibration import softmax
from pawsure.export.parity import ParityReport, compare
from pawsure.export.prune import copy_of, drop_unneeded
from pawsure.export.trust import FEATURES, measure_features, with_features
from pawsure.model.predictor import BATCH_SIZE, PredictedBatch, Predictor
from pawsure.model.sessions import one_thread_session
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.training.rows import refuse_losses

BETWEEN = ("logit", FEATURES)
"""The tensors between the network and the nodes of trust: all that these take from it."""

WHOLE_CHECKS = 32
"""Pictures that are also sent through the whole file."""

WHOLE_TOLERANCE = 1e-4
"""The same nodes in one session and in two: measured differences stay below 1e-6."""


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


class Seen:
    """The network of a graph, and what it made of the pictures that it was asked for.

    Args:
        graph: of `attach_head`, without trust; left as it is.
        catalog: where the pictures are.
        size_px: of the pictures that it takes.
        progress: told of every picture.
    """

    def __init__(
        self,
        graph: onnx.ModelProto,
        catalog: Catalog,
        *,
        size_px: int,
        progress: Progress = NO_PROGRESS,
    ) -> None:
        self.catalog = catalog
        self._network = measure_features(with_features(graph))
        self._size_px = size_px
        self._progress = progress
        self._place: dict[int, int] = {}
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []

    def __call__(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the network makes of pictures; those that it has not seen yet are run.

        Args:
            rows: of the catalog, int (N,).

        Returns:
            Logits (N, K) and features that tell familiarity (N, D), float32.

        Raises:
            DataError: one can't be read any more.
        """
        self._run([row for row in rows.tolist() if row not in self._place])
        if len(self._parts) > 1:
            logits, kinds = zip(*self._parts, strict=True)
            self._parts = [(np.concatenate(logits), np.concatenate(kinds))]
        places = [self._place[row] for row in rows.tolist()]
        logit, features = self._parts[0]
        return logit[places], features[places]

    def has(self, rows: np.ndarray) -> bool:
        """Whether all of these pictures were run."""
        return all(row in self._place for row in rows.tolist())

    def _run(self, rows: list[int]) -> None:
        """Decode pictures and run the network, a batch a core."""
        if not rows:
            return
        session = one_thread_session(self._network.SerializeToString())

        def run(some: list[int]) -> tuple[dict[int, str], list[np.ndarray]]:
            batch = load_batch(self.catalog.read, some, size_px=self._size_px)
            if batch.problems:
                return dict(batch.problems), []
            return {}, session.run(list(BETWEEN), {"image": batch.pictures})

        batches = [rows[at : at + BATCH_SIZE] for at in range(0, len(rows), BATCH_SIZE)]
        workers = available_cores() + 1  # see `pawsure.model.predictor`
        problems: dict[int, str] = {}
        found = []
        self._progress.start("Looking at pictures with what was learned", len(rows))
        try:
            done = in_order(run, batches, workers=workers, ahead=2 * workers)
            for some, (failed, values) in zip(batches, done, strict=True):
                problems |= failed
                found.append(values)
                self._progress.advance(len(some))
        finally:
            self._progress.finish()
        refuse_losses(self.catalog, problems)
        first = len(self._place)
        self._place |= {row: first + number for number, row in enumerate(rows)}
        logit, features = map(np.concatenate, zip(*found, strict=True))
        self._parts.append((logit, features))

    def of_file(self, path: Path) -> tuple[ResumedFile, ParityReport]:
        """A written model file of this network with trust, that need not see pictures again.

        Returns:
            The file, and how far its two halves are from the whole of it.

        Raises:
            ParityError: it is of another network, or its halves are not the whole.
        """
        written = onnx.load(path)
        if _nodes_up_to(written, BETWEEN) != _nodes_up_to(self._network, BETWEEN):
            raise ParityError(
                "The model file has another network than the one that trust was fitted on. "
                "Nothing was written; this is a bug in pawsure, please report it with the recipe."
            )
        file = ResumedFile(Predictor(path), written, self)
        return file, file.check()


class ResumedFile:
    """A model file that answers for pictures that its network has seen without looking again.

    Args:
        predictor: the file.
        written: its graph.
        seen: what its network made of pictures.
    """

    def __init__(self, predictor: Predictor, written: onnx.ModelProto, seen: Seen) -> None:
        self.predictor = predictor
        self._seen = seen
        tail = _nodes_behind(written, BETWEEN)
        self._names = [output.name for output in tail.graph.output]
        self._session = one_thread_session(tail.SerializeToString())
        self._inputs = {item.name for item in self._session.get_inputs()}

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the file."""
        return self.predictor.labels

    def predict_series(
        self, read: Callable[[int], bytes], indices: np.ndarray
    ) -> Iterable[PredictedBatch | ResumedBatch]:
        """As `Predictor.predict_series`; pictures are run where one of them was not seen.

        Args:
            read: gives the bytes of a picture.
            indices: int (N,), rows of the catalog.
        """
        if self._seen.has(indices):
            return self._resumed(indices)
        return self.predictor.predict_series(read, indices)

    def _resumed(self, indices: np.ndarray) -> Iterator[ResumedBatch]:
        values = dict(zip(BETWEEN, self._seen(indices), strict=True))
        given = {name: value for name, value in values.items() if name in self._inputs}
        found = dict(zip(self._names, self._session.run(self._names, given), strict=True))
        outputs = Resumed(
            probability=found["probability"],
            logit=values["logit"],
            familiarity=found.get("familiarity"),
        )
        yield ResumedBatch(indices=indices, outputs=outputs)

    def check(self) -> ParityReport:
        """Compare with the whole file, from the bytes of some validation pictures on.

        Raises:
            ParityError: they disagree.
        """
        every = self._seen.catalog.where("validation")
        some = every[:: max(1, len(every) // WHOLE_CHECKS)][:WHOLE_CHECKS]
        reports = []
        whole = list(self.predictor.predict_series(self._seen.catalog.read, some))
        (resumed,) = self._resumed(some)
        for name in ("probability", "logit", "familiarity"):
            parts = [getattr(batch.outputs, name) for batch in whole]
            if parts[0] is None:
                continue
            both = [np.concatenate(parts), getattr(resumed.outputs, name)]
            if name == "logit":
                both = [softmax(each) for each in both]
            first, second = (each.reshape(len(some), -1) for each in both)
            reports.append(compare(first, second, tolerance=WHOLE_TOLERANCE))
        return max(reports, key=lambda report: report.max_difference)


def _nodes_up_to(model: onnx.ModelProto, names: Iterable[str]) -> list[bytes]:
    """Nodes and constants that tensors are computed from, as bytes."""
    graph = copy_of(model).graph
    drop_unneeded(graph, set(names))
    constants = sorted(graph.initializer, key=lambda item: item.name)
    return [item.SerializeToString(deterministic=True) for item in (*graph.node, *constants)]


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

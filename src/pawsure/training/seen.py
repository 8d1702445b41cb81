"""What the network of a model file makes of pictures: each is decoded and run once in a run.

Trust is fitted on what the network says of pictures, before there is a model file; then the file
is held against what learned, measured and diagnosed, on many of the same pictures. The file is
that network, to the byte, with the nodes of trust behind it, and goes on from what the network was
seen to put out: see `pawsure.training.resumed`.

What was learned from the features at a cut, with nothing changed before it, goes on from there as
well: for training pictures these are stored, for validation pictures the run has most often just
computed them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from pawsure.data.catalog import Catalog
from pawsure.data.loader import load_batch
from pawsure.data.parallel import available_cores, in_order
from pawsure.errors import ParityError
from pawsure.export.parity import ParityReport
from pawsure.graph.prune import copy_of, drop_unneeded
from pawsure.model.predictor import BATCH_SIZE, Predictor
from pawsure.onnx_runtime import one_thread_session
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.training.resumed import BETWEEN, ResumedFile
from pawsure.training.rows import refuse_losses

WHOLE_CHECKS = 32
"""Pictures that are also sent through the whole file."""

Given = tuple[dict[int, str], dict[str, np.ndarray]]
"""Reasons by row of pictures that can't be read; else what goes into a graph, by name."""


@dataclass(frozen=True, kw_only=True)
class Front:
    """A frozen part of a network, and what it made of pictures.

    Attributes:
        graph: from pixels to the output.
        output: its name, which is that of the layer behind which learning started.
        rows: of the catalog, int (M,), pictures of which it is known what it makes of them.
        known: gives for rows of these the output, float32 (N, h, w, F); from any thread.
    """

    graph: onnx.ModelProto
    output: str
    rows: np.ndarray
    known: Callable[[np.ndarray], np.ndarray]


class Seen:
    """The network of a graph, and what it made of the pictures that it was asked for.

    Args:
        graph: of `attach_head`, without trust; left as it is.
        catalog: where the pictures are.
        size_px: of the pictures that it takes.
        front: a frozen part of it, if there is one that nothing changed.
        progress: told of every picture.
    """

    def __init__(
        self,
        graph: onnx.ModelProto,
        catalog: Catalog,
        *,
        size_px: int,
        front: Front | None = None,
        progress: Progress = NO_PROGRESS,
    ) -> None:
        self.catalog = catalog
        self._network = _up_to(graph, BETWEEN)
        self._front = front
        self._tail = None if front is None else _behind(self._network, front)
        self._known_rows: set[int] = set()
        if front is not None and self._tail is not None:
            self._known_rows.update(front.rows.tolist())
        self._size_px = size_px
        self._progress = progress
        self._place: dict[int, int] = {}
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []

    def __call__(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the network makes of pictures; those that it has not seen yet are run.

        Args:
            rows: of the catalog, int (N,).

        Returns:
            Logits (N, K) and embeddings (N, F), float32.

        Raises:
            DataError: one can't be read any more.
        """
        self._run([row for row in rows.tolist() if row not in self._place])
        if len(self._parts) > 1:
            logits, embeddings = zip(*self._parts, strict=True)
            self._parts = [(np.concatenate(logits), np.concatenate(embeddings))]
        places = [self._place[row] for row in rows.tolist()]
        logit, embedding = self._parts[0]
        return logit[places], embedding[places]

    def has(self, rows: np.ndarray) -> bool:
        """Whether all of these pictures were run."""
        return all(row in self._place for row in rows.tolist())

    def _run(self, rows: list[int]) -> None:
        """Run pictures from where on it is needed, those of a kind together."""
        from_cut = [row for row in rows if row in self._known_rows]
        from_pixels = [row for row in rows if row not in self._known_rows]
        if from_cut:
            assert self._front is not None and self._tail is not None
            known = self._front.known
            self._add(
                from_cut,
                self._tail,
                lambda some: ({}, {"stored": known(np.array(some))}),
            )
        if from_pixels:
            self._add(from_pixels, self._network, self._decoded)

    def _decoded(self, rows: list[int]) -> Given:
        batch = load_batch(self.catalog.read, rows, size_px=self._size_px)
        return dict(batch.problems), {"image": batch.pictures}

    def _add(
        self, rows: list[int], graph: onnx.ModelProto, given: Callable[[list[int]], Given]
    ) -> None:
        """Run a graph, a batch a core, and keep what it puts out."""
        session = one_thread_session(graph.SerializeToString())

        def run(some: list[int]) -> tuple[dict[int, str], list[np.ndarray]]:
            problems, inputs = given(some)
            return problems, [] if problems else session.run(list(BETWEEN), inputs)

        batches = [rows[at : at + BATCH_SIZE] for at in range(0, len(rows), BATCH_SIZE)]
        workers = available_cores() + 1  # see `pawsure.model.predictor`
        problems: dict[int, str] = {}
        found = []
        self._progress.start("Running the trained network", len(rows))
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
        logit, embedding = map(np.concatenate, zip(*found, strict=True))
        self._parts.append((logit, embedding))

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
        every = self.catalog.where("validation")
        some = every[:: max(1, len(every) // WHOLE_CHECKS)][:WHOLE_CHECKS]
        return file, file.check(self.catalog.read, some)


def _behind(network: onnx.ModelProto, front: Front) -> onnx.ModelProto | None:
    """The part of a network that comes after a frozen one: float32 `front.output` to `BETWEEN`.

    None where the network has not that part unchanged, or uses more of it than its output.
    """
    cut = front.output
    if not any(cut in node.output for node in network.graph.node):
        return None
    if _constants_up_to(network, cut) != _constants_up_to(front.graph, cut):
        return None
    model = copy_of(network)
    graph = model.graph
    nodes = [node for node in graph.node if cut not in node.output]
    # Stored as Keras has it, channels last.
    turn = helper.make_node("Transpose", ["stored"], [cut], perm=[0, 3, 1, 2])
    del graph.node[:]
    graph.node.extend([turn, *nodes])
    drop_unneeded(graph, set(BETWEEN))
    if any(graph.input[0].name in node.input for node in graph.node):
        return None
    del graph.input[:]
    graph.input.append(
        helper.make_tensor_value_info("stored", TensorProto.FLOAT, ["N"] + 3 * [None])
    )
    return model


def _up_to(model: onnx.ModelProto, names: Collection[str]) -> onnx.ModelProto:
    """A copy of a graph with these outputs only."""
    model = copy_of(model)
    outputs = [output for output in model.graph.output if output.name in names]
    del model.graph.output[:]
    model.graph.output.extend(outputs)
    drop_unneeded(model.graph, set(names))
    return model


def _constants_up_to(model: onnx.ModelProto, name: str) -> Counter[bytes]:
    """What tells two frozen parts apart that were written by the same code: their constants."""
    graph = copy_of(model).graph
    drop_unneeded(graph, {name})
    return Counter(item.SerializeToString(deterministic=True) for item in graph.initializer)


def _nodes_up_to(model: onnx.ModelProto, names: Iterable[str]) -> list[bytes]:
    """Nodes and constants that tensors are computed from, as bytes."""
    graph = copy_of(model).graph
    drop_unneeded(graph, set(names))
    constants = sorted(graph.initializer, key=lambda item: item.name)
    return [item.SerializeToString(deterministic=True) for item in (*graph.node, *constants)]

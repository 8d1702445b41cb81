"""Outputs of a trained network, kept so that a run decodes and runs each picture once.

Trust is fitted on outputs of the network before there is a model file. The file is then checked,
measured and diagnosed on many of the same pictures. It is that network, to the byte, followed by
the nodes of trust, so its answers are computed from the kept outputs: see
`pawsure.training.cached_predictor`.

If nothing before a cut was trained, the network continues from the features at the cut: those of
training pictures are stored, those of validation pictures were usually just computed.
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
from pawsure.training.cached_predictor import BETWEEN, CachedPredictor
from pawsure.training.inputs import refuse_losses

WHOLE_CHECKS = 32
"""Pictures that are also sent through the whole file."""

Inputs = tuple[dict[int, str], dict[str, np.ndarray]]
"""Reasons by index of pictures that can't be read, and else the inputs of a graph by name."""


@dataclass(frozen=True, kw_only=True)
class Front:
    """The frozen layers of a network, with their known features.

    Attributes:
        graph: from pixels to the output.
        output: its name, which is that of the cut.
        indices: int (M,), pictures of the catalog whose features are known.
        known: gives the features of some of these, float32 (N, h, w, F); from any thread.
    """

    graph: onnx.ModelProto
    output: str
    indices: np.ndarray
    known: Callable[[np.ndarray], np.ndarray]


class CachedOutputs:
    """Logits and embeddings of a network, computed when they are first asked for.

    Args:
        graph: of `attach_head`, without trust; left as it is.
        catalog: where the pictures are.
        size_px: of the pictures that it takes.
        front: its frozen layers, if there are any.
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
        self._known: set[int] = set()
        if front is not None and self._tail is not None:
            self._known.update(front.indices.tolist())
        self._size_px = size_px
        self._progress = progress
        self._place: dict[int, int] = {}
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []

    def __call__(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The outputs for pictures; those that are not known yet are computed.

        Args:
            indices: of the catalog, int (N,).

        Returns:
            Logits (N, K) and embeddings (N, F), float32.

        Raises:
            DataError: one can't be read any more.
        """
        self._run([index for index in indices.tolist() if index not in self._place])
        if len(self._parts) > 1:
            logits, embeddings = zip(*self._parts, strict=True)
            self._parts = [(np.concatenate(logits), np.concatenate(embeddings))]
        places = [self._place[index] for index in indices.tolist()]
        logit, embedding = self._parts[0]
        return logit[places], embedding[places]

    def has(self, indices: np.ndarray) -> bool:
        """Whether the outputs of all of these pictures are known."""
        return all(index in self._place for index in indices.tolist())

    def _run(self, indices: list[int]) -> None:
        """Compute outputs, from the cut where the features there are known, else from pixels."""
        from_cut = [index for index in indices if index in self._known]
        from_pixels = [index for index in indices if index not in self._known]
        if from_cut:
            assert self._front is not None and self._tail is not None
            known = self._front.known
            self._add(from_cut, self._tail, lambda some: ({}, {"stored": known(np.array(some))}))
        if from_pixels:
            self._add(from_pixels, self._network, self._decoded)

    def _decoded(self, indices: list[int]) -> Inputs:
        batch = load_batch(self.catalog.read, indices, size_px=self._size_px)
        return dict(batch.problems), {"image": batch.pictures}

    def _add(
        self, indices: list[int], graph: onnx.ModelProto, inputs_of: Callable[[list[int]], Inputs]
    ) -> None:
        """Run a graph, a batch a core, and keep its outputs."""
        session = one_thread_session(graph.SerializeToString())

        def run(some: list[int]) -> tuple[dict[int, str], list[np.ndarray]]:
            problems, inputs = inputs_of(some)
            return problems, [] if problems else session.run(list(BETWEEN), inputs)

        batches = [indices[at : at + BATCH_SIZE] for at in range(0, len(indices), BATCH_SIZE)]
        workers = available_cores() + 1  # see `pawsure.model.predictor`
        problems: dict[int, str] = {}
        outputs = []
        self._progress.start("Running the trained network", len(indices))
        try:
            done = in_order(run, batches, workers=workers, ahead=2 * workers)
            for some, (failed, values) in zip(batches, done, strict=True):
                problems |= failed
                outputs.append(values)
                self._progress.advance(len(some))
        finally:
            self._progress.finish()
        refuse_losses(self.catalog, problems)
        first = len(self._place)
        self._place |= {index: first + number for number, index in enumerate(indices)}
        logit, embedding = map(np.concatenate, zip(*outputs, strict=True))
        self._parts.append((logit, embedding))

    def of_file(self, path: Path) -> tuple[CachedPredictor, ParityReport]:
        """A written model file of this network with trust, answering from the known outputs.

        Returns:
            The file, and how far its two halves are from the whole.

        Raises:
            ParityError: it is of another network, or its halves are not the whole.
        """
        written = onnx.load(path)
        if _nodes_up_to(written, BETWEEN) != _nodes_up_to(self._network, BETWEEN):
            raise ParityError(
                "The model file has another network than the one that trust was fitted on. "
                "Nothing was written; this is a bug in pawsure, please report it with the recipe."
            )
        file = CachedPredictor(Predictor(path), written, self)
        every = self.catalog.where("validation")
        some = every[:: max(1, len(every) // WHOLE_CHECKS)][:WHOLE_CHECKS]
        return file, file.check(self.catalog.read, some)


def _behind(network: onnx.ModelProto, front: Front) -> onnx.ModelProto | None:
    """The part of a network behind its frozen layers: float32 `front.output` to `BETWEEN`.

    None if the network has other layers there, or reads more of them than their output.
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
    """The constants of frozen layers, which tell them apart if the same code wrote them."""
    graph = copy_of(model).graph
    drop_unneeded(graph, {name})
    return Counter(item.SerializeToString(deterministic=True) for item in graph.initializer)


def _nodes_up_to(model: onnx.ModelProto, names: Iterable[str]) -> list[bytes]:
    """Nodes and constants that tensors are computed from, as bytes."""
    graph = copy_of(model).graph
    drop_unneeded(graph, set(names))
    constants = sorted(graph.initializer, key=lambda item: item.name)
    return [item.SerializeToString(deterministic=True) for item in (*graph.node, *constants)]

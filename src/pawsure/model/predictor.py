"""Run a model file over pictures, with ONNX Runtime and nothing heavier."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnxruntime

from pawsure.data import images
from pawsure.data.parallel import available_cores, in_order
from pawsure.errors import ModelFileError, PictureError, ShapeError, UsageError
from pawsure.model.answer import Answer, Failure
from pawsure.model.evidence import relative_evidence
from pawsure.model.metadata import ModelMetadata, read_metadata
from pawsure.model.onboard import find_model
from pawsure.model.sessions import open_session
from pawsure.trust.rule import LABEL, outcomes

Item = TypeVar("Item")
Result = TypeVar("Result")

OUTPUTS = ("probability", "logit", "embedding", "evidence")
"""What every model file puts out; "familiarity" is there when one was fitted."""

_FAMILIARITY = "familiarity"

BATCH_SIZE = 8
"""Pictures a forward pass of a series, each pass on one core. MobileNetV2 at 128 pixels,
milliseconds of a core for a picture at 1, 4, 8, 16 and 32: float32 2.7, 2.5, 2.4, 2.5, 2.5,
int8 1.4, 1.15, 1.10, 1.14, 1.19; what a pass keeps in memory grows with it."""


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What the graph puts out for N pictures; all float32.

    Attributes:
        probability: (N, K), rows sum to 1.
        logit: (N, K), before calibration.
        embedding: (N, F), the pooled features.
        evidence: (N, h, w, K); the mean over h and w is the logit.
        familiarity: (N,), or None when the model file has no such output.
    """

    probability: np.ndarray
    logit: np.ndarray
    embedding: np.ndarray
    evidence: np.ndarray
    familiarity: np.ndarray | None = None

    def __len__(self) -> int:
        """How many pictures."""
        return len(self.probability)


@dataclass(frozen=True, kw_only=True)
class PredictedBatch:
    """Some pictures of a longer series, as they went through.

    Attributes:
        indices: int64 (N,), which of the series these are.
        outputs: for those, in the same order.
        problems: (index, reason) of those in between that could not be read.
    """

    indices: np.ndarray
    outputs: Outputs
    problems: list[tuple[int, str]]


class Predictor:
    """A model file, ready to answer.

    Calls from several threads at once are safe.

    Example:
        >>> model = Predictor("runs/pets/model.onnx")  # doctest: +SKIP
        >>> model("rex.jpg").answer  # doctest: +SKIP
        'dog'
    """

    def __init__(self, path: str | Path, *, threads: int | None = None) -> None:
        """Load a model file.

        Args:
            path: the file, the run folder that holds it as model.onnx, or the name of one on
                board, such as pets-128.
            threads: CPU threads of one forward pass; None takes one per core. A series
                (`predict_paths`, `predict_series`) runs passes of one thread side by side.

        Raises:
            ModelFileError: it is no pawsure model, was cut short, or is of a newer format.
        """
        self.path = find_model(path)
        self.threads = threads or os.cpu_count() or 1
        self.metadata: ModelMetadata = read_metadata(self.path)
        self._session = open_session(self.path, threads)
        self._output_names = _check_signature(self._session, self.metadata, self.path)

    @property
    def labels(self) -> tuple[str, ...]:
        """The K class names, in the order of the columns of `probability`."""
        return self.metadata.labels

    @property
    def size_px(self) -> int:
        """Side of the square pictures that the graph takes."""
        return self.metadata.size_px

    def predict_batch(self, pictures: np.ndarray) -> Outputs:
        """Run pictures that are read already; all go through at once.

        Args:
            pictures: uint8 (N, S, S, 3) RGB with S = `size_px`, as `pawsure.data.images.read`
                gives them.

        Raises:
            ShapeError: another shape or dtype.
        """
        expected = (self.size_px, self.size_px, 3)
        if pictures.dtype != np.uint8 or pictures.shape[1:] != expected or pictures.ndim != 4:
            raise ShapeError(
                f"The model takes uint8 (N, {', '.join(map(str, expected))}); "
                f"got {pictures.dtype} {pictures.shape}. Read pictures with "
                f"pawsure.data.images.read(picture, size_px={self.size_px})."
            )
        return self._run(self._session, pictures)

    def __call__(self, picture: images.Picture) -> Answer:
        """Answer for one picture.

        Args:
            picture: a path, the bytes of a file, an array (H, W, 3) or a PIL image.

        Raises:
            PictureError: it can't be read.
        """
        pixels = images.read(picture, size_px=self.size_px)
        path = os.fspath(picture) if isinstance(picture, (str, Path)) else None
        answer = self.answer(self.predict_batch(pixels[np.newaxis]), 0, path=path)
        return answer if path is not None else replace(answer, picture=picture)

    def predict_paths(
        self,
        paths: Iterable[str | Path],
        *,
        batch_size: int = BATCH_SIZE,
        workers: int | None = None,
        evidence: bool = True,
    ) -> Generator[Answer | Failure, None, None]:
        """Answer for many files, in their order, as they go through.

        Paths are taken as they are needed, and memory holds a few batches, however many files
        there are. A file that can't be read gives a `Failure`.

        Args:
            paths: of the pictures.
            batch_size: pictures a forward pass.
            workers: threads that decode and run the network; None takes one more than cores.
            evidence: whether answers have it.

        Raises:
            UsageError: `batch_size` or `workers` is below 1.
        """
        _check_sizes(batch_size, workers)
        names: Iterator[str] = (os.fspath(path) for path in paths)
        first = list(islice(names, 2))
        if len(first) == 1:  # spares the start of threads
            yield self._answer_or_failure(first[0], evidence=evidence)
            return
        names = chain(first, names)
        stretches = iter(lambda: list(islice(names, batch_size)), [])

        def predicted(names: Sequence[str]) -> tuple[Sequence[str], PredictedBatch]:
            return names, self._predicted(lambda at: images.read_file(names[at]), range(len(names)))

        for names_of, batch in _side_by_side(predicted, stretches, workers):
            yield from self._in_order(names_of, batch, evidence=evidence)

    def predict_series(
        self,
        read: Callable[[int], bytes],
        indices: Sequence[int] | np.ndarray,
        *,
        batch_size: int = BATCH_SIZE,
        workers: int | None = None,
    ) -> Iterator[PredictedBatch]:
        """Run a series of encoded pictures, as evaluation does.

        Args:
            read: gives the bytes of picture i; called from several threads.
            indices: which pictures, in the order wanted.
            batch_size: pictures a forward pass.
            workers: threads that decode and run the network; None takes one more than cores.

        Raises:
            UsageError: `batch_size` or `workers` is below 1.
        """
        _check_sizes(batch_size, workers)
        indices = np.asarray(indices, dtype=np.int64)
        stretches = (indices[at : at + batch_size] for at in range(0, len(indices), batch_size))
        yield from _side_by_side(lambda some: self._predicted(read, some), stretches, workers)

    def _predicted(
        self, read: Callable[[int], bytes], indices: Sequence[int] | np.ndarray
    ) -> PredictedBatch:
        """Decode and run one batch, all of it in this thread."""
        from pawsure.data.loader import load_batch

        batch = load_batch(read, indices, size_px=self.size_px)
        return PredictedBatch(
            indices=batch.indices,
            outputs=self._run(self._series_session, batch.pictures),
            problems=batch.problems,
        )

    @cached_property
    def _series_session(self) -> onnxruntime.InferenceSession:
        """For passes of one thread, of which several run side by side."""
        return self._session if self.threads == 1 else open_session(self.path, 1)

    def _run(self, session: onnxruntime.InferenceSession, pictures: np.ndarray) -> Outputs:
        values = session.run(self._output_names, {"image": pictures})
        return Outputs(**dict(zip(self._output_names, values, strict=True)))

    def _answer_or_failure(self, name: str, *, evidence: bool) -> Answer | Failure:
        try:
            pixels = images.read(name, size_px=self.size_px)
        except PictureError as exc:
            return Failure(path=name, error=exc.reason)
        outputs = self.predict_batch(pixels[np.newaxis])
        return self.answer(outputs, 0, path=name, evidence=evidence)

    def _in_order(
        self, names: Sequence[str], batch: PredictedBatch, *, evidence: bool
    ) -> Iterator[Answer | Failure]:
        reasons = dict(batch.problems)
        row = 0
        for at, name in enumerate(names):
            if at in reasons:
                yield Failure(path=name, error=reasons[at])
            else:
                yield self.answer(batch.outputs, row, path=name, evidence=evidence)
                row += 1

    def outcomes(self, probability: np.ndarray, familiarity: np.ndarray | None) -> np.ndarray:
        """What to act on for each picture by the thresholds of the file.

        Args:
            probability: float (N, K).
            familiarity: float (N,), or None.

        Returns:
            (N,) of "label", "unsure" or "neither"; see `pawsure.trust.rule.outcomes`.
        """
        return outcomes(probability, familiarity, self.metadata.thresholds)

    def answer(
        self, outputs: Outputs, row: int, *, path: str | None = None, evidence: bool = True
    ) -> Answer:
        """What the outputs of `predict_batch` say of one picture.

        Args:
            outputs: of any number of pictures.
            row: which of them, in [0, N).
            path: to name in the answer.
            evidence: whether the answer has it.
        """
        probability = outputs.probability[row]
        best = int(probability.argmax())
        label, largest = self.labels[best], float(probability[best])
        familiarity = None if outputs.familiarity is None else float(outputs.familiarity[row])
        outcome = self.outcomes(
            probability[np.newaxis], None if familiarity is None else np.array([familiarity])
        )[0]
        return Answer(
            path=path,
            answer=label if outcome == LABEL else outcome,
            label=label,
            probability=largest,
            probabilities=dict(zip(self.labels, map(float, probability), strict=True)),
            familiarity=familiarity,
            evidence=(
                relative_evidence(outputs.evidence[row], probability, best) if evidence else None
            ),
        )


def load(path: str | Path | None = None, *, threads: int | None = None) -> Predictor:
    """Load a model.

    Args:
        path: a model file, the run folder that holds one, or the name of one on board
            (pets-224, pets-128); None takes pets-224.
        threads: CPU threads of one forward pass; None takes one per core.

    Raises:
        ModelFileError: the file is no pawsure model, was cut short, or is of a newer format.
        UsageError: this installation lacks the models on board.

    Example:
        >>> model = load("runs/pets")  # doctest: +SKIP
        >>> model("rex.jpg").probability  # doctest: +SKIP
        0.998
    """
    return Predictor(find_model(path), threads=threads)


def _side_by_side(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int | None
) -> Iterator[Result]:
    """Results in the order of the items, a few of which are under way at once.

    Each worker decodes a batch and then runs it through the network on one core, so that every
    core always has something to do, whichever of the two takes longer; threads of their own for
    either stand still for a part of the time, or fight for the cores. One worker more than
    cores, for one that waits for the disk, or for Python's lock.
    """
    workers = available_cores() + 1 if workers is None else workers
    # A picture that takes long holds up the results behind it. What waits is names, or small.
    return in_order(function, items, workers=workers, ahead=4 * workers)


def _check_sizes(batch_size: int, workers: int | None) -> None:
    if batch_size < 1 or (workers is not None and workers < 1):
        raise UsageError(
            f"batch_size and workers must be at least 1; got {batch_size} and {workers}."
        )


def _check_signature(
    session: onnxruntime.InferenceSession, metadata: ModelMetadata, path: Path
) -> list[str]:
    """The names of the outputs to fetch."""
    outputs = {item.name: item for item in session.get_outputs()}
    missing = [name for name in OUTPUTS if name not in outputs]
    if missing:
        raise ModelFileError(
            f"{path} lacks the outputs {', '.join(missing)}; a pawsure model has "
            f"{', '.join(OUTPUTS)}. Was the file changed by another tool?"
        )
    inputs: list[Any] = session.get_inputs()
    size = metadata.size_px
    if [(item.name, item.type) for item in inputs] != [("image", "tensor(uint8)")] or (
        not _fits(inputs[0].shape, (None, size, size, 3))
    ):
        found = "; ".join(f"'{item.name}' {item.type} {item.shape}" for item in inputs)
        raise ModelFileError(
            f"{path} takes {found or 'nothing'}; a pawsure model of its metadata takes "
            f"'image' tensor(uint8) [N, {size}, {size}, 3]. Was the file changed by another tool?"
        )
    if not _fits(outputs["probability"].shape, (None, len(metadata.labels))):
        raise ModelFileError(
            f"{path} names {len(metadata.labels)} labels ({', '.join(metadata.labels)}), but "
            f"its probability has the shape {outputs['probability'].shape}. "
            "Was the file changed by another tool?"
        )
    return [name for name in (*OUTPUTS, _FAMILIARITY) if name in outputs]


def _fits(shape: Sequence[int | str | None], expected: Sequence[int | None]) -> bool:
    """Whether known sizes agree; a name or None stands for any size."""
    return len(shape) == len(expected) and all(
        wanted is None or not isinstance(size, int) or size == wanted
        for size, wanted in zip(shape, expected, strict=True)
    )

"""Run a model file on pictures, with ONNX Runtime."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar, overload

import numpy as np

from pawsure.data import images
from pawsure.data.parallel import available_cores, in_order
from pawsure.errors import ModelFileError, PictureError, ShapeError, UsageError
from pawsure.model.answer import Answer, Failure
from pawsure.model.builtin import BUILTIN, find_model
from pawsure.model.evidence import relative_evidence
from pawsure.model.given import as_picture, is_many, path_of
from pawsure.model.metadata import ModelMetadata, read_checked
from pawsure.model.sessions import open_session
from pawsure.onnx_runtime import onnxruntime
from pawsure.trust.rule import LABEL, outcomes


class Run(Protocol):
    """The part of a `pawsure.train` result that loading its model needs."""

    @property
    def model_file(self) -> Path:
        """The model."""


Item = TypeVar("Item")
Result = TypeVar("Result")

OUTPUTS = ("probability", "logit", "embedding", "evidence")
"""The outputs of every model file; "familiarity" exists if one was fitted."""

_FAMILIARITY = "familiarity"

_MOST_LABELS = 6  # in a repr

BATCH_SIZE = 8
"""Pictures per forward pass of a series, each pass on one core. MobileNetV2 at 128 pixels,
milliseconds of a core per picture at 1, 4, 8, 16 and 32: float32 2.7, 2.5, 2.4, 2.5, 2.5, int8
1.4, 1.15, 1.10, 1.14, 1.19. The memory of a pass grows with it."""


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The outputs of the graph for N pictures; all float32.

    Attributes:
        probability: (N, K), rows sum to 1.
        logit: (N, K), before calibration.
        embedding: (N, F), the pooled features.
        evidence: (N, h, w, K); the mean over h and w is the logit. (N, 1, 1, K) if the network
            pools the whole picture.
        familiarity: (N,), or None if the model file has no such output.
    """

    probability: np.ndarray
    logit: np.ndarray
    embedding: np.ndarray
    evidence: np.ndarray
    familiarity: np.ndarray | None = None

    def __len__(self) -> int:
        """The number of pictures."""
        return len(self.probability)


@dataclass(frozen=True, kw_only=True)
class PredictedBatch:
    """The results for some pictures of a series.

    Attributes:
        indices: int64 (N,), positions in the series.
        outputs: of these pictures, in the same order.
        problems: (index, reason) of unreadable pictures.
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
        >>> [each.label for each in model(["rex.jpg", "tom.jpg"])]  # doctest: +SKIP
        ['dog', 'cat']
    """

    def __init__(self, path: str | Path, *, threads: int | None = None) -> None:
        """Load a model file.

        Args:
            path: the file, its run folder, or a built-in name such as pets-small.
            threads: CPU threads per forward pass; None takes one per core. A series
                (`predict_paths`, `predict_series`) runs passes of one thread in parallel.

        Raises:
            ModelFileError: it is not a pawsure model, was cut short, or has a newer format.
        """
        self.path = find_model(path)
        self.threads = threads or os.cpu_count() or 1
        self.metadata, self._checksum = read_checked(self.path)
        self._session = open_session(self.path, threads)
        self._output_names = _check_signature(self._session, self.metadata, self.path)
        shapes = {item.name: item.shape for item in self._session.get_outputs()}
        self._tells_places = list(shapes["evidence"][1:3]) != [1, 1]

    def __repr__(self) -> str:
        """The file and its labels."""
        return f"Predictor({str(self.path)!r}, labels={_shortened(self.labels)})"

    @property
    def labels(self) -> tuple[str, ...]:
        """The K class names, in the order of the columns of `probability`."""
        return self.metadata.labels

    @property
    def size_px(self) -> int:
        """Side of the square input pictures."""
        return self.metadata.size_px

    @property
    def tells_places(self) -> bool:
        """Whether there are heat maps: evidence of more than one place."""
        return self._tells_places

    def predict_batch(self, pictures: np.ndarray) -> Outputs:
        """Run decoded pictures in one forward pass.

        Args:
            pictures: uint8 (N, S, S, 3) RGB with S = `size_px`, from `pawsure.data.images.read`.

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

    # A string is an iterable too; the first overload that fits is taken.
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, picture: images.Picture | IO[bytes]
    ) -> Answer: ...

    @overload
    def __call__(self, picture: Iterable[images.Picture | IO[bytes]]) -> list[Answer | Failure]: ...

    def __call__(
        self, picture: images.Picture | IO[bytes] | Iterable[images.Picture | IO[bytes]]
    ) -> Answer | list[Answer | Failure]:
        """Predict one picture or many.

        Args:
            picture: a path, the bytes of a file, an open file, an array (H, W), (H, W, 3) or
                (H, W, 4), or a PIL image; or an iterable of these, or an array (N, H, W, 3). For
                more than fit into memory see `predict_many`.

        Returns:
            An `Answer`; for many pictures a list in their order, with a `Failure` for each
            unreadable one.

        Raises:
            PictureError: the one picture can't be read.
            UsageError: it is none of these.
        """
        if is_many(picture):
            return list(self.predict_many(picture))
        one = as_picture(picture)
        pixels = images.read(one, size_px=self.size_px)
        outputs = self.predict_batch(pixels[np.newaxis])
        return _with_picture(self.answer(outputs, 0, path=path_of(one)), one)

    def predict_paths(
        self,
        paths: Iterable[str | Path],
        *,
        batch_size: int = BATCH_SIZE,
        workers: int | None = None,
        evidence: bool = True,
    ) -> Generator[Answer | Failure, None, None]:
        """Predict many files; see `predict_many`."""
        yield from self.predict_many(
            map(os.fspath, paths), batch_size=batch_size, workers=workers, evidence=evidence
        )

    def predict_many(
        self,
        pictures: Iterable[images.Picture | IO[bytes]],
        *,
        batch_size: int = BATCH_SIZE,
        workers: int | None = None,
        evidence: bool = True,
    ) -> Generator[Answer | Failure, None, None]:
        """Predict many pictures, in their order; a generator.

        The pictures are read as needed, so memory holds only a few batches. An unreadable one
        gives a `Failure`.

        Args:
            pictures: each as in `__call__`.
            batch_size: pictures per forward pass.
            workers: threads that decode and run the network; None takes one more than cores.
            evidence: whether answers have evidence.

        Raises:
            UsageError: `batch_size` or `workers` is below 1, or an item is not a picture.
        """
        _check_sizes(batch_size, workers)
        items: Iterator[images.Picture] = map(as_picture, pictures)
        first = list(islice(items, 2))
        if len(first) == 1:  # without starting threads
            yield self._answer_or_failure(first[0], evidence=evidence)
            return
        items = chain(first, items)
        batches = iter(lambda: list(islice(items, batch_size)), [])

        def predict(
            some: Sequence[images.Picture],
        ) -> tuple[Sequence[images.Picture], PredictedBatch]:
            return some, self._predict(some.__getitem__, range(len(some)))

        for some, batch in _in_parallel(predict, batches, workers):
            yield from self._in_order(some, batch, evidence=evidence)

    def predict_series(
        self,
        read: Callable[[int], bytes],
        indices: Sequence[int] | np.ndarray,
        *,
        batch_size: int = BATCH_SIZE,
        workers: int | None = None,
    ) -> Iterator[PredictedBatch]:
        """Run a series of encoded pictures, for evaluation.

        Args:
            read: returns the bytes of picture i; called from several threads.
            indices: of the pictures, in the order wanted.
            batch_size: see `predict_many`.
            workers: see `predict_many`.
        """
        _check_sizes(batch_size, workers)
        indices = np.asarray(indices, dtype=np.int64)
        batches = (indices[at : at + batch_size] for at in range(0, len(indices), batch_size))
        yield from _in_parallel(lambda some: self._predict(read, some), batches, workers)

    def _predict(
        self, read: Callable[[int], images.Picture], indices: Sequence[int] | np.ndarray
    ) -> PredictedBatch:
        """Decode and run one batch in this thread."""
        from pawsure.data.loader import load_batch

        batch = load_batch(read, indices, size_px=self.size_px)
        return PredictedBatch(
            indices=batch.indices,
            outputs=self._run(self._series_session, batch.pictures),
            problems=batch.problems,
        )

    @cached_property
    def _series_session(self) -> onnxruntime.InferenceSession:
        """For passes of one thread, several in parallel."""
        if self.threads == 1:
            return self._session
        if read_checked(self.path)[1] != self._checksum:
            raise ModelFileError(
                f"{self.path} was replaced after it was loaded. Load it again, so that all "
                "answers are of one model."
            )
        return open_session(self.path, 1)

    def _run(self, session: onnxruntime.InferenceSession, pictures: np.ndarray) -> Outputs:
        values = session.run(self._output_names, {"image": pictures})
        return Outputs(**dict(zip(self._output_names, values, strict=True)))

    def _answer_or_failure(self, picture: images.Picture, *, evidence: bool) -> Answer | Failure:
        try:
            pixels = images.read(picture, size_px=self.size_px)
        except PictureError as exc:
            return Failure(path=path_of(picture), error=exc.reason)
        outputs = self.predict_batch(pixels[np.newaxis])
        answer = self.answer(outputs, 0, path=path_of(picture), evidence=evidence)
        return _with_picture(answer, picture)

    def _in_order(
        self, pictures: Sequence[images.Picture], batch: PredictedBatch, *, evidence: bool
    ) -> Iterator[Answer | Failure]:
        reasons = dict(batch.problems)
        row = 0
        for at, picture in enumerate(pictures):
            if at in reasons:
                yield Failure(path=path_of(picture), error=reasons[at])
            else:
                path = path_of(picture)
                answer = self.answer(batch.outputs, row, path=path, evidence=evidence)
                yield _with_picture(answer, picture)
                row += 1

    def outcomes(self, probability: np.ndarray, familiarity: np.ndarray | None) -> np.ndarray:
        """What to act on for each picture; see `pawsure.trust.rule.outcomes`.

        Args:
            probability: float (N, K).
            familiarity: float (N,), or None.

        Returns:
            (N,) of "label", "unsure" or "neither".
        """
        return outcomes(probability, familiarity, self.metadata.thresholds)

    def answer(
        self, outputs: Outputs, row: int, *, path: str | None = None, evidence: bool = True
    ) -> Answer:
        """The answer for one picture.

        Args:
            outputs: of `predict_batch`.
            row: which of the pictures, in [0, N).
            path: for the answer.
            evidence: whether the answer has evidence, if the model has heat maps.
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
                relative_evidence(outputs.evidence[row], probability, best)
                if evidence and self.tells_places
                else None
            ),
        )


def load(path: str | Path | Run | None = None, *, threads: int | None = None) -> Predictor:
    """Load a model.

    Args:
        path: a model file, its run folder, the result of `pawsure.train`, or the name of a
            built-in model (pets, pets-small); None takes pets.
        threads: CPU threads per forward pass; None takes one per core.

    Raises:
        ModelFileError: the file is not a pawsure model, was cut short, or has a newer format.
        UsageError: this installation lacks the built-in models, or `path` is not a path.

    Example:
        >>> model = load("runs/pets")  # doctest: +SKIP
        >>> model("rex.jpg").probability  # doctest: +SKIP
        0.998
    """
    if path is not None and not isinstance(path, (str, os.PathLike)):
        if not hasattr(path, "model_file"):
            raise UsageError(
                "A model is a file, a run folder or a built-in name "
                f"({', '.join(BUILTIN)}); got {type(path).__name__}."
            )
        path = path.model_file
    return Predictor(find_model(path), threads=threads)


def _with_picture(answer: Answer, picture: images.Picture) -> Answer:
    """The answer, with its picture if it has no path."""
    return answer if answer.path is not None else replace(answer, picture=picture)


def _shortened(labels: Sequence[str]) -> str:
    """Labels in brackets; only the first of many."""
    shown = ", ".join(labels[:_MOST_LABELS])
    more = len(labels) - _MOST_LABELS
    return f"({shown} and {more:,} more)" if more > 0 else f"({shown})"


def _in_parallel(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int | None
) -> Iterator[Result]:
    """Results in the order of the items, from several threads.

    Each worker decodes a batch and runs it on one core, so every core is busy whichever of the two
    takes longer; separate threads for either would idle or compete for cores. One worker more
    than cores, because one may wait for the disk or for Python's lock.
    """
    workers = available_cores() + 1 if workers is None else workers
    # Results queue behind a slow picture; they are small.
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
        taken = "; ".join(f"'{item.name}' {item.type} {item.shape}" for item in inputs)
        raise ModelFileError(
            f"{path} takes {taken or 'nothing'}; a pawsure model of its metadata takes "
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

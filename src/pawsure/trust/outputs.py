"""Run a graph over pictures for what trust is fitted on: logits and embeddings."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import onnx

from pawsure.data.changes import ROOM, changed
from pawsure.data.images import read
from pawsure.data.parallel import available_cores, in_order
from pawsure.errors import PictureError
from pawsure.progress import NO_PROGRESS, Progress

BATCH_SIZE = 8

Read = Callable[[int], bytes]


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """What a graph makes of N pictures.

    Attributes:
        rows: int64 (N,), which pictures these are, of those asked for.
        logit: float32 (N, K).
        embedding: float32 (N, F).
    """

    rows: np.ndarray
    logit: np.ndarray
    embedding: np.ndarray

    def __len__(self) -> int:
        """How many."""
        return len(self.rows)


class Outputs:
    """A graph of `attach_head`, run for logits and embeddings, a core a batch.

    Args:
        graph: of `attach_head`, without trust.
        size_px: of the pictures that it takes.
        progress: told of every picture.
    """

    def __init__(
        self, graph: onnx.ModelProto, size_px: int, progress: Progress = NO_PROGRESS
    ) -> None:
        from pawsure.onnx_runtime import one_thread_session

        self._session = one_thread_session(graph.SerializeToString())
        self._size_px = size_px
        self._progress = progress

    def __call__(self, read_bytes: Read, rows: np.ndarray, task: str) -> Found:
        """Decode pictures and run them.

        Args:
            read_bytes: gives the bytes of a picture.
            rows: int (N,), which pictures.
            task: a title for the progress bar.
        """

        def pictures(row: int) -> Iterator[np.ndarray]:
            yield read(read_bytes(row), size_px=self._size_px)

        return self._run(pictures, rows, 1, task)

    def changed(self, read_bytes: Read, rows: np.ndarray, changes: int, task: str) -> Found:
        """The same of pictures changed at random; each row comes so many times in a row.

        A picture's changes depend on its content alone.

        Args:
            read_bytes: gives the bytes of a picture.
            rows: int (N,), which pictures.
            changes: of each.
            task: a title for the progress bar.
        """

        def pictures(row: int) -> Iterator[np.ndarray]:
            content = read_bytes(row)
            picture = read(content, size_px=math.ceil(self._size_px * ROOM))
            rng = np.random.default_rng(list(hashlib.sha256(content).digest()))
            for _ in range(changes):
                yield changed(picture, rng, self._size_px)

        return self._run(pictures, rows, changes, task)

    def _run(
        self,
        pictures: Callable[[int], Iterator[np.ndarray]],
        rows: np.ndarray,
        each: int,
        task: str,
    ) -> Found:
        """Rows that can be read; a batch has about `BATCH_SIZE` pictures, `each` of a row."""

        def run(batch: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
            seen: list[np.ndarray] = []
            found: list[int] = []
            for row in batch.tolist():
                try:
                    seen.extend(pictures(row))
                except PictureError:
                    continue
                found.extend([row] * each)
            if not seen:
                return None
            outputs = self._session.run(["logit", "embedding"], {"image": np.stack(seen)})
            return np.array(found, np.int64), *outputs

        step = max(1, BATCH_SIZE // each)
        batches = [rows[at : at + step] for at in range(0, len(rows), step)]
        cores = available_cores()
        done = []
        self._progress.start(task, len(rows))
        try:
            ran = in_order(run, batches, workers=cores, ahead=2 * cores)
            for batch, outputs in zip(batches, ran, strict=True):
                if outputs is not None:
                    done.append(outputs)
                self._progress.advance(len(batch))
        finally:
            self._progress.finish()
        if not done:
            nothing = np.zeros((0, 1), np.float32)
            return Found(rows=np.zeros(0, np.int64), logit=nothing, embedding=nothing)
        indices, logit, embedding = (np.concatenate(part) for part in zip(*done, strict=True))
        return Found(rows=indices, logit=logit, embedding=embedding)

"""Run a graph over pictures for what trust is fitted on: logits and feature layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx

from pawsure.data.loader import iter_batches
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.trust.nodes import FEATURES, measure_features, with_features

BATCH_SIZE = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """What a graph makes of N pictures.

    Attributes:
        rows: int64 (N,), of those asked for, the ones that could be read.
        logit: float32 (N, K).
        features: float32 (N, D), see `pawsure.trust.nodes.FEATURES`.
    """

    rows: np.ndarray
    logit: np.ndarray
    features: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, logit: np.ndarray, features: np.ndarray) -> Found:
        """The same by position."""
        return cls(rows=rows, logit=logit, features=features)

    def __len__(self) -> int:
        """How many pictures."""
        return len(self.rows)


class Outputs:
    """A graph, run for `FEATURES` and logits.

    Args:
        graph: of `attach_head`, without trust.
        size_px: of the pictures that it takes.
        progress: told of every picture.
    """

    def __init__(
        self, graph: onnx.ModelProto, size_px: int, progress: Progress = NO_PROGRESS
    ) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # its warnings mean nothing to people who train
        content = measure_features(with_features(graph)).SerializeToString()
        self._session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
        self._size_px = size_px
        self._progress = progress

    def __call__(self, read: Callable[[int], bytes], rows: np.ndarray, task: str) -> Found:
        """Decode pictures and run them.

        Args:
            read: gives the bytes of a picture.
            rows: int (N,), which pictures.
            task: a title for the progress bar.
        """
        done: list[tuple[np.ndarray, ...]] = []
        self._progress.start(task, len(rows))
        try:
            for batch in iter_batches(read, rows, size_px=self._size_px, batch_size=BATCH_SIZE):
                if len(batch):
                    done.append((batch.indices, *self.of(batch.pictures)))
                self._progress.advance(len(batch) + len(batch.problems))
        finally:
            self._progress.finish()
        if not done:
            nothing = np.zeros((0, 1), np.float32)
            return Found(rows=np.zeros(0, np.int64), logit=nothing, features=nothing)
        indices, logit, features = (np.concatenate(part) for part in zip(*done, strict=True))
        return Found(rows=indices, logit=logit, features=features)

    def of(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits (N, K) and features (N, D) of uint8 (N, S, S, 3)."""
        logit, features = self._session.run(["logit", FEATURES], {"image": pictures})
        return logit, features

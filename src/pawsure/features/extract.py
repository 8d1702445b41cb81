"""Fill feature stores: decode in threads, run the prefix, keep the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from pawsure.data.loader import Batch, iter_batches
from pawsure.data.parallel import available_cores, in_order
from pawsure.features.prefix import PIXELS, Prefix, missing_rows
from pawsure.features.store import SEGMENT_ROWS, FeatureStore
from pawsure.features.views import ORIGINAL, View
from pawsure.progress import NO_PROGRESS, Progress

BATCH_SIZE = 8
"""Pictures a forward pass. The first layers put out the most: of 64 pictures it goes out to
memory and comes back for the next layer, of 8 it stays nearer. Processor time a picture up to
block_3_project of MobileNetV2: 3.9 and 2.6 ms at 128 pixels, 12.0 and 8.5 ms at 224."""


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """What one filling did.

    Attributes:
        computed: pictures that were decoded and run.
        reused: pictures whose rows were there already.
        problems: reason by index of the pictures that can't be read.
    """

    computed: int
    reused: int
    problems: dict[int, str] = field(default_factory=dict)


def extract(
    read: Callable[[int], bytes],
    contents: Sequence[str] | np.ndarray,
    indices: Sequence[int] | np.ndarray,
    prefix: Prefix,
    outputs: Sequence[str],
    *,
    views: Sequence[View] = (ORIGINAL,),
    workers: int | None = None,
    progress: Progress = NO_PROGRESS,
) -> Extraction:
    """Make sure that the stores hold a row for every picture in every view.

    Rows are kept every `SEGMENT_ROWS` pictures, so memory is bounded and a killed run loses
    no more than the last of them.

    Args:
        read: gives the bytes of picture i; called from several threads.
        contents: content hash of each picture, by index.
        indices: which pictures.
        prefix: what to run on them.
        outputs: which of its outputs to keep.
        views: how to see the pictures; all must read them at the same size.
        workers: threads that decode; None lets the loader choose.
        progress: told of every picture.
    """
    stores = {view: {name: prefix.store(name, view.name) for name in outputs} for view in views}
    indices = np.asarray(indices, dtype=np.int64)
    wanted = [contents[index] for index in indices]
    every_store = [store for by_output in stores.values() for store in by_output.values()]
    missing = indices[missing_rows(every_store, wanted)]
    problems: dict[int, str] = {}
    if len(missing):
        run = _runner(prefix, outputs)
        buffers = {view: _Buffer(stores[view]) for view in views}
        progress.start("Reading features", len(missing))
        batches = iter_batches(
            read,
            missing,
            size_px=views[0].read_size_px(prefix.size_px),
            batch_size=BATCH_SIZE,
            workers=workers,
        )
        # Pictures are changed by threads while the network runs on those before.
        for seen in in_order(
            lambda batch: _seen(views, batch, contents, prefix.size_px),
            batches,
            workers=workers or available_cores(),
            ahead=2 * (workers or available_cores()),
        ):
            problems.update(seen.problems)
            for view, pictures in zip(views, seen.pictures, strict=True):
                if seen.contents:
                    buffers[view].add(seen.contents, run(pictures))
            progress.advance(len(seen.contents) + len(seen.problems))
        for buffer in buffers.values():
            buffer.flush()
        progress.finish()
    return Extraction(
        computed=len(missing) - len(problems),
        reused=len(indices) - len(missing),
        problems=problems,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Seen:
    """Some pictures, in every view: uint8 (B, S, S, 3) each."""

    contents: list[str]
    pictures: list[np.ndarray]
    problems: list[tuple[int, str]]


def _seen(
    views: Sequence[View], batch: Batch, contents: Sequence[str] | np.ndarray, size_px: int
) -> _Seen:
    hashes = [contents[index] for index in batch.indices]
    return _Seen(
        contents=hashes,
        pictures=[_in_view(view, batch.pictures, hashes, size_px) for view in views],
        problems=batch.problems,
    )


def _in_view(view: View, pictures: np.ndarray, contents: list[str], size_px: int) -> np.ndarray:
    if view.augmentation is None or not contents:
        return pictures
    return np.stack(
        [
            view.apply(picture, content, size_px)
            for picture, content in zip(pictures, contents, strict=True)
        ]
    )


class _Buffer:
    """Collects rows until they make a segment."""

    def __init__(self, stores: dict[str, FeatureStore]) -> None:
        self._stores = stores
        self._contents: list[str] = []
        self._rows: dict[str, list[np.ndarray]] = {name: [] for name in stores}

    def add(self, contents: list[str], rows: dict[str, np.ndarray]) -> None:
        self._contents += contents
        for name, store in self._stores.items():
            self._rows[name].append(rows[name].astype(store.dtype, copy=False))
        if len(self._contents) >= SEGMENT_ROWS:
            self.flush()

    def flush(self) -> None:
        if not self._contents:
            return
        for name, store in self._stores.items():
            store.add(self._contents, np.concatenate(self._rows[name]))
            self._rows[name].clear()
        self._contents = []


def _runner(
    prefix: Prefix, outputs: Sequence[str]
) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """What turns pictures, uint8 (B, S, S, 3), into rows by output name."""
    names = [name for name in outputs if name != PIXELS]
    if not names:
        return lambda pictures: {PIXELS: pictures}
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # its warnings mean nothing to who trains
    # Waiting by spinning would take the cores that decode and change the next pictures.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        str(prefix.path), options, providers=["CPUExecutionProvider"]
    )

    def run(pictures: np.ndarray) -> dict[str, np.ndarray]:
        values = session.run(names, {"image": pictures})
        return {PIXELS: pictures, **dict(zip(names, values, strict=True))}

    return run

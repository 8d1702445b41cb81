"""Fill feature stores: decode in threads, run the prefix, keep the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from pawsure.data.file_names import native_path
from pawsure.data.loader import load_batch
from pawsure.data.parallel import available_cores, in_order
from pawsure.errors import StorageError
from pawsure.features.prefix import BATCH_SIZE, PIXELS, Prefix, graph_key, missing_rows
from pawsure.features.store import SEGMENT_ROWS, FeatureStore, tell_lost
from pawsure.features.views import ORIGINAL, View
from pawsure.progress import NO_PROGRESS, Progress

Run = Callable[[np.ndarray], dict[str, np.ndarray]]

MOST_EXACT_BYTES = 256 * 2**20
"""Of rows that a run keeps in memory: 1,000 pictures at the cuts of MobileNetV2 take 25 to 100
million bytes."""


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


class ExactRows:
    """Rows of one output before the store rounds them, in memory, as far as they fit.

    Args:
        output: of the prefix; None keeps nothing.
        most_bytes: of all rows; those of further pictures are not kept.
    """

    def __init__(self, output: str | None, most_bytes: int = MOST_EXACT_BYTES) -> None:
        self.output = output
        self._left = most_bytes
        self._rows: dict[str, np.ndarray] = {}

    def __contains__(self, content: str) -> bool:
        """Whether there is a row for a picture of this content."""
        return content in self._rows

    def __getitem__(self, content: str) -> np.ndarray:
        """The row of a picture of this content: float32, of the shape of the output."""
        return self._rows[content]

    def add(self, contents: Sequence[str], rows: dict[str, np.ndarray]) -> None:
        """Keep what there is of the output, (N, …), for pictures of these contents."""
        if self.output is not None and rows[self.output].nbytes <= self._left:
            self._left -= rows[self.output].nbytes
            self._rows.update(zip(contents, rows[self.output], strict=True))


def extract(
    read: Callable[[int], bytes],
    contents: Sequence[str] | np.ndarray,
    indices: Sequence[int] | np.ndarray,
    prefix: Prefix,
    outputs: Sequence[str],
    *,
    views: Sequence[View] = (ORIGINAL,),
    workers: int | None = None,
    exact: ExactRows | None = None,
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
        workers: threads that decode and run the prefix; None takes one more than cores.
        exact: is given what is computed of its output for the first view.
        progress: told of every picture.
    """
    if len({view.read_size_px(prefix.size_px) for view in views}) > 1:
        raise ValueError("Views that read pictures at different sizes take a pass each.")
    stores = {view: {name: prefix.store(name, view.name) for name in outputs} for view in views}
    indices = np.asarray(indices, dtype=np.int64)
    wanted = [contents[index] for index in indices]
    every_store = [store for by_output in stores.values() for store in by_output.values()]
    for store in every_store:
        store.check(wanted)
    tell_lost(every_store, progress)
    missing = indices[missing_rows(every_store, wanted)]
    num_missing = len(missing)
    problems: dict[int, str] = {}
    while len(missing):
        found = _fill(
            read, contents, missing, prefix, outputs, stores, views, workers or 0, exact, progress
        )
        problems |= found
        # A picture that can't be read may have a copy that can.
        missing = _copies_of(found, contents, indices, problems)
    tell_lost(every_store, progress)
    if problems:
        has_row = {content for content in wanted if all(content in each for each in every_store)}
        problems = {row: why for row, why in problems.items() if contents[row] not in has_row}
    return Extraction(
        computed=num_missing - len({contents[index] for index in problems}),
        reused=len(indices) - num_missing,
        problems=problems,
    )


def _fill(
    read: Callable[[int], bytes],
    contents: Sequence[str] | np.ndarray,
    missing: np.ndarray,
    prefix: Prefix,
    outputs: Sequence[str],
    stores: dict[View, dict[str, FeatureStore]],
    views: Sequence[View],
    workers: int,
    exact: ExactRows | None,
    progress: Progress,
) -> dict[int, str]:
    """Compute rows and keep them; the reason by index of the pictures that can't be read."""
    problems: dict[int, str] = {}
    run = runner(prefix, outputs)
    buffers = {view: _Buffer(stores[view]) for view in views}
    progress.start("Computing features", len(missing))
    stretches = (missing[at : at + BATCH_SIZE] for at in range(0, len(missing), BATCH_SIZE))
    workers = workers or available_cores() + 1
    for done in in_order(
        lambda some: _computed(read, some, contents, prefix.size_px, views, run),
        stretches,
        workers=workers,
        ahead=2 * workers,
    ):
        problems.update(done.problems)
        for view, rows in zip(views, done.rows, strict=bool(done.contents)):
            buffers[view].add(done.contents, rows)
        if exact is not None and done.contents:
            exact.add(done.contents, done.rows[0])
        progress.advance(len(done.contents) + len(done.problems))
    for buffer in buffers.values():
        buffer.flush()
    progress.finish()
    return problems


def _copies_of(
    failed: dict[int, str],
    contents: Sequence[str] | np.ndarray,
    indices: np.ndarray,
    tried: dict[int, str],
) -> np.ndarray:
    """For each picture that failed, another of the same content that was not tried yet."""
    if not failed:
        return np.array([], dtype=np.int64)
    wanted = {contents[index] for index in failed}
    untried: dict[str, int] = {}
    for index in indices.tolist():
        if contents[index] in wanted and index not in tried:
            untried.setdefault(contents[index], index)
    return np.array(sorted(untried.values()), dtype=np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Computed:
    """Rows of some pictures by output name, for every view."""

    contents: list[str]
    rows: list[dict[str, np.ndarray]]
    problems: list[tuple[int, str]]


def _computed(
    read: Callable[[int], bytes],
    indices: np.ndarray,
    contents: Sequence[str] | np.ndarray,
    size_px: int,
    views: Sequence[View],
    run: Run,
) -> _Computed:
    """Decode some pictures, change them and run the prefix, all of it in one thread.

    As `pawsure.model.predictor` does: cores that have each their own pictures wait for nobody.
    """
    batch = load_batch(read, indices, size_px=views[0].read_size_px(size_px))
    hashes = [contents[index] for index in batch.indices]
    seen = [_in_view(view, batch.pictures, hashes, size_px) for view in views] if hashes else []
    return _Computed(contents=hashes, rows=list(map(run, seen)), problems=batch.problems)


def _in_view(view: View, pictures: np.ndarray, contents: list[str], size_px: int) -> np.ndarray:
    """Pictures as they were read, in a view: uint8 (B, S, S, 3)."""
    if view.augmentation is None:
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


def runner(prefix: Prefix, outputs: Sequence[str]) -> Run:
    """What turns pictures into rows by output name; for many threads.

    Returns:
        A function of uint8 (B, S, S, 3), B from 1 to `BATCH_SIZE`. A picture's rows have the same
        bits whatever it is run with.
    """
    names = [name for name in outputs if name != PIXELS]
    if not names:
        return lambda pictures: {PIXELS: pictures}
    from pawsure.onnx_runtime import one_thread_session

    assert prefix.path is not None  # for the type checker: only pixels need no graph
    if graph_key(prefix.path) != prefix.key:
        raise StorageError(
            f"{prefix.path} was changed while it was used. Start the command again; it is made "
            "again where need be."
        )
    session = one_thread_session(native_path(str(prefix.path)))

    def run(pictures: np.ndarray) -> dict[str, np.ndarray]:
        # Fewer pictures may take another way through the runtime, and round otherwise.
        filled = np.concatenate([pictures, np.repeat(pictures[-1:], BATCH_SIZE, axis=0)])
        values = session.run(names, {"image": filled[:BATCH_SIZE]})
        rows = (value[: len(pictures)] for value in values)
        return {PIXELS: pictures, **dict(zip(names, rows, strict=True))}

    return run

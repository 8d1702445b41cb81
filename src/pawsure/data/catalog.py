"""The table of pictures: what there is, what it is labelled as, and what is wrong with it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from pawsure.data.entries import SPLITS, Entry, Source
from pawsure.data.file_names import as_text
from pawsure.data.files import atomic_path
from pawsure.data.images import DEFAULT_LIMITS, Limits, examine
from pawsure.data.parallel import available_cores, in_order
from pawsure.data.sources import open_source
from pawsure.data.tables import write_table
from pawsure.errors import DataError, ManifestError, PictureError, SourceError
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.wording import count

if TYPE_CHECKING:
    import pyarrow

_MAX_NAMED = 5
_PICTURES_A_TASK = 64  # reading one takes 0.1 ms: too little for a task of its own

Visit: TypeAlias = Callable[[str, bytes], None]
"""Takes the content hash and the bytes of a picture, from several threads at once; raises
`PictureError` if it finds that the picture can't be used."""

FINGERPRINT = "pawsure.fingerprint"
"""The key of `Catalog.fingerprint` in the metadata of a Parquet file."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Catalog:
    """N pictures, as parallel arrays.

    Attributes:
        source: where they come from.
        labels: the K class names, sorted.
        path: object (N,) of str, as the source lists them.
        label: int64 (N,), index into `labels`; -1 for those that have none.
        content: object (N,) of str, SHA-256 of the bytes in hex; empty if they can't be read.
        num_bytes: int64 (N,).
        width: int64 (N,), in pixels, once turned upright; 0 if unknown.
        height: int64 (N,), the same.
        format: object (N,) of str, such as "JPEG"; empty if unknown.
        problem: object (N,) of str, why a picture can't be used; empty for those that can.
        group: int64 (N,), from 0 without gaps; equal for copies of one picture.
        split: object (N,) of str, "train", "validation" or "test"; empty where none is
            assigned yet, and for what can't be used.
    """

    source: Source
    labels: tuple[str, ...]
    path: np.ndarray
    label: np.ndarray
    content: np.ndarray
    num_bytes: np.ndarray
    width: np.ndarray
    height: np.ndarray
    format: np.ndarray
    problem: np.ndarray
    group: np.ndarray
    split: np.ndarray

    def __len__(self) -> int:
        """How many pictures, those that can't be used included."""
        return len(self.path)

    def read(self, index: int) -> bytes:
        """The bytes of one picture; safe to call from many threads.

        Raises:
            PictureError: it is missing, too large, can't be read, or was changed since the catalog
                was built.
        """
        data = self.source.read(self.path[index])
        # Else another picture's features would be stored, and measured, under this one's name.
        if hashlib.sha256(data).hexdigest() != self.content[index]:
            raise PictureError("it was changed or replaced after pawsure first read it")
        return data

    def where(self, split: str | None = None) -> np.ndarray:
        """int64, the indices of a split's pictures that can be used, in order; None: of all."""
        usable = self.problem == ""
        return np.flatnonzero(usable if split is None else usable & (self.split == split))

    def counts(self) -> dict[str, dict[str, int]]:
        """How many pictures of each label each split has."""
        counts = {}
        for split in SPLITS:
            numbers = np.bincount(self.label[self.where(split)], minlength=len(self.labels))
            counts[split] = dict(zip(self.labels, numbers.tolist(), strict=True))
        return counts

    def problems(self) -> dict[str, str]:
        """Why which picture can't be used: path to reason."""
        unusable = self.problem != ""
        return dict(zip(self.path[unusable], self.problem[unusable], strict=True))

    def problem_lines(self) -> list[str]:
        """The same for people: of many pictures with one reason, the first few and a count."""
        by_reason: dict[str, list[str]] = {}
        for path, reason in self.problems().items():
            by_reason.setdefault(reason, []).append(path)
        lines = []
        for reason, paths in by_reason.items():
            lines += [f"Left out {as_text(path)}: {reason}" for path in paths[:_MAX_NAMED]]
            if len(paths) > _MAX_NAMED:
                lines.append(f"Left out {len(paths) - _MAX_NAMED:,} more: {reason}")
        return lines

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 in hex over contents, labels and splits; names and the order do not count."""
        lines = sorted(
            f"{self.content[index]} {self.split[index]} {self.labels[self.label[index]]}\n"
            for index in self.where()
        )
        return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()

    def with_problems(self, problems: Mapping[int, str]) -> Catalog:
        """A catalog in which more pictures can't be used: index to reason."""
        problem, split = self.problem.copy(), self.split.copy()
        for index, reason in problems.items():
            problem[index], split[index] = reason, ""
        return replace(self, problem=problem, split=split)

    def table(self) -> pyarrow.Table:
        """All columns as `pawsure.data.file_names.as_text`, labels by name (null where none)."""
        import pyarrow

        names = [self.labels[label] if label >= 0 else None for label in self.label]
        return pyarrow.table(
            {
                "path": _unicode(self.path),
                "label": _unicode(names),
                "split": _unicode(self.split),
                "problem": _unicode(self.problem),
                "content": _unicode(self.content),
                "group": self.group,
                "num_bytes": self.num_bytes,
                "width": self.width,
                "height": self.height,
                "format": _unicode(self.format),
            }
        )

    def to_parquet(self, path: str | Path) -> None:
        """Write `table` as a Parquet file that appears whole or not at all."""
        metadata = {FINGERPRINT: self.fingerprint}
        with atomic_path(path) as temporary:
            write_table(self.table().replace_schema_metadata(metadata), temporary)


class _Columns(NamedTuple):
    """What a catalog says of one picture, by reading it."""

    content: str = ""
    num_bytes: int = 0
    width: int = 0
    height: int = 0
    format: str = ""
    problem: str = ""


def build_catalog(
    data: str | Path | Source,
    *,
    for_training: bool = True,
    workers: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress = NO_PROGRESS,
    visit: Visit | None = None,
) -> Catalog:
    """Read every picture once, and list them; a few are in memory at a time.

    Args:
        data: see `open_source`; or a source that is open already.
        for_training: whether to call `check_trainable`.
        workers: threads; one for each core by default.
        limits: for every picture.
        progress: told of every picture.
        visit: called with every picture that can be read, so that nobody has to read it again.

    Returns:
        A catalog with the splits that the source gives; see `pawsure.data.split.assign_splits`
        for the rest. Pictures that can't be read have a `problem`.

    Raises:
        SourceError: there is no such data, or they hold no labelled pictures.
        ManifestError: a manifest is malformed, or none of its files exist.
        DataError: none can be read, or training would not work.
    """
    source = (
        open_source(data, limits=limits, progress=progress)
        if isinstance(data, (str, Path))
        else data
    )
    entries = source.entries
    if not entries:
        raise SourceError(f"{source.name} holds no pictures.")
    columns = _read_all(source, limits, workers or available_cores(), progress, visit)
    catalog = _catalog(source, entries, columns)
    _check_some_readable(catalog)
    if for_training:
        check_trainable(catalog)
    return catalog


def check_trainable(catalog: Catalog) -> None:
    """Make sure that a classifier can be trained on a catalog.

    Raises:
        DataError: there are fewer than two labels, a label has fewer than two different
            pictures that can be read, or has none in the training split that was given.
    """
    if len(catalog.labels) < 2:
        raise DataError(
            f"All {len(catalog):,} pictures of {catalog.source.name} have the same label, "
            f"'{catalog.labels[0]}'. A classifier tells two or more apart: add pictures of "
            "something else, in a folder of their own."
        )
    for label, name in enumerate(catalog.labels):
        indices = np.flatnonzero(catalog.label == label)
        is_usable = catalog.problem[indices] == ""
        _check_enough(catalog, name, indices[is_usable], indices[~is_usable])
        splits = set(catalog.split[indices[is_usable]].tolist())
        if not splits & {"train", ""}:
            raise DataError(
                f"'{name}' is seen only in the {' and '.join(sorted(splits))} split of "
                f"{catalog.source.name}, so it can't be learned. Put pictures of it into the train "
                "split, or take it out."
            )


def _check_enough(catalog: Catalog, name: str, usable: np.ndarray, unusable: np.ndarray) -> None:
    different = len(set(catalog.group[usable].tolist()))
    if different >= 2:
        return
    unread = ""
    if len(unusable):
        first = unusable[0]
        unread = (
            f" ({len(unusable):,} can't be; the first, {catalog.path[first]}: "
            f"{catalog.problem[first]})"
        )
    raise DataError(
        f"'{name}' has {count(different, 'different picture')} that can be read{unread}. At least "
        f"2 are needed, to learn from one and measure on the other: add pictures, or leave "
        f"'{name}' out."
    )


def _check_some_readable(catalog: Catalog) -> None:
    if (catalog.problem == "").any():
        return
    first = f"{catalog.path[0]}: {catalog.problem[0]}"
    missing = catalog.problem == "there is no such file"
    if catalog.source.kind == "manifest" and missing.all():
        raise ManifestError(
            f"None of the {len(catalog):,} files that {catalog.source.name} lists exist (the "
            f"first: {catalog.path[0]}). Paths are relative to the folder of the manifest."
        )
    raise DataError(
        f"None of the {len(catalog):,} pictures of {catalog.source.name} can be read. The first "
        f"is {first}."
    )


def _read_all(
    source: Source, limits: Limits, workers: int, progress: Progress, visit: Visit | None
) -> Iterator[_Columns]:
    entries = source.entries
    tasks = (
        entries[start : start + _PICTURES_A_TASK]
        for start in range(0, len(entries), _PICTURES_A_TASK)
    )

    def read_some(entries: Sequence[Entry]) -> list[_Columns]:
        return [_read_one(source, entry, limits, visit) for entry in entries]

    progress.start("Reading pictures", len(entries))
    try:
        for columns in in_order(read_some, tasks, workers=workers, ahead=2 * workers):
            yield from columns
            progress.advance(len(columns))
    finally:
        progress.finish()


def _read_one(source: Source, entry: Entry, limits: Limits, visit: Visit | None) -> _Columns:
    if entry.problem:
        return _Columns(problem=entry.problem)
    try:
        data = source.read(entry.path)
    except PictureError as exc:
        return _Columns(problem=exc.reason)
    content = hashlib.sha256(data).hexdigest()
    try:
        info = examine(data, limits=limits)
        if visit is not None:
            visit(content, data)
    except PictureError as exc:
        return _Columns(content=content, num_bytes=len(data), problem=exc.reason)
    return _Columns(content, len(data), info.width, info.height, info.format)


def _catalog(source: Source, entries: Sequence[Entry], columns: Iterator[_Columns]) -> Catalog:
    content, num_bytes, width, height, format, problem = zip(*columns, strict=True)
    labels = tuple(sorted({entry.label for entry in entries if entry.label is not None}))
    index = {label: number for number, label in enumerate(labels)} | {None: -1}
    splits = [
        "" if reason else entry.split or "" for entry, reason in zip(entries, problem, strict=True)
    ]
    # In order of appearance; what could not be read is like nothing else.
    groups: dict[str | int, int] = {}
    group = [groups.setdefault(key or at, len(groups)) for at, key in enumerate(content)]
    return Catalog(
        source=source,
        labels=labels,
        path=np.array([entry.path for entry in entries], dtype=object),
        label=np.array([index[entry.label] for entry in entries], dtype=np.int64),
        content=np.array(content, dtype=object),
        num_bytes=np.array(num_bytes, dtype=np.int64),
        width=np.array(width, dtype=np.int64),
        height=np.array(height, dtype=np.int64),
        format=np.array(format, dtype=object),
        problem=np.array(problem, dtype=object),
        group=np.array(group, dtype=np.int64),
        split=np.array(splits, dtype=object),
    )


def _unicode(values: Iterable[str | None]) -> list[str | None]:
    return [None if value is None else as_text(value) for value in values]

"""The table of pictures: what there is, what it is labelled as, and what is wrong with it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

import numpy as np

from pawsure.data.entries import SPLITS, Entry, Source
from pawsure.data.file_names import as_text
from pawsure.data.files import atomic_path
from pawsure.data.images import DEFAULT_LIMITS, Limits, examine
from pawsure.data.parallel import available_cores, in_order
from pawsure.data.sources import open_source
from pawsure.data.tables import read_schema, write_table
from pawsure.errors import DataError, ManifestError, PictureError, SourceError
from pawsure.progress import NO_PROGRESS, Progress

if TYPE_CHECKING:
    import pyarrow

_MOST_NAMED = 5
_PICTURES_A_TASK = 64  # reading one takes 0.1 ms: too little to hand over one by one

_Part = TypeVar("_Part")


Visit: TypeAlias = Callable[[str, bytes], None]
"""Takes the content hash and the bytes of a picture, from several threads at once; raises
`PictureError` if it finds that the picture can't be used."""

_FINGERPRINT = "pawsure.fingerprint"
"""Where a catalog's Parquet file says what it holds, in its metadata."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Catalog:
    """N pictures, one in each row of parallel arrays.

    Attributes:
        source: where they come from.
        labels: the K class names, sorted.
        path: object (N,) of str, as the source names them.
        label: int64 (N,), index into `labels`; -1 for those that have none.
        content: object (N,) of str, SHA-256 of the bytes in hex; empty if they can't be had.
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
            PictureError: it is gone, too large, can't be read, or is not what it was when the
                catalog was made.
        """
        data = self.source.read(self.path[index])
        # Else another picture's features would be kept, and measured, under this one's name.
        if hashlib.sha256(data).hexdigest() != self.content[index]:
            raise PictureError("it was changed or replaced after pawsure first looked at it")
        return data

    def where(self, split: str | None = None) -> np.ndarray:
        """int64, the rows of a split that can be used, in order; all splits for None."""
        usable = self.problem == ""
        return np.flatnonzero(usable if split is None else usable & (self.split == split))

    def counts(self) -> dict[str, dict[str, int]]:
        """How many pictures of each label each split has."""
        return {
            split: dict(
                zip(
                    self.labels,
                    np.bincount(self.label[self.where(split)], minlength=len(self.labels)).tolist(),
                    strict=True,
                )
            )
            for split in SPLITS
        }

    def problems(self) -> dict[str, str]:
        """Why which picture can't be used: path to reason."""
        rows = np.flatnonzero(self.problem != "")
        return {self.path[row]: self.problem[row] for row in rows}

    def problem_lines(self) -> list[str]:
        """The same for people: of many pictures with one reason, the first few and a count."""
        together: dict[str, list[str]] = {}
        for path, reason in self.problems().items():
            together.setdefault(reason, []).append(path)
        lines = []
        for reason, paths in together.items():
            lines += [f"Left out {as_text(path)}: {reason}" for path in paths[:_MOST_NAMED]]
            if len(paths) > _MOST_NAMED:
                lines.append(f"Left out {len(paths) - _MOST_NAMED:,} more: {reason}")
        return lines

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 in hex over what is learned from: contents, labels and splits.

        Neither names nor the order of files count.
        """
        lines = sorted(
            f"{self.content[row]} {self.split[row]} {self.labels[self.label[row]]}\n"
            for row in self.where()
        )
        return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()

    def with_problems(self, problems: Mapping[int, str]) -> Catalog:
        """A catalog in which more pictures can't be used: row to reason."""
        problem, split = self.problem.copy(), self.split.copy()
        for row, reason in problems.items():
            problem[row], split[row] = reason, ""
        return replace(self, problem=problem, split=split)

    def table(self) -> pyarrow.Table:
        """All columns, labels by name (null where there is none).

        Names that are no valid Unicode are as `pawsure.data.file_names.as_text` writes them.
        """
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
        with atomic_path(path) as temporary:
            told = {_FINGERPRINT: self.fingerprint}
            table = self.table().replace_schema_metadata(told)
            write_table(table, temporary)


def recorded_fingerprint(path: str | Path) -> str | None:
    """The fingerprint of the catalog that was written to a Parquet file.

    Returns:
        None if there is no such file, or it does not say.
    """
    if not Path(path).is_file():
        return None
    told = read_schema(path).metadata or {}
    fingerprint = told.get(_FINGERPRINT.encode())
    return None if fingerprint is None else str(fingerprint, "ascii")


class _Look(NamedTuple):
    """What reading one picture told."""

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
    """Look at every picture once, and list what there is.

    Every file is read, hashed and let go; a few are in memory at a time. What can't be read
    is kept as a row with a `problem`.

    Args:
        data: see `open_source`; or a source that is open already.
        for_training: whether to insist on what training needs, by `check_trainable`.
        workers: threads; one for each core by default.
        limits: that every picture must keep.
        progress: told of every picture.
        visit: is given what every picture that can be read is made of, so that nobody else has
            to read it again.

    Returns:
        A catalog whose splits are those that the source gives, if it does; see
        `pawsure.data.split.assign_splits` for the rest.

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
    looks = _look_at_all(source, limits, workers or available_cores(), progress, visit)
    catalog = _from_looks(source, entries, looks)
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
        _check_enough(catalog, label, name)
        _check_in_train(catalog, label, name)


def _check_enough(catalog: Catalog, label: int, name: str) -> None:
    rows = np.flatnonzero(catalog.label == label)
    usable = rows[catalog.problem[rows] == ""]
    different = len(set(catalog.group[usable].tolist()))
    if different >= 2:
        return
    unusable = rows[catalog.problem[rows] != ""]
    told = [f"'{name}' has {_count(different, 'different picture')} that can be read"]
    if len(unusable):
        first = unusable[0]
        told.append(
            f" ({len(unusable):,} can't be; the first, {catalog.path[first]}: "
            f"{catalog.problem[first]})"
        )
    told.append(". At least 2 are needed, to learn from one and measure on the other: add ")
    told.append(f"pictures, or leave '{name}' out.")
    raise DataError("".join(told))


def _check_in_train(catalog: Catalog, label: int, name: str) -> None:
    rows = catalog.where()
    splits = set(catalog.split[rows[catalog.label[rows] == label]].tolist())
    if not splits & {"train", ""}:
        raise DataError(
            f"'{name}' is seen only in the {' and '.join(sorted(splits))} split of "
            f"{catalog.source.name}, so it can't be learned. Put pictures of it into the train "
            "split, or take it out."
        )


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


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


def _look_at_all(
    source: Source, limits: Limits, workers: int, progress: Progress, visit: Visit | None
) -> Iterator[_Look]:
    def look_at_some(entries: Sequence[Entry]) -> list[_Look]:
        return [_look_at(source, entry, limits, visit) for entry in entries]

    progress.start("Looking at pictures", len(source.entries))
    try:
        tasks = _in_parts(iter(source.entries), _PICTURES_A_TASK)
        for looks in in_order(look_at_some, tasks, workers=workers, ahead=2 * workers):
            yield from looks
            progress.advance(len(looks))
    finally:
        progress.finish()


def _in_parts(items: Iterator[_Part], size: int) -> Iterator[list[_Part]]:
    while part := list(islice(items, size)):
        yield part


def _look_at(source: Source, entry: Entry, limits: Limits, visit: Visit | None) -> _Look:
    if entry.problem:
        return _Look(problem=entry.problem)
    try:
        data = source.read(entry.path)
    except PictureError as exc:
        return _Look(problem=exc.reason)
    content = hashlib.sha256(data).hexdigest()
    try:
        info = examine(data, limits=limits)
        if visit is not None:
            visit(content, data)
    except PictureError as exc:
        return _Look(content=content, num_bytes=len(data), problem=exc.reason)
    return _Look(content, len(data), info.width, info.height, info.format)


def _from_looks(source: Source, entries: Sequence[Entry], looks: Iterator[_Look]) -> Catalog:
    columns = list(zip(*looks, strict=True))
    content, num_bytes, width, height, format, problem = columns
    labels = tuple(sorted({entry.label for entry in entries if entry.label is not None}))
    index = {label: number for number, label in enumerate(labels)} | {None: -1}
    splits = [
        "" if said else entry.split or "" for entry, said in zip(entries, problem, strict=True)
    ]
    return Catalog(
        source=source,
        labels=labels,
        path=_objects([entry.path for entry in entries]),
        label=np.array([index[entry.label] for entry in entries], dtype=np.int64),
        content=_objects(content),
        num_bytes=np.array(num_bytes, dtype=np.int64),
        width=np.array(width, dtype=np.int64),
        height=np.array(height, dtype=np.int64),
        format=_objects(format),
        problem=_objects(problem),
        group=_groups(content),
        split=_objects(splits),
    )


def _groups(content: Sequence[str]) -> np.ndarray:
    """Numbers in order of appearance; what could not be read is like nothing else."""
    numbers: dict[str | int, int] = {}
    return np.array(
        [numbers.setdefault(key or row, len(numbers)) for row, key in enumerate(content)],
        dtype=np.int64,
    )


def _objects(values: Sequence[str]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _unicode(values: Sequence[str | None] | np.ndarray) -> list[str | None]:
    return [None if value is None else as_text(value) for value in values]

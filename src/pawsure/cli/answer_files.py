"""Files of answers that are there only when all of them are, and that can be gone on with.

While `answers.csv` is being written there is a folder `answers.csv.partial` beside it, with the
rows so far and with what they came from. Once the last row is written the file gets its name and
the folder goes. What was cut off, by whatever, is gone on with by `--resume`: rows that are not
whole are dropped, and so are those behind the last whole batch, so that each picture goes through
the network in the same company as without the cut, and gets the same answer to the last bit.
"""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pawsure.cli import screen
from pawsure.cli.answer_rows import Record, Rows
from pawsure.errors import UsageError
from pawsure.model.answer import Answer, Failure
from pawsure.wording import printable

_STATE = "state.json"
_JOURNAL = "checksums"
_FLUSH_EVERY_S = 1.0

_DIFFERENT = {
    "format": "another kind of file",
    "model": "another model file",
    "columns": "other columns",
    "pictures": "other PATHs",
    "batch_size": "another --batch-size",
}
"""What `settings` hold, and what to call it when it differs."""


class AnswerFile:
    """A file of answers on its way; made by `answer_file`.

    Attributes:
        tally: how often each answer was given, "" for pictures that could not be read; with
            those that were there already.
        resumed: how many rows were there already.
    """

    def __init__(
        self, file: BinaryIO, journal: BinaryIO, rows: Rows, kept: _Kept, batch_size: int
    ) -> None:
        self.tally = kept.tally
        self.resumed = self.tally.total()
        self._file = file
        self._journal = journal
        self._rows = rows
        self._batch_size = batch_size
        self._answered = kept.answered
        self._end, self._checksum = kept.end, kept.checksum
        if not kept.end:
            self._append(rows.header())
        self._flushed_at = time.monotonic()

    def left(self, pictures: Iterable[Path]) -> Iterator[Path]:
        """Those of the pictures that have no row yet; one named twice has two."""
        if self._answered is None:
            yield from pictures
            return
        found, times = np.unique(self._answered, return_counts=True)
        for picture in pictures:
            mark = hash(os.fspath(picture))
            at = int(np.searchsorted(found, mark))
            if at < len(found) and found[at] == mark and times[at]:
                times[at] -= 1
            else:
                yield picture

    def write(self, result: Answer | Failure) -> None:
        """Append a row."""
        self._append(self._rows.row(result))
        self.tally[result.answer if isinstance(result, Answer) else ""] += 1
        if self.tally.total() % self._batch_size == 0:
            self._file.flush()
            self._journal.write(_noted(self._end, self._checksum))
        if time.monotonic() - self._flushed_at > _FLUSH_EVERY_S:
            self._file.flush()
            self._flushed_at = time.monotonic()

    def _append(self, content: bytes) -> None:
        self._file.write(content)
        self._end += len(content)
        self._checksum = zlib.crc32(content, self._checksum)


@contextmanager
def answer_file(
    out: Path, rows: Rows, settings: dict[str, Any], *, resume: bool
) -> Iterator[AnswerFile]:
    """Give a file to write answers to, which gets its name if all goes well.

    If not, what was written stays beside it, for `resume`.

    Args:
        out: the file; one that exists is replaced.
        rows: what kind of file.
        settings: what decides the rows, by the names in `_DIFFERENT`.
        resume: go on with what is unfinished, if anything is.

    Raises:
        UsageError: something unfinished is there and `resume` was not asked for, or it was made
            otherwise; another process is at it; or the file can't be written.
    """
    folder = partial_folder(out)
    with _named_errors(out):
        folder.mkdir(exist_ok=True)
        with _alone(folder):
            if not resume:
                _refuse_to_lose(folder, rows)
            try:
                with _rows_file(folder, rows, settings) as answers:
                    yield answers
            except BaseException:
                if not _has_rows(folder, rows):
                    shutil.rmtree(folder, ignore_errors=True)
                raise
            finished = rows.finish(folder / rows.name)
            _flush(finished)
            os.replace(finished, out)
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _rows_file(folder: Path, rows: Rows, settings: dict[str, Any]) -> Iterator[AnswerFile]:
    if _has_rows(folder, rows):
        _check_settings(folder, settings)
    batch_size = settings["batch_size"]
    with (
        (folder / rows.name).open("a+b") as file,
        (folder / _JOURNAL).open("a+b", buffering=0) as journal,
    ):
        _keep_settings(folder, settings)
        journal.seek(0)
        notes = [line for line in journal.read().splitlines(keepends=True) if line.endswith(b"\n")]
        kept = _kept(file, rows, batch_size, notes)
        if kept.num_batches < len(notes):
            screen.note(
                f"The answers in {folder} are damaged from row {kept.tally.total() + 1:,} on; "
                "those pictures are answered again."
            )
        file.truncate(kept.end)
        journal.truncate(sum(map(len, notes[: kept.num_batches])))
        yield AnswerFile(file, journal, rows, kept, batch_size)


def partial_folder(out: Path) -> Path:
    """Where the rows of a file are while it is not finished."""
    return out.with_name(out.name + ".partial")


def is_finished(out: Path) -> bool:
    """Whether a file is there with nothing unfinished beside it.

    A kill in the last moment may have left the folder without rows; it is taken away.
    """
    folder = partial_folder(out)
    if not out.is_file() or any(folder.glob("rows.*")):
        return False
    shutil.rmtree(folder, ignore_errors=True)
    return True


class _Kept:
    """What of an unfinished file is gone on with."""

    def __init__(self) -> None:
        self.end = 0
        self.checksum = 0
        self.num_batches = 0
        self.tally: Counter[str] = Counter()
        self.answered: np.ndarray | None = None


def _kept(file: BinaryIO, rows: Rows, batch_size: int, notes: list[bytes]) -> _Kept:
    """The rows of whole batches; of each path a hash, 8 bytes, is kept in memory."""
    kept = _Kept()
    kept.num_batches, kept.end, kept.checksum = _sound_batches(file, notes)
    file.seek(0)
    records = islice(rows.records(file), kept.num_batches * batch_size)

    def marks() -> Iterator[int]:
        for record in records:
            kept.tally[record.answer] += 1
            yield _mark(record)

    answered = np.fromiter(marks(), dtype=np.int64)
    kept.answered = answered if len(answered) else None
    return kept


def _sound_batches(file: BinaryIO, notes: list[bytes]) -> tuple[int, int, int]:
    """How many batches are as they were written, where they end, and their checksum."""
    file.seek(0)
    end = checksum = 0
    for number, note in enumerate(notes):
        told = note[: note.find(b" ")]
        there = int(told) if told.isdigit() else 0
        content = file.read(max(0, there - end))
        found = zlib.crc32(content, checksum)
        if not content or note != _noted(end + len(content), found):
            return number, end, checksum
        end, checksum = there, found
    return len(notes), end, checksum


def _noted(end: int, checksum: int) -> bytes:
    """A line of the journal: where a batch ends, and the CRC-32 of all rows up to there."""
    return b"%d %08x\n" % (end, checksum)


def _mark(record: Record) -> int:
    return hash(record.path)


def _has_rows(folder: Path, rows: Rows) -> bool:
    """Whether there is more than a header in an unfinished file."""
    return any(path.stat().st_size > len(rows.header()) for path in folder.glob("rows.*"))


def _refuse_to_lose(folder: Path, rows: Rows) -> None:
    if _has_rows(folder, rows):
        raise UsageError(
            f"{folder} holds answers of a run that was cut off. Go on with it: add --resume. To "
            f"start again without them: {_removal(folder)}"
        )


def _check_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Refuse to go on with what was begun otherwise."""
    from pawsure.data.checksums import read_checked_json

    begun = read_checked_json(folder / _STATE)
    if begun is None:
        raise UsageError(
            f"{folder / _STATE}, which says what the answers beside it came from, is missing or "
            f"damaged. Start again: {_removal(folder)}"
        )
    for name, told in _DIFFERENT.items():
        if begun.get(name) != settings[name]:
            raise UsageError(
                f"{folder} was begun with {told}: {_short(begun.get(name))}, not "
                f"{_short(settings[name])}. Give the same again, or start again without its "
                f"answers: {_removal(folder)}"
            )


def _keep_settings(folder: Path, settings: dict[str, Any]) -> None:
    from pawsure.data.checksums import write_checked_json

    write_checked_json(folder / _STATE, settings)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    from pawsure.data.locks import exclusive

    def refuse() -> None:
        raise UsageError(
            f"Another process is writing {folder.name.removesuffix('.partial')}. Wait for it, or "
            "name another file."
        )

    with exclusive(folder / "lock", waiting=refuse):
        yield


@contextmanager
def _named_errors(out: Path) -> Iterator[None]:
    """Say of a file that can't be written why; what is written already stays."""
    try:
        yield
    except OSError as exc:
        if exc.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS):
            raise
        raise UsageError(
            f"{out} can't be written: {exc.strerror}. Make room or choose another place; what was "
            "answered so far is kept, and --resume goes on with it."
        ) from exc


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _removal(folder: Path) -> str:
    return f"rm -r {shlex.quote(str(folder))}"


def _short(value: object) -> str:
    """A setting in a message: long ones by their beginning."""
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    text = printable(text)
    return text if len(text) <= 60 else f"{text[:57]}…"

"""Files of answers that appear only when they are complete, and that can be resumed.

While `answers.csv` is being written there is a folder `answers.csv.partial` beside it, with the
rows so far and the settings of the run. After the last row the file gets its name and the folder
is removed. `--resume` continues an interrupted file: incomplete rows are dropped, and those after
the last complete batch, so that each picture is in the same batch as without the interruption
and gets the same answer to the last bit.
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
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pawsure.cli import screen
from pawsure.cli.answer_rows import Rows
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
"""The keys of `settings`, and what to call each where it differs."""


@dataclass
class _Written:
    """The sound part of an unfinished file."""

    end: int = 0
    checksum: int = 0
    num_batches: int = 0
    tally: Counter[str] = field(default_factory=Counter)
    answered: np.ndarray | None = None  # a hash of each path


class AnswerFile:
    """An unfinished file of answers; see `answer_file`.

    Attributes:
        tally: how often each answer was given, "" for unreadable pictures; resumed rows count.
        resumed: how many rows were there already.
    """

    def __init__(
        self, file: BinaryIO, journal: BinaryIO, rows: Rows, written: _Written, batch_size: int
    ) -> None:
        self.tally = written.tally
        self.resumed = self.tally.total()
        self._file = file
        self._journal = journal
        self._rows = rows
        self._batch_size = batch_size
        self._answered = written.answered
        self._end, self._checksum = written.end, written.checksum
        if not written.end:
            self._append(rows.header())
        self._flushed_at = time.monotonic()

    def left(self, pictures: Iterable[Path]) -> Iterator[Path]:
        """The pictures that have no row yet; one named twice has two."""
        if self._answered is None:
            yield from pictures
            return
        marks, times = np.unique(self._answered, return_counts=True)
        for picture in pictures:
            mark = hash(os.fspath(picture))
            at = int(np.searchsorted(marks, mark))
            if at < len(marks) and marks[at] == mark and times[at]:
                times[at] -= 1
            else:
                yield picture

    def write(self, result: Answer | Failure) -> None:
        """Append a row."""
        self._append(self._rows.row(result))
        self.tally[result.answer if isinstance(result, Answer) else ""] += 1
        if self.tally.total() % self._batch_size == 0:
            self._file.flush()
            self._journal.write(_journal_line(self._end, self._checksum))
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
        rows: the kind of file.
        settings: what decides the rows, by the keys of `_DIFFERENT`.
        resume: continue an unfinished file, if there is one.

    Raises:
        UsageError: there is an unfinished file and not `resume`, or it has other settings;
            another process is writing it; or it can't be written.
    """
    folder = partial_folder(out)
    with _named_errors(out):
        folder.mkdir(exist_ok=True)
        with _alone(folder):
            if not resume and _has_rows(folder, rows):
                raise UsageError(
                    f"{folder} holds answers of an interrupted run. Resume it: add --resume. To "
                    f"start again without them: {_removal(folder)}"
                )
            try:
                with _rows_file(folder, rows, settings) as answers:
                    yield answers
            except BaseException:
                if not _has_rows(folder, rows):
                    shutil.rmtree(folder, ignore_errors=True)
                raise
            finished = rows.finish(folder / rows.name)
            with finished.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(finished, out)
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _rows_file(folder: Path, rows: Rows, settings: dict[str, Any]) -> Iterator[AnswerFile]:
    from pawsure.data.checksums import write_checked_json

    if _has_rows(folder, rows):
        _check_settings(folder, settings)
    batch_size = settings["batch_size"]
    with (
        (folder / rows.name).open("a+b") as file,
        (folder / _JOURNAL).open("a+b", buffering=0) as journal,
    ):
        write_checked_json(folder / _STATE, settings)
        journal.seek(0)
        lines = [line for line in journal.read().splitlines(keepends=True) if line.endswith(b"\n")]
        written = _sound_batches(file, lines)
        if written.num_batches:
            _read_rows(file, rows, batch_size, written)
        if written.num_batches < len(lines):
            screen.note(
                f"The answers in {folder} are damaged from row {written.tally.total() + 1:,} on; "
                "those pictures are answered again."
            )
        file.truncate(written.end)
        journal.truncate(sum(map(len, lines[: written.num_batches])))
        yield AnswerFile(file, journal, rows, written, batch_size)


def partial_folder(out: Path) -> Path:
    """The folder of an unfinished file."""
    return out.with_name(out.name + ".partial")


def is_finished(out: Path) -> bool:
    """Whether a file exists and nothing unfinished is beside it.

    A kill in the last moment may have left the folder without rows; it is removed.
    """
    folder = partial_folder(out)
    if not out.is_file() or any(folder.glob("rows.*")):
        return False
    shutil.rmtree(folder, ignore_errors=True)
    return True


def _sound_batches(file: BinaryIO, lines: list[bytes]) -> _Written:
    """The batches that are as they were written."""
    written = _Written()
    file.seek(0)
    for line in lines:
        number = line[: line.find(b" ")]
        end = int(number) if number.isdigit() else 0
        content = file.read(max(0, end - written.end))
        checksum = zlib.crc32(content, written.checksum)
        if not content or line != _journal_line(written.end + len(content), checksum):
            break
        written.end, written.checksum = end, checksum
        written.num_batches += 1
    return written


def _read_rows(file: BinaryIO, rows: Rows, batch_size: int, written: _Written) -> None:
    """Count the answers of the sound batches, and keep 8 bytes of each path."""

    def marks() -> Iterator[int]:
        for record in islice(rows.records(file), written.num_batches * batch_size):
            written.tally[record.answer] += 1
            yield hash(record.path)

    file.seek(0)
    written.answered = np.fromiter(marks(), dtype=np.int64)


def _journal_line(end: int, checksum: int) -> bytes:
    """Where a batch ends, and the CRC-32 of all rows up to there."""
    return b"%d %08x\n" % (end, checksum)


def _has_rows(folder: Path, rows: Rows) -> bool:
    """Whether an unfinished file has more than a header."""
    return any(path.stat().st_size > len(rows.header()) for path in folder.glob("rows.*"))


def _check_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Refuse to resume with other settings."""
    from pawsure.data.checksums import read_checked_json

    begun = read_checked_json(folder / _STATE)
    if begun is None:
        raise UsageError(
            f"{folder / _STATE}, the settings of the interrupted run, is missing or damaged. Start "
            f"again: {_removal(folder)}"
        )
    for name, title in _DIFFERENT.items():
        if begun.get(name) != settings[name]:
            raise UsageError(
                f"{folder} was begun with {title}: {_short(begun.get(name))}, not "
                f"{_short(settings[name])}. Give the same again, or start again without its "
                f"answers: {_removal(folder)}"
            )


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
    """Say why a file can't be written."""
    try:
        yield
    except OSError as exc:
        if exc.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS):
            raise
        raise UsageError(
            f"{out} can't be written: {exc.strerror}. Free some space or choose another place; the "
            "answers so far are saved, and --resume continues them."
        ) from exc


def _removal(folder: Path) -> str:
    return f"rm -r {shlex.quote(str(folder))}"


def _short(value: object) -> str:
    """A setting in a message, shortened."""
    text = printable(", ".join(map(str, value)) if isinstance(value, list) else str(value))
    return text if len(text) <= 60 else f"{text[:57]}…"

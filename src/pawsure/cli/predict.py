"""`pawsure predict`: answers for files and folders of pictures."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pawsure.cli import screen
from pawsure.cli.exit_codes import ExitCode
from pawsure.errors import UsageError
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.wording import agreeing, count

if TYPE_CHECKING:
    from pawsure.cli.answer_files import AnswerFile
    from pawsure.cli.answer_rows import Rows
    from pawsure.cli.answer_text import WriteAnswer
    from pawsure.cli.evidence_files import EvidenceFolder
    from pawsure.model.predictor import Predictor


_MEASURED = 1_000  # pictures whose names are looked at to line up columns
_BATCH_SIZE = 8  # that of pawsure.model.predictor, which would take long to import for it
_STEPS = 16  # pictures a step of the bar: a step takes as long as a hundredth of an answer

EXAMPLE = "Example: pawsure predict photos/ --model runs/pets/model.onnx"


def predict(
    paths: Annotated[
        list[Path],
        # One that may not be read is answered for like any other that can't be.
        typer.Argument(
            metavar="PATH…", readable=False, help="Pictures, and folders to search for pictures."
        ),
    ],
    model: Annotated[
        Path | None, typer.Option(help="A model file, or the run folder that holds one.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, for machines.")
    ] = False,
    csv: Annotated[Path | None, typer.Option(help="Write a CSV file.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="Write a Parquet file.")] = None,
    jsonl: Annotated[
        Path | None, typer.Option(help="Write a file with one JSON object a line.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a file of a run that was cut off.")
    ] = False,
    evidence: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Draw into this folder what in each picture spoke for its answer."
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures a forward pass.")] = _BATCH_SIZE,
) -> None:
    """Say what is in pictures.

    Exit code: 0 when all were answered, 3 when some could not be read.
    """
    kind, file = _destination(as_json, {"csv": csv, "parquet": parquet, "jsonl": jsonl})
    if resume:
        _check_resumable(file, evidence)

    from pawsure.data.listing import count_pictures, iter_pictures
    from pawsure.data.skipped import Skipped
    from pawsure.model.onboard import ON_BOARD, check_model
    from pawsure.model.predictor import load

    check_model(model)
    skipped = Skipped()
    total = count_pictures(paths, skipped)
    # A pass of its own on each core answers most; for a single picture all cores share one.
    predictor = load(model, threads=None if total == 1 else 1)
    if evidence is not None and not predictor.tells_places:
        raise UsageError(
            f"{predictor.path.name} has no heat maps: its network gives one set of features for "
            "the whole picture. Leave --evidence out."
        )
    if resume and file is not None and _finished(file):
        return
    tally: Counter[str] = Counter()
    try:
        with (
            _answers(kind, file, predictor, paths, batch_size, resume=resume) as answers,
            _drawing(evidence, paths) as drawn,
            _counted(total - answers.resumed, shown=_bar_is_of_use(file)) as progress,
            closing(
                predictor.predict_paths(
                    answers.left(iter_pictures(paths)),
                    batch_size=batch_size,
                    evidence=drawn is not None,
                )
            ) as results,
        ):
            tally = answers.tally
            for number, result in enumerate(results, start=1):
                answers.write(result)
                if drawn is not None:
                    drawn.write(result)
                if number % _STEPS == 0:
                    progress.advance(_STEPS)
    except KeyboardInterrupt:
        _tell_stopped(tally.total(), total, file)
        raise typer.Exit(ExitCode.STOPPED) from None
    if drawn is not None:
        screen.note(
            f"{count(len(drawn), 'heat map')} {agreeing(len(drawn), 'is', 'are')} in {evidence}: "
            "warm for the answer, blue against."
        )
    skipped.unsearchable.clear()  # each of them has a row with its error
    for sentence in skipped.sentences():
        screen.note(sentence)
    if not as_json:
        _close(tally, model or Path(ON_BOARD[0]), file, paths)
    if tally[""]:
        raise typer.Exit(ExitCode.SOME_PICTURES)


def _destination(as_json: bool, files: dict[str, Path | None]) -> tuple[str, Path | None]:
    """The option that says where answers go, and the file that it names, if it does."""
    given = [(f"--{name}", file) for name, file in files.items() if file is not None]
    options = ["--json"] * as_json + [option for option, _ in given]
    if len(options) > 1:
        raise UsageError(f"Choose one of {', '.join(options)}: answers go to one place.")
    if not given:
        return "".join(options), None
    option, file = given[0]
    if not file.absolute().parent.is_dir():
        raise UsageError(
            f"There is no folder {file.parent} to write {file.name} into. Make it first."
        )
    if file.is_dir():
        raise UsageError(f"{file} is a folder. Name a file to write answers to.")
    return option, file


def _check_resumable(file: Path | None, evidence: Path | None) -> None:
    if file is None:
        raise UsageError(
            "--resume goes on with a file: name the one that was cut off by --csv, --parquet or "
            "--jsonl."
        )
    if evidence is not None:
        raise UsageError(
            "--resume goes on with tables, not with heat maps. Leave --evidence out, or start "
            "again without --resume."
        )


def _finished(file: Path) -> bool:
    """Whether there is nothing to go on with, which is told."""
    from pawsure.cli.answer_files import is_finished

    finished = is_finished(file)
    if finished:
        screen.note(
            f"{file} is finished, and nothing unfinished lies beside it. Without --resume it is "
            "written anew."
        )
    return finished


class _Screen:
    """Answers that go to standard output."""

    resumed = 0

    def __init__(self, write: WriteAnswer) -> None:
        self.tally: Counter[str] = Counter()
        self._write = write

    def left(self, pictures: Iterator[Path]) -> Iterator[Path]:
        return pictures

    def write(self, result: Any) -> None:
        self._write(result)
        self.tally[getattr(result, "answer", "")] += 1


@contextmanager
def _answers(
    kind: str,
    file: Path | None,
    predictor: Predictor,
    paths: Sequence[Path],
    batch_size: int,
    *,
    resume: bool,
) -> Iterator[AnswerFile | _Screen]:
    """Where answers go."""
    if file is None:
        yield _Screen(_written_out(kind, paths, predictor.labels))
        return
    from pawsure.cli.answer_files import answer_file
    from pawsure.cli.answer_rows import columns

    settings = {
        "format": kind,
        "model": f"sha256 {_digest(predictor.path)}",
        "columns": columns(predictor.labels),
        "pictures": [os.fspath(path) for path in paths],
        "batch_size": batch_size,
    }
    with answer_file(file, _rows(kind, predictor.labels), settings, resume=resume) as answers:
        yield answers


def _written_out(kind: str, paths: Sequence[Path], labels: Sequence[str]) -> WriteAnswer:
    from pawsure.cli.answer_text import json_lines, text_lines

    if kind == "--json":
        return json_lines
    from pawsure.data.listing import iter_pictures

    return text_lines(list(islice(iter_pictures(paths), _MEASURED)), labels)


def _rows(kind: str, labels: Sequence[str]) -> Rows:
    from pawsure.cli.answer_rows import CsvRows, JsonRows, ParquetRows

    if kind == "--csv":
        return CsvRows(labels)
    return JsonRows() if kind == "--jsonl" else ParquetRows(labels)


def _digest(path: Path) -> str:
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _bar_is_of_use(file: Path | None) -> bool:
    """Answers on a screen show by themselves how far it is."""
    return sys.stderr.isatty() and (file is not None or not sys.stdout.isatty())


@contextmanager
def _drawing(folder: Path | None, paths: Sequence[Path]) -> Iterator[EvidenceFolder | None]:
    if folder is None:
        yield None
        return
    from pawsure.cli.evidence_files import evidence_folder

    with evidence_folder(folder, paths) as drawn:
        yield drawn


@contextmanager
def _counted(total: int, *, shown: bool) -> Iterator[Progress]:
    if not shown:
        yield NO_PROGRESS
        return
    from pawsure.progress_bars import terminal_progress

    progress = terminal_progress()
    progress.start("Answering", total)
    try:
        yield progress
    finally:
        progress.finish()


def _tell_stopped(done: int, total: int, file: Path | None) -> None:
    screen.note(f"Stopped: {done:,} of {count(total, 'picture')} answered.")
    if file is not None and done:
        screen.note("What there is is kept. To go on, give the same command with --resume.")


def _close(tally: Counter[str], model: Path | None, table: Path | None, paths: list[Path]) -> None:
    """Say what there was, and what to do next."""
    failed = tally[""]
    counts = ", ".join(f"{count} {answer}" for answer, count in tally.most_common() if answer)
    screen.note(f"{count(tally.total(), 'picture')}: {counts or 'none answered'}{_unread(failed)}")
    if table is None:
        named = paths if len(paths) <= 3 else ["PICTURES"]
        chosen = ["--model", model] if model else []
        screen.next_command("As a table", "predict", *named, *chosen, "--csv", "answers.csv")
        return
    screen.note(f"The answers are in {table}.")
    screen.next_command("To measure the model", "evaluate", model or "MODEL", "LABELLED-PICTURES")


def _unread(failed: int) -> str:
    return f"; {failed:,} could not be read" if failed else ""

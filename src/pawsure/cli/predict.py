"""`pawsure predict`: answers for files and folders of pictures."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pawsure.cli import screen
from pawsure.cli.exit_codes import ExitCode
from pawsure.cli.options import ModelOption
from pawsure.errors import UsageError
from pawsure.progress import NO_PROGRESS, Progress
from pawsure.wording import agreeing, count

if TYPE_CHECKING:
    from pawsure.cli.answer_files import AnswerFile
    from pawsure.cli.answer_rows import Rows
    from pawsure.cli.answer_text import WriteAnswer
    from pawsure.cli.evidence_files import EvidenceFolder
    from pawsure.model.predictor import Predictor

_ALIGNED = 1_000  # pictures whose names decide the width of the first column
_BATCH_SIZE = 8  # that of pawsure.model.predictor, whose import takes long
_STEPS = 16  # pictures a step of the bar: a step costs a hundredth of an answer

EXAMPLE = "Example: pawsure predict photos/ --model runs/pets/model.onnx"


def predict(
    paths: Annotated[
        list[Path],
        # Typer need not check: unreadable pictures are reported one by one.
        typer.Argument(metavar="PATH…", readable=False, help="Pictures, and folders of pictures."),
    ],
    model: ModelOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line.")
    ] = False,
    csv: Annotated[Path | None, typer.Option(help="Write a CSV file.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="Write a Parquet file.")] = None,
    jsonl: Annotated[
        Path | None, typer.Option(help="Write a file with one JSON object per line.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Resume an interrupted run with --csv, --parquet or --jsonl."
        ),
    ] = False,
    evidence: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Save heat maps here.")
    ] = None,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Pictures per forward pass.")
    ] = _BATCH_SIZE,
) -> None:
    """Classify pictures: a label, 'unsure' or 'neither' for each.

    Exit code 0: all were answered; 3: some could not be read.
    """
    kind, file = _destination(as_json, {"csv": csv, "parquet": parquet, "jsonl": jsonl})
    if resume:
        _check_resumable(file, evidence)

    from pawsure.data.listing import count_pictures, iter_pictures
    from pawsure.data.skipped import Skipped
    from pawsure.model.builtin import BUILTIN, check_model
    from pawsure.model.predictor import load

    check_model(model)
    skipped = Skipped()
    total = count_pictures(paths, skipped)
    # One pass on each core is fastest; for a single picture all cores share one pass.
    predictor = load(model, threads=None if total == 1 else 1)
    if evidence is not None and not predictor.tells_places:
        raise UsageError(
            f"{predictor.path.name} has no heat maps: its network pools the features of the whole "
            "picture. Leave --evidence out."
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
        screen.note(f"Stopped: {tally.total():,} of {count(total, 'picture')} answered.")
        if file is not None and tally:
            screen.note(
                "The answers so far are saved. To continue, repeat the command with --resume."
            )
        raise typer.Exit(ExitCode.STOPPED) from None
    if drawn is not None:
        screen.note(
            f"{count(len(drawn), 'heat map')} {agreeing(len(drawn), 'is', 'are')} in {evidence}: "
            "warm areas support the label, blue areas oppose it."
        )
    skipped.unsearchable.clear()  # each has a row with its error
    for sentence in skipped.sentences():
        screen.note(sentence)
    if not as_json:
        _close(tally, model or Path(BUILTIN[0]), file, paths)
    if tally[""]:
        raise typer.Exit(ExitCode.SOME_PICTURES)


def _destination(as_json: bool, files: dict[str, Path | None]) -> tuple[str, Path | None]:
    """The option that says where answers go, and its file, if it has one."""
    given = [(f"--{name}", file) for name, file in files.items() if file is not None]
    options = ["--json"] * as_json + [option for option, _ in given]
    if len(options) > 1:
        raise UsageError(f"Choose one of {', '.join(options)}.")
    if not given:
        return "".join(options), None
    option, file = given[0]
    if not file.absolute().parent.is_dir():
        raise UsageError(
            f"There is no folder {file.parent} to write {file.name} to. Create it first."
        )
    if file.is_dir():
        raise UsageError(f"{file} is a folder. Name a file to write answers to.")
    return option, file


def _check_resumable(file: Path | None, evidence: Path | None) -> None:
    if file is None:
        raise UsageError(
            "--resume needs the file of the interrupted run: add --csv, --parquet or --jsonl."
        )
    if evidence is not None:
        raise UsageError(
            "--resume does not resume heat maps. Leave --evidence out, or start again without "
            "--resume."
        )


def _finished(file: Path) -> bool:
    """Whether there is nothing to resume, which is reported."""
    from pawsure.cli.answer_files import is_finished

    finished = is_finished(file)
    if finished:
        screen.note(f"{file} is finished. Without --resume it is written again.")
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
        yield _Screen(_writer(kind, paths, predictor.labels))
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


def _writer(kind: str, paths: Sequence[Path], labels: Sequence[str]) -> WriteAnswer:
    from pawsure.cli.answer_text import json_lines, text_lines
    from pawsure.data.listing import iter_pictures

    if kind == "--json":
        return json_lines
    return text_lines(list(islice(iter_pictures(paths), _ALIGNED)), labels)


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
    """Answers on a screen are their own progress."""
    return sys.stderr.isatty() and (file is not None or not sys.stdout.isatty())


def _drawing(
    folder: Path | None, paths: Sequence[Path]
) -> AbstractContextManager[EvidenceFolder | None]:
    if folder is None:
        return nullcontext()
    from pawsure.cli.evidence_files import evidence_folder

    return evidence_folder(folder, paths)


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


def _close(tally: Counter[str], model: Path | None, table: Path | None, paths: list[Path]) -> None:
    """Sum up, and show the next command."""
    failed = tally[""]
    counts = ", ".join(f"{number:,} {answer}" for answer, number in tally.most_common() if answer)
    unread = f"; {failed:,} could not be read" if failed else ""
    screen.note(f"{count(tally.total(), 'picture')}: {counts or 'none answered'}{unread}")
    if table is None:
        named = paths if len(paths) <= 3 else ["PICTURES"]
        chosen = ["--model", model] if model else []
        screen.next_command("As a table", "predict", *named, *chosen, "--csv", "answers.csv")
        return
    screen.note(f"The answers are in {table}.")
    screen.next_command("To measure the model", "evaluate", model or "MODEL", "LABELLED-PICTURES")

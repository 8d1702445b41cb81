"""`pawsure predict`: answers for files and folders of pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pawsure.cli import screen
from pawsure.cli.exit_codes import ExitCode
from pawsure.errors import UsageError
from pawsure.progress import NO_PROGRESS, Progress

if TYPE_CHECKING:
    from pawsure.cli.answer_files import WriteAnswer
    from pawsure.cli.evidence_files import EvidenceFolder

EXAMPLE = "Example: pawsure predict photos/ --model runs/pets/model.onnx"


def predict(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH…", help="Pictures, and folders to search for pictures."),
    ],
    model: Annotated[
        Path | None, typer.Option(help="A model file, or the run folder that holds one.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, for machines.")
    ] = False,
    csv: Annotated[Path | None, typer.Option(help="Write a CSV file.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="Write a Parquet file.")] = None,
    evidence: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Draw into this folder what in each picture spoke for its answer."
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures a forward pass.")] = 64,
) -> None:
    """Say what is in pictures.

    Exit code: 0 when all were answered, 3 when some could not be read.
    """
    table_file = _one_destination(as_json, csv, parquet)

    from pawsure.data.sources import list_pictures
    from pawsure.model.predictor import load

    predictor = load(model)
    pictures = list_pictures(paths)
    tally: Counter[str] = Counter()
    with (
        _writer(as_json, csv, parquet, pictures, predictor.labels) as write,
        _drawing(evidence, paths) as drawn,
        _counted(len(pictures), shown=table_file is not None) as progress,
    ):
        for result in predictor.predict_paths(pictures, batch_size=batch_size):
            write(result)
            if drawn is not None:
                drawn.write(result)
            tally[getattr(result, "answer", "")] += 1
            progress.advance()
    if drawn is not None:
        screen.note(
            f"{len(drawn):,} heat maps are in {evidence}: warm for the answer, blue against."
        )
    if not as_json:
        _close(tally, model, table_file, paths)
    if tally[""]:
        raise typer.Exit(ExitCode.SOME_PICTURES)


def _one_destination(as_json: bool, csv: Path | None, parquet: Path | None) -> Path | None:
    """The table to write, if one was asked for."""
    asked = {"--json": as_json, "--csv": csv, "--parquet": parquet}
    given = [name for name, value in asked.items() if value]
    if len(given) > 1:
        raise UsageError(f"Choose one of {', '.join(given)}: answers go to one place.")
    table = csv or parquet
    if table is not None and not table.absolute().parent.is_dir():
        raise UsageError(
            f"There is no folder {table.parent} to write {table.name} into. Make it first."
        )
    return table


@contextmanager
def _writer(
    as_json: bool,
    csv: Path | None,
    parquet: Path | None,
    pictures: Sequence[Path],
    labels: Sequence[str],
) -> Iterator[WriteAnswer]:
    from pawsure.cli import answer_files

    if as_json:
        yield answer_files.json_lines
    elif csv is not None:
        with answer_files.csv_file(csv, labels) as write:
            yield write
    elif parquet is not None:
        with answer_files.parquet_file(parquet, labels) as write:
            yield write
    else:
        yield answer_files.text_lines(pictures, labels)


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
    """A bar, unless the answers themselves show how far it is."""
    if not shown:
        yield NO_PROGRESS
        return
    from pawsure.cli.progress import terminal_progress

    progress = terminal_progress()
    progress.start("Answering", total)
    try:
        yield progress
    finally:
        progress.finish()


def _close(tally: Counter[str], model: Path | None, table: Path | None, paths: list[Path]) -> None:
    """Say what there was, and what to do next."""
    failed = tally[""]
    counts = ", ".join(f"{count} {answer}" for answer, count in tally.most_common() if answer)
    pictures = "1 picture" if tally.total() == 1 else f"{tally.total():,} pictures"
    screen.note(f"{pictures}: {counts or 'none answered'}{_unread(failed)}")
    if table is None:
        named = paths if len(paths) <= 3 else ["PICTURES"]
        chosen = ["--model", model] if model else []
        screen.next_command("As a table", "predict", *named, *chosen, "--csv", "answers.csv")
        return
    screen.note(f"The answers are in {table}.")
    screen.next_command("To measure the model", "evaluate", model or "MODEL", "LABELLED-PICTURES")


def _unread(failed: int) -> str:
    return f"; {failed:,} could not be read" if failed else ""

"""`pawsure audit`: what is wrong with labelled pictures, before a model is trained on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pawsure.cli import screen
from pawsure.cli.options import (
    BackboneSettingsOption,
    DataArgument,
    JsonOption,
    LabelsOption,
    as_words,
    read_setting,
)
from pawsure.errors import UsageError
from pawsure.progress_bars import terminal_progress
from pawsure.wording import agreeing, count, printable

if TYPE_CHECKING:
    from pawsure.audit.audit import Audit
    from pawsure.audit.embeddings import Encoder, NoEncoder

EXAMPLE = "Example: pawsure audit my-folder --out audits/mine --apply clean.csv"

PAGE, TABLE, CSV, SUMMARY = "audit.html", "audit.parquet", "audit.csv", "audit.json"

_SHOWN = 5


def audit(
    data: DataArgument,
    out: Annotated[
        Path | None, typer.Option(help="The folder to create for the page and the tables.")
    ] = None,
    apply: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a manifest (.csv or .parquet) without unreadable and blank pictures and "
            "with one of each group of copies. Near-copies with different labels all stay. No "
            "picture is changed.",
        ),
    ] = None,
    leave_out: Annotated[
        str | None,
        typer.Option(
            metavar="CHECKS",
            help="What else --apply leaves out, such as wrong_label,out_of_place.",
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Judge labels by the embeddings of this model file."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="Judge labels by a network with these weights: imagenet or pets."),
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(
            min=32, help="Side length at which labels are judged, in pixels (default: 224)."
        ),
    ] = None,
    labels: LabelsOption = None,
    backbone: Annotated[
        str | None, typer.Option(metavar="FILE", help="Judge labels by a network in an ONNX file.")
    ] = None,
    settings: BackboneSettingsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find unreadable files, copies, leakage, wrong labels and outliers.

    A page shows them side by side; tables have a score and a flag for each check. A frozen network
    judges labels and outliers; TensorFlow is not loaded.
    """
    from pawsure.audit.audit import audit as run_audit
    from pawsure.audit.embeddings import find_network
    from pawsure.audit.page import write_page
    from pawsure.audit.table import (
        check_manifest,
        findings_table,
        left_out,
        write_manifest,
        write_table,
    )
    from pawsure.data.cache import check_cache, tell_notes
    from pawsure.data.files import atomic_folder
    from pawsure.data.sources import open_source
    from pawsure.model.builtin import check_model
    from pawsure.training.run_folder import RunFolder

    chosen = [name.strip() for name in (leave_out or "").split(",") if name.strip()]
    if chosen and apply is None:
        raise UsageError("--leave-out is for --apply FILE, which writes the manifest.")
    progress = terminal_progress()
    folder = _free_folder(out)
    if model is not None:
        check_model(model)
    check_cache()
    tell_notes(progress)
    source = open_source(data, labels=labels, progress=progress)
    if apply is not None:
        check_manifest(apply, source, leave_out=chosen)
    encoder: Encoder | NoEncoder
    if backbone is not None:
        if model is not None or weights is not None:
            raise UsageError("Give one of --backbone, --model and --weights.")
        encoder = _of_file(backbone, image_size, settings or [])
    elif settings:
        raise UsageError("--set describes the file of --backbone.")
    else:
        encoder = find_network(model=model, weights=weights, size_px=image_size, progress=progress)
    result = run_audit(source, encoder=encoder, progress=progress)
    table = findings_table(result)
    with atomic_folder(folder) as unfinished:
        write_table(table, unfinished / TABLE)
        write_table(table, unfinished / CSV)
        write_page(result, unfinished / PAGE)
        RunFolder(unfinished).write_json(SUMMARY, _machine(result))
    counts = None if apply is None else write_manifest(result, apply, leave_out=chosen)
    if as_json:
        places = {"folder": str(folder), "manifest": None if apply is None else str(apply)}
        screen.answer_json({**places, **_machine(result)})
        return
    _show(result)
    screen.note(f"Page: {folder / PAGE} (open it in a browser); all scores: {folder / CSV}")
    number = int(left_out(result).sum())
    if counts is not None:
        screen.note(
            f"{apply} lists {count(counts[0], 'picture')}; {counts[1]:,} "
            f"{agreeing(counts[1], 'is', 'are')} left out."
        )
        screen.next_command("To train on them", "train", apply)
    elif number and source.folder is not None:
        options = {
            "--labels": labels,
            "--model": model,
            "--weights": weights,
            "--image-size": image_size,
            "--backbone": backbone,
        }
        words = as_words(options) + [word for text in settings or [] for word in ("--set", text)]
        screen.next_command(
            f"To write a manifest without {count(number, 'picture')}",
            *("audit", data, *words, "--apply", "clean.csv"),
        )
    else:
        screen.next_command("To train on them", "train", data, *as_words({"--labels": labels}))


def _of_file(path: str, size_px: int | None, settings: list[str]) -> Encoder:
    """A network in an ONNX file, as `pawsure train --backbone` takes it."""
    from pawsure.audit.embeddings import Encoder
    from pawsure.extras import needing

    if not path.lower().endswith(".onnx"):
        raise UsageError(f"--backbone takes an ONNX file here; got '{path}'.")
    given = dict(read_setting(text) for text in settings)
    if size_px is not None:
        given["image_size"] = size_px
    with needing("lite"):
        from pawsure.features.prefix import POOLED
        from pawsure.network.encoder import file_encoder
        from pawsure.training.recipe import load_recipe

        prefix = file_encoder(load_recipe("fast", {"backbone": path, **given}).model)
    return Encoder(prefix, POOLED, f"{path}, {prefix.size_px} pixels")


def _free_folder(out: Path | None) -> Path:
    """The folder to create; checked before minutes are spent."""
    from pawsure.data.files import check_place

    number = 1
    while out is None:
        folder = Path("runs") / f"audit-{number}"
        out, number = None if folder.exists() else folder, number + 1
    if out.exists():
        raise UsageError(f"{out} exists already. Choose another --out, or remove it.")
    check_place(out)
    return out


def _machine(result: Audit) -> dict[str, object]:
    """The summary, JSON-ready."""
    passed_over = list(result.catalog.source.notes)
    extra = {"not_looked": result.not_looked, "passed_over": passed_over}
    return {**result.summary.to_dict(), **extra}


def _show(result: Audit) -> None:
    """For people: the findings, then the worst pictures of each kind."""
    summary = result.summary
    labels = ", ".join(f"{printable(n)} {c:,}" for n, c in list(summary.labels.items())[:8])
    more = f" and {len(summary.labels) - 8} more" if len(summary.labels) > 8 else ""
    screen.answer(f"{count(summary.pictures, 'picture')}: {labels}{more}")
    if not summary.has_findings:
        screen.answer("  No problems found.")
    for sentence in summary.sentences():
        screen.answer(f"  {printable(sentence)}")
    leakage = summary.leakage
    if leakage.pairs:
        screen.answer(f"Copies across splits{_part(sum(leakage.leaked.values()))}:")
    for pair in leakage.pairs[:_SHOWN]:
        screen.answer(printable(f"  {pair.held_out} ({pair.split}) is {pair.learned} (train)"))
    near = "" if summary.by_detail else "conflicting_near_copy"
    for check, title in (
        ("unreadable", "Unreadable"),
        ("conflicting_copy", "One file under different labels"),
        (near, "Near-copies with different labels"),
        ("wrong_label", "Labels most likely wrong"),
        ("out_of_place", "Strongest outliers"),
    ):
        _show_worst(result, check, title)
    if summary.embedded_by:
        screen.note(f"Labels and outliers judged by {summary.embedded_by}.")
    if result.not_looked:
        screen.note(f"Labels and outliers were not checked. {result.not_looked}")


def _show_worst(result: Audit, check: str, title: str) -> None:
    if check not in result.flags:
        return
    flag, score = result.flags[check], result.scores[check]
    rows = sorted(flag.nonzero()[0].tolist(), key=lambda row: (-score[row], row))
    if rows:
        screen.answer(f"{title}{_part(len(rows))}:")
    for row in rows[:_SHOWN]:
        screen.answer(printable(f"  {result.catalog.path[row]}  {result.reason[row]}"))


def _part(total: int) -> str:
    return f" ({_SHOWN} of {total:,})" if total > _SHOWN else ""

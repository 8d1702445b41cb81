"""`pawsure audit`: what is wrong with labelled pictures, before anything is learned from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pawsure.cli import screen
from pawsure.cli.labels import LabelsOption
from pawsure.cli.settings import read_setting
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
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="Labelled pictures, as for 'pawsure train'.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="The folder to make for the page and the tables.")
    ] = None,
    apply: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a manifest (.csv or .parquet) of the pictures that are left: without "
            "unreadable and blank ones, and one of each group of copies. Near-copies with "
            "different labels are all kept. No picture is touched.",
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
        str | None, typer.Option(help="Judge them by a network with these: imagenet or pets.")
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(min=32, help="Side that pictures are judged at; 224 by default."),
    ] = None,
    labels: LabelsOption = None,
    backbone: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Judge them by a network in an ONNX file."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="What the file of --backbone does not say: scaling, output or image_size, as "
            "for 'pawsure train'.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")] = False,
) -> None:
    """Find unreadable files, copies, leakage, wrong labels and outliers.

    A page shows them side by side; tables have a score and a flag for each check. A frozen network
    judges labels and outliers; TensorFlow is not loaded.
    """
    from pawsure.audit.audit import audit as look
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
    from pawsure.model.onboard import check_model

    chosen = [name.strip() for name in (leave_out or "").split(",") if name.strip()]
    if chosen and apply is None:
        raise UsageError("--leave-out is for --apply FILE, which writes what is left.")
    progress = terminal_progress()
    folder = _free_folder(out)
    if model is not None:
        check_model(model)
    level = None if labels is None else labels.value
    check_cache()
    tell_notes(progress)
    source = open_source(data, labels=level, progress=progress)
    if apply is not None:
        check_manifest(apply, source, leave_out=chosen)
    encoder: Encoder | NoEncoder
    if backbone is not None:
        if model is not None or weights is not None:
            raise UsageError("Give one of --backbone, --model and --weights.")
        encoder = _of_file(backbone, image_size, settings or [])
    elif settings:
        raise UsageError("--set is for the file of --backbone.")
    else:
        encoder = find_network(model=model, weights=weights, size_px=image_size, progress=progress)
    found = look(source, encoder=encoder, progress=progress)
    table = findings_table(found)
    with atomic_folder(folder) as made:
        write_table(table, made / TABLE)
        write_table(table, made / CSV)
        write_page(found, made / PAGE)
        _write_summary(found, made / SUMMARY)
    kept = None if apply is None else write_manifest(found, apply, leave_out=chosen)
    if as_json:
        told = {"folder": str(folder), "manifest": None if apply is None else str(apply)}
        screen.answer_json({**told, **_machine(found)})
        return
    _show(found)
    screen.note(f"Pictures side by side: {folder / PAGE}; every score: {folder / CSV}")
    if kept is None:
        given = {
            "--labels": level,
            "--model": model,
            "--weights": weights,
            "--image-size": image_size,
            "--backbone": backbone,
        }
        words = [word for pair in given.items() if pair[1] is not None for word in pair]
        words += [word for text in settings or [] for word in ("--set", text)]
        number = int(left_out(found).sum())
        if number and source.folder is not None:
            screen.next_command(
                f"To write a manifest without {count(number, 'picture')}",
                *("audit", data, *words, "--apply", "clean.csv"),
            )
        else:
            screen.next_command(
                "To train on them", "train", data, *(["--labels", level] if level else [])
            )
    else:
        screen.note(
            f"{apply} lists {count(kept[0], 'picture')}; {kept[1]:,} "
            f"{agreeing(kept[1], 'is', 'are')} left out."
        )
        screen.next_command("To train on them", "train", apply)


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
    """The folder to make, before minutes are spent."""
    from pawsure.data.files import check_place

    number = 1
    while out is None:
        folder = Path("runs") / f"audit-{number}"
        out, number = None if folder.exists() else folder, number + 1
    if out.exists():
        raise UsageError(f"{out} exists already. Choose another --out, or remove it.")
    check_place(out)
    return out


def _machine(found: Audit) -> dict[str, object]:
    summary = found.summary.to_dict()
    passed_over = list(found.catalog.source.notes)
    return {**summary, "not_looked": found.not_looked, "passed_over": passed_over}


def _write_summary(found: Audit, path: Path) -> None:
    import json

    from pawsure.data.files import atomic_path

    with atomic_path(path) as temporary:
        text = json.dumps(_machine(found), indent=2, ensure_ascii=False) + "\n"
        Path(temporary).write_text(text, encoding="utf-8", errors="backslashreplace")


def _show(found: Audit) -> None:
    """For people: what it means first, then the worst of each kind by name."""
    summary = found.summary
    labels = ", ".join(f"{printable(n)} {c:,}" for n, c in list(summary.labels.items())[:8])
    more = f" and {len(summary.labels) - 8} more" if len(summary.labels) > 8 else ""
    screen.answer(f"{count(summary.pictures, 'picture')}: {labels}{more}")
    if not summary.has_findings:
        screen.answer("  No problems found.")
    for sentence in summary.sentences():
        screen.answer(f"  {printable(sentence)}")
    _show_leaks(found)
    near = "" if summary.by_detail else "conflicting_near_copy"
    for check, title in (
        ("unreadable", "Unreadable"),
        ("conflicting_copy", "One file under different labels"),
        (near, "Near-copies with different labels"),
        ("wrong_label", "Labels most likely wrong"),
        ("out_of_place", "Strongest outliers"),
    ):
        _show_worst(found, check, title)
    if summary.embedded_by:
        screen.note(f"Labels and outliers judged by {summary.embedded_by}.")
    if found.not_looked:
        screen.note(f"Labels and outliers were not checked. {found.not_looked}")


def _show_leaks(found: Audit) -> None:
    pairs = found.summary.leakage.pairs
    if not pairs:
        return
    total = sum(found.summary.leakage.leaked.values())
    of = f" ({_SHOWN} of {total:,})" if total > _SHOWN else ""
    screen.answer(f"Copies across splits{of}:")
    for pair in pairs[:_SHOWN]:
        told = f"  {pair.held_out} ({pair.split}) is {pair.learned} (train)"
        screen.answer(printable(told))


def _show_worst(found: Audit, check: str, title: str) -> None:
    if check not in found.flags:
        return
    flag, score = found.flags[check], found.scores[check]
    rows = sorted(flag.nonzero()[0].tolist(), key=lambda row: (-score[row], row))
    if not rows:
        return
    of = f" ({_SHOWN} of {len(rows):,})" if len(rows) > _SHOWN else ""
    screen.answer(f"{title}{of}:")
    for row in rows[:_SHOWN]:
        why = f"  {found.reason[row]}"
        screen.answer(printable(f"  {found.catalog.path[row]}{why}"))

"""Section: how to reproduce the run, and how to check that the result is the same."""

from __future__ import annotations

import hashlib
import shlex
from typing import Any

from pawsure.report.blocks import card, cards, command, facts, section, stack, table
from pawsure.report.markup import Child, Markup, element
from pawsure.report.run_data import RunData

_STEPS = {
    "catalog": "reading the pictures",
    "prefix": "exporting the frozen layers",
    "features": "computing features",
    "trust": "calibration and familiarity",
    "export": "writing and checking the model file",
    "measure": "measuring",
    "diagnose": "diagnosis",
    "report": "report",
}


def reproduce_section(run: RunData) -> Markup:
    """Commands, recipe, checksums and times."""
    return section(
        "reproduce",
        "Reproduce",
        "The same data, recipe, seed and machine give the same model file, bit for bit.",
        cards(
            stack(_commands(run), _recipe(run)),
            stack(card("Identity", facts(_identity(run))), _seconds(run)),
        ),
    )


def _commands(run: RunData) -> Markup:
    folder = str(run.folder)
    recipe, out = str(run.folder / "recipe.toml"), f"{run.folder}-again"
    commands = (
        ("Train it again:", ("train", run.data, "--recipe", recipe, "--out", out)),
        ("Evaluate the model file:", ("evaluate", str(run.model_file), run.data)),
        ("Use it:", ("predict", "PICTURES", "--model", folder)),
        ("Write this report again:", ("report", folder)),
    )
    return card(
        "Commands",
        [
            [element("p", title, class_="note"), command(shlex.join(["pawsure", *words]))]
            for title, words in commands
        ],
    )


def _identity(run: RunData) -> list[tuple[str, Child]]:
    model, metadata, file = run.settings.get("model", {}), run.metadata, run.model_file
    is_there = file.is_file()
    pairs: list[tuple[str, Any]] = [
        ("Recipe", run.settings.get("name")),
        ("Backbone", model.get("backbone")),
        ("Initial weights", model.get("weights")),
        ("Image size", model.get("image_size") and f"{model['image_size']} pixels"),
        ("Seed", run.settings.get("seed")),
        ("Model file", f"{file.stat().st_size / 1e6:.1f} MB" if is_there else None),
        ("SHA-256", _code(hashlib.sha256(file.read_bytes()).hexdigest()) if is_there else None),
        ("Data fingerprint", _code(metadata.data_fingerprint) if metadata else None),
        ("pawsure", metadata.pawsure_version if metadata else None),
        ("Parity check", _parity(run)),
    ]
    return [(name, value) for name, value in pairs if value not in (None, "")]


def _code(text: str) -> Markup | None:
    return element("code", text, class_="digest") if text else None


def _parity(run: RunData) -> str | None:
    stored = (run.metrics.get("parity") or {}).get("stored")
    if not stored:
        return None
    return (
        f"{stored['answers_changed']} of {stored['n']:,} answers differ between Keras and the "
        f"model file, probabilities by at most {stored['max_difference']:.2g}"
    )


def _seconds(run: RunData) -> Markup | None:
    seconds = run.metrics.get("seconds") or {}
    if not seconds:
        return None
    # Calibration is timed by itself and within the export.
    within = {"export": seconds.get("trust", 0.0)}
    rows = [
        (
            _STEPS.get(name, name.replace("stage ", "stage: ")),
            f"{value - within.get(name, 0.0):,.1f} s",
        )
        for name, value in seconds.items()
        if name != "all"
    ]
    total = seconds.get("all")
    return card(
        "Time",
        table(("step", "time"), rows, caption="Time by step"),
        note=None if total is None else f"{total:,.0f} seconds in total.",
    )


def _recipe(run: RunData) -> Markup | None:
    if not run.recipe:
        return None
    return card(
        "Recipe",
        element(
            "details",
            element("summary", "Show recipe.toml"),
            element("pre", element("code", run.recipe)),
        ),
        note="Every setting of this run, from its run folder.",
    )

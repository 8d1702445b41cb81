"""How to do it again, and how to tell that it is the same."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path
from typing import Any

from pawsure.report.blocks import card, cards, command, facts, section, stack, table
from pawsure.report.markup import Child, Markup, element
from pawsure.report.material import Material

_STEPS = {
    "catalog": "looking at every picture",
    "prefix": "exporting the frozen part",
    "features": "the frozen part, once a picture",
    "trust": "calibration and familiarity",
    "export": "writing and checking the model file",
    "cross-validation": "cross-validation",
    "measure": "measuring",
    "diagnose": "the diagnosis",
    "report": "this report",
}


def reproduce_section(material: Material) -> Markup:
    """The command, the recipe, the fingerprints, the time it took."""
    return section(
        "reproduce",
        "Do it again",
        "The same data, recipe, seed and machine give the same model file, bit for bit.",
        cards(
            stack(_commands(material), _recipe(material)),
            stack(card("What it is", facts(_identity(material))), _seconds(material)),
        ),
    )


def _commands(material: Material) -> Markup:
    folder, model = str(material.folder), str(material.model_file)
    wanted = (
        ("Train the same again:", _train_again(material)),
        (
            "Measure the model file again, or on other pictures:",
            shlex.join(["pawsure", "evaluate", model, material.data]),
        ),
        ("Use it:", shlex.join(["pawsure", "predict", "PICTURES", "--model", folder])),
        ("Make this page anew:", shlex.join(["pawsure", "report", folder])),
    )
    return card(
        "The commands",
        [[element("p", why, class_="note"), command(text)] for why, text in wanted],
    )


def _train_again(material: Material) -> str:
    return shlex.join(
        [
            *("pawsure", "train", material.data),
            *(
                "--recipe",
                str(material.folder / "recipe.toml"),
                "--out",
                f"{material.folder}-again",
            ),
        ]
    )


def _identity(material: Material) -> list[tuple[str, Child]]:
    model, metadata = material.settings.get("model", {}), material.metadata
    found: list[tuple[str, Any]] = [
        ("Recipe", material.settings.get("name")),
        ("Network", model.get("backbone")),
        ("Starting weights", model.get("weights")),
        ("Pictures at", model.get("image_size") and f"{model['image_size']} pixels"),
        ("Seed", material.settings.get("seed")),
        ("Model file", _model_file(material.model_file)),
        ("Its SHA-256", _code(_digest(material.model_file))),
        ("Data fingerprint", _code(metadata.data_fingerprint if metadata else None)),
        ("pawsure", metadata.pawsure_version if metadata else None),
        ("Export against network", _parity(material)),
    ]
    return [(name, value) for name, value in found if value not in (None, "")]


def _code(text: str | None) -> Markup | None:
    return element("code", text, class_="digest") if text else None


def _model_file(path: Path) -> str | None:
    return f"{path.stat().st_size / 1e6:.1f} MB" if path.is_file() else None


def _digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _parity(material: Material) -> str | None:
    stored = (material.metrics.get("parity") or {}).get("stored")
    if not stored:
        return None
    return (
        f"{stored['answers_changed']} of {stored['n']:,} answers changed, probabilities differ by "
        f"at most {stored['max_difference']:.2g}"
    )


def _seconds(material: Material) -> Markup | None:
    seconds = material.metrics.get("seconds") or {}
    if not seconds:
        return None
    # Writing the model file starts with calibrating it, and is timed as a whole.
    inside = {"export": seconds.get("trust", 0.0)}
    rows = [
        (
            _STEPS.get(name, name.replace("stage ", "stage: ")),
            f"{value - inside.get(name, 0.0):,.1f} s",
        )
        for name, value in seconds.items()
        if name != "all"
    ]
    whole = seconds.get("all")
    return card(
        "How long it took",
        table(("step", "time"), rows, caption="Time by step"),
        note=None if whole is None else f"{whole:,.0f} seconds in all.",
    )


def _recipe(material: Material) -> Markup | None:
    if not material.recipe:
        return None
    return card(
        "The recipe",
        element(
            "details",
            element("summary", "recipe.toml in full"),
            element("pre", element("code", material.recipe)),
        ),
        note="Every setting that decided this run; it lies in the run folder.",
    )

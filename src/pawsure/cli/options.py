"""Arguments and options that several commands share, and how their values are read."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from pawsure.errors import UsageError


class Level(StrEnum):
    """The values of `--labels`, those of `pawsure.data.layouts.LEVELS`."""

    OUTER = "outer"
    INNER = "inner"
    PARENT = "parent"


DataArgument = Annotated[
    str, typer.Argument(metavar="DATA", help="Labelled pictures, as for 'pawsure train'.")
]
ModelArgument = Annotated[
    Path,
    typer.Argument(metavar="MODEL", help="A model file, its run folder, or a built-in name."),
]
ModelOption = Annotated[
    Path | None,
    typer.Option(
        "--model", help="A model file, its run folder, or a built-in name (default: pets)."
    ),
]
LabelsOption = Annotated[
    Level | None,
    typer.Option(
        "--labels",
        help="Which folder is the label if folders are nested: the outer one, the inner one, or "
        "the one that holds the picture.",
    ),
]
ImageSizeOption = Annotated[
    int | None,
    typer.Option("--image-size", min=1, help="Side length of the resized pictures, in pixels."),
]
BackboneSettingsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Describe an ONNX backbone: scaling, output or image_size. Repeatable.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def read_setting(text: str) -> tuple[str, Any]:
    """One `key=value`; the value is read as TOML if it is TOML, else as text."""
    key, equals, value = (part.strip() for part in text.partition("="))
    if not (key and equals and value):
        raise UsageError(f"--set takes KEY=VALUE, such as --set seed=7; got '{text}'.")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def read_share(option: str, text: str) -> float:
    """A share in [0, 1], written as 0.5% or 0.005."""
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UsageError(f"{option} takes a share such as 0.5% or 0.005; got '{text}'.")
    return share


def as_words(options: Mapping[str, object]) -> list[object]:
    """Options as they are typed; those that are None are left out."""
    return [word for option in options.items() if option[1] is not None for word in option]

"""The option `--labels`, of every command that reads labelled pictures."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Level(StrEnum):
    """Those of `pawsure.data.layouts.LEVELS`."""

    OUTER = "outer"
    INNER = "inner"
    PARENT = "parent"


LabelsOption = Annotated[
    Level | None,
    typer.Option(
        "--labels",
        help="Which folder names the label, where several could: the first, the second, or the "
        "one that the picture lies in.",
    ),
]

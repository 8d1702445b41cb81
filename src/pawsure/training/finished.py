"""What a training run gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True, repr=False)
class Run:
    """A finished run.

    `pawsure.load(run)` gives its model.

    Attributes:
        folder: the run folder.
        model_file: the model in it.
        metrics: what `metrics.json` says.
        summary: the same for people, a few lines.
    """

    folder: Path
    model_file: Path
    metrics: dict[str, Any]
    summary: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        """Where it is and how good it is; all figures are in `metrics`."""
        return f"Run({str(self.folder)!r}{self._in_short()})"

    def _in_short(self) -> str:
        test = self.metrics.get("test") or {}
        accuracy = test.get("accuracy")
        if not accuracy:
            return ""
        return (
            f", test accuracy {accuracy['value']:.1%} "
            f"[{accuracy['low']:.1%}, {accuracy['high']:.1%}] of {test['n']:,}"
        )

    def _repr_html_(self) -> str:
        """The summary, for a notebook."""
        lines = "".join(f"<li>{escape(line)}</li>" for line in self.summary)
        return f"<p><strong>{escape(repr(self))}</strong></p><ul>{lines}</ul>"

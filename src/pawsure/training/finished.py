"""What a training run gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from pawsure.evaluation.headline import headline
from pawsure.wording import agreeing


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
        if not self.metrics.get("test"):
            return ""
        found = headline(self.metrics)
        if found.value is None:
            return f", {found.n:,} test {agreeing(found.n, 'picture', 'pictures')}: too few"
        name = "test" if found.source == "test" else "cross-validated"
        return (
            f", {name} accuracy {found.value:.1%} [{found.low:.1%}, {found.high:.1%}] "
            f"of {found.n:,}"
        )

    def _repr_html_(self) -> str:
        """The summary, for a notebook."""
        lines = "".join(f"<li>{escape(line)}</li>" for line in self.summary)
        return f"<p><strong>{escape(repr(self))}</strong></p><ul>{lines}</ul>"

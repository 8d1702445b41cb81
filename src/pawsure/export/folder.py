"""What lies beside an exported model: its labels, what it says of itself, and how to use it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pawsure._version import __version__
from pawsure.export.agreement import Agreement
from pawsure.export.sample import reading_code
from pawsure.model.metadata import ModelMetadata
from pawsure.wording import count

LABELS = "labels.txt"
DESCRIPTION = "model.json"
README = "README.md"


@dataclass(frozen=True, kw_only=True)
class ExportResult:
    """An export that was checked and written.

    Attributes:
        format: such as "int8".
        folder: where it lies.
        model: the model in it, a file or a folder.
        num_bytes: of the model.
        agreement: with the model file.
        accuracy: of `Pair.accuracy`; empty where labels or held-out pictures were not at hand.
        thresholds: of the export.
    """

    format: str
    folder: Path
    model: Path
    num_bytes: int
    agreement: Agreement
    accuracy: dict[str, Any]
    thresholds: dict[str, float | None]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "format": self.format,
            "folder": str(self.folder),
            "model": str(self.model),
            "num_bytes": self.num_bytes,
            "agreement": self.agreement.to_dict(),
            "accuracy": self.accuracy,
            "thresholds": self.thresholds,
        }


def write_companions(
    folder: Path,
    *,
    format: str,
    metadata: ModelMetadata,
    title: str,
    code: str,
    agreement: Agreement,
    accuracy: dict[str, Any],
) -> None:
    """Write labels, description and README beside a model.

    Args:
        folder: that holds the model.
        format: of the export.
        metadata: of the model in it.
        title: the first line of the README, without the mark.
        code: Python that runs in the folder and answers for `picture.jpg`.
        agreement: with the model file.
        accuracy: see `ExportResult`.
    """
    (folder / LABELS).write_text("".join(f"{label}\n" for label in metadata.labels), "utf-8")
    description = {
        "format": format,
        "labels": list(metadata.labels),
        "size_px": metadata.size_px,
        "backbone": metadata.backbone,
        "thresholds": metadata.thresholds,
        "data_fingerprint": metadata.data_fingerprint,
        "pawsure_version": __version__,
        "agreement": agreement.to_dict(),
        "accuracy": accuracy,
    }
    text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
    (folder / DESCRIPTION).write_text(text, "utf-8")
    (folder / README).write_text(_readme(metadata, title, code, agreement, accuracy), "utf-8")


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def agreement_sentence(agreement: Agreement) -> str:
    """For people, in the README and in the terminal."""
    return (
        f"Compared with the model file on {count(agreement.n, 'picture')}: label changed for "
        f"{agreement.changed:,} ({agreement.changed / agreement.n:.2%}), final answer for "
        f"{agreement.acted_on:,}; probabilities differ by {agreement.mean_difference:.2g} on "
        f"average, at most {agreement.max_difference:.2g}."
    )


def accuracy_sentence(accuracy: dict[str, Any]) -> str:
    """For people; empty if there is no accuracy."""
    if not accuracy:
        return ""
    before, after, gap = accuracy["before"], accuracy["after"], accuracy["difference"]
    return (
        f"Accuracy on {count(accuracy['n'], accuracy['split'] + ' picture')}: "
        f"{after['value']:.1%}, before {before['value']:.1%} "
        f"({100 * gap['value']:+.1f} points, 95% CI {100 * gap['low']:+.1f} to "
        f"{100 * gap['high']:+.1f}, p = {accuracy['p_value']:.2g}); log loss "
        f"{accuracy['log_loss']['after']:.3f}, before {accuracy['log_loss']['before']:.3f}."
    )


def answer_code(thresholds: dict[str, float | None]) -> str:
    """The lines of a README's code from `outputs` to the answer."""
    lines = [
        'probability = outputs["probability"][0]',
        "best = int(probability.argmax())",
        "answer = labels[best]",
    ]
    unsure, neither = thresholds.get("unsure_below"), thresholds.get("neither_below")
    if unsure is not None:
        lines += [f"if probability[best] < {unsure!r}:", '    answer = "unsure"']
    if neither is not None:
        lines += [f'if outputs["familiarity"][0] < {neither!r}:', '    answer = "neither"']
    return "\n".join([*lines, "print(answer, probability[best])"])


def picture_code(size_px: int) -> str:
    """The lines of a README's code that read `picture.jpg` into `pixels`, and the labels."""
    return (
        f"\n{reading_code()}\n\n"
        f'pixels = read_picture("picture.jpg", {size_px})\n'
        'labels = open("labels.txt", encoding="utf-8").read().splitlines()'
    )


def _readme(
    metadata: ModelMetadata,
    title: str,
    code: str,
    agreement: Agreement,
    accuracy: dict[str, Any],
) -> str:
    size = metadata.size_px
    parts = [
        f"# {title}",
        f"Tells apart: {', '.join(metadata.labels)}. In: `image`, uint8 RGB (N, {size}, {size}, "
        "3), turned upright, resized, not scaled. Out: `probability`, `logit`, `embedding`, "
        "`evidence` and, where it was fitted, `familiarity`.",
        f"```python\n{code}\n```",
        agreement_sentence(agreement),
        accuracy_sentence(accuracy),
        f"Written by pawsure {__version__}. The same as JSON: `{DESCRIPTION}`.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"

"""The result for one picture: an answer, or the reason why there is none."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pawsure.model.words import message

if TYPE_CHECKING:
    from PIL import Image

    from pawsure.data.images import Picture


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The prediction for one picture.

    Attributes:
        path: of the picture; None if it was given as pixels or bytes.
        answer: the label, "unsure" or "neither": what to act on.
        label: the most probable label, also if `answer` is "unsure" or "neither".
        probability: of `label`, in [0, 1].
        probabilities: of every label; they sum to 1.
        familiarity: the out-of-distribution score in [0, 1] (low means "neither"); None if the
            model file has none.
        evidence: float32 (h, w), the class activation map of `label` relative to the other labels,
            see `pawsure.model.evidence.relative_evidence`; below 0 where a place opposes the
            label. None if the network pools the whole picture. Not part of the JSON.
        picture: the given picture if it was not a path; not part of the JSON.

    In a notebook an answer shows the picture, the heat map and a sentence.
    """

    path: str | None
    answer: str
    label: str
    probability: float
    probabilities: dict[str, float]
    familiarity: float | None = None
    evidence: np.ndarray | None = field(default=None, repr=False, compare=False)
    picture: Picture | None = field(default=None, repr=False, compare=False)

    @property
    def message(self) -> str:
        """The answer in one sentence, for people."""
        return message(self)

    def to_dict(self) -> dict[str, Any]:
        """The fields of the JSON."""
        return {
            "path": self.path,
            "answer": self.answer,
            "label": self.label,
            "probability": self.probability,
            "probabilities": self.probabilities,
            "familiarity": self.familiarity,
            "message": self.message,
        }

    def to_json(self) -> str:
        """One line of JSON in ASCII, so that paths in any encoding survive a pipe."""
        return json.dumps(self.to_dict())

    def overlay(self, picture: Picture | None = None, *, longest_px: int = 480) -> Image.Image:
        """The picture with its heat map: warm supports the label, blue opposes it.

        Args:
            picture: the picture; None takes `self.picture` or reads `path`.
            longest_px: the longer side is at most this.

        Raises:
            PictureError: the picture can't be read.
            UsageError: the answer has no evidence, or no picture.
        """
        from pawsure.model.showing import draw_evidence

        return draw_evidence(self, picture, longest_px=longest_px)

    def show(self, picture: Picture | None = None) -> None:
        """Open `overlay` in the system's picture viewer."""
        self.overlay(picture).show()

    def _repr_html_(self) -> str:
        from pawsure.model.showing import as_html

        return as_html(self)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why one picture has no answer.

    Attributes:
        path: of the picture; None if it was given as pixels or bytes.
        error: the reason, in a few words.
    """

    path: str | None
    error: str

    def to_dict(self) -> dict[str, Any]:
        """The fields of the JSON."""
        return {"path": self.path, "error": self.error}

    def to_json(self) -> str:
        """One line of JSON in ASCII."""
        return json.dumps(self.to_dict())

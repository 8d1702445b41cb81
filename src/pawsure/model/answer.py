"""What comes back for one picture: an answer, or why there is none."""

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
    """What the model says of one picture.

    Attributes:
        path: where the picture came from; None when it came as pixels or bytes.
        answer: the label, "unsure" or "neither": what to act on.
        label: the most probable label, whatever `answer` says.
        probability: of `label`, in [0, 1].
        probabilities: of every label; they sum to 1.
        familiarity: how like the training pictures this one is (low means "neither");
            None when the model file can't tell.
        evidence: float32 (h, w), what each place of the picture says for `label` rather
            than for the other labels; below 0 where it speaks against it. See
            `pawsure.model.evidence.relative_evidence`. Not part of the JSON. None where the
            network tells no places apart.
        picture: what was given, where that was no path, to be shown; not part of the JSON.

    In a notebook an answer shows itself: the picture, the evidence over it, words.
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
        """The fields that are told to machines, JSON-ready."""
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
        """One line of JSON, pure ASCII: a path in any encoding survives any pipe."""
        return json.dumps(self.to_dict())

    def overlay(self, picture: Picture | None = None, *, longest_px: int = 480) -> Image.Image:
        """The picture with its evidence over it: warm for the label, blue against it.

        Args:
            picture: what was answered for; None takes it from `path` or from what was given.
            longest_px: the longer side is at most this.

        Raises:
            PictureError: the picture can't be read (any more).
            UsageError: the answer has no evidence, or does not know its picture.
        """
        from pawsure.model.showing import draw_evidence

        return draw_evidence(self, picture, longest_px=longest_px)

    def show(self, picture: Picture | None = None) -> None:
        """Open `overlay` in the system's viewer of pictures."""
        self.overlay(picture).show()

    def _repr_html_(self) -> str:
        from pawsure.model.showing import as_html

        return as_html(self)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why one picture has no answer.

    Attributes:
        path: where the picture was looked for; None when it came as pixels or bytes.
        error: the reason, in a few words.
    """

    path: str | None
    error: str

    def to_dict(self) -> dict[str, Any]:
        """The fields that are told to machines, JSON-ready."""
        return {"path": self.path, "error": self.error}

    def to_json(self) -> str:
        """One line of JSON, pure ASCII."""
        return json.dumps(self.to_dict())

"""What comes back for one picture: an answer, or why there is none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

UNSURE = "unsure"
NEITHER = "neither"


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
        evidence: float32 (h, w), what each place of the picture adds to the logit of
            `label`; its mean is that logit. Not part of the JSON.
    """

    path: str | None
    answer: str
    label: str
    probability: float
    probabilities: dict[str, float]
    familiarity: float | None = None
    evidence: np.ndarray | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """The fields that are told to machines, JSON-ready."""
        return {
            "path": self.path,
            "answer": self.answer,
            "label": self.label,
            "probability": self.probability,
            "probabilities": self.probabilities,
            "familiarity": self.familiarity,
        }

    def to_json(self) -> str:
        """One line of JSON, pure ASCII: a path in any encoding survives any pipe."""
        return json.dumps(self.to_dict())


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why one picture has no answer.

    Attributes:
        path: where the picture was looked for.
        error: the reason, in a few words.
    """

    path: str
    error: str

    def to_dict(self) -> dict[str, Any]:
        """The fields that are told to machines, JSON-ready."""
        return {"path": self.path, "error": self.error}

    def to_json(self) -> str:
        """One line of JSON, pure ASCII."""
        return json.dumps(self.to_dict())


def decide(
    label: str,
    probability: float,
    familiarity: float | None,
    thresholds: Mapping[str, float | None],
) -> str:
    """The answer to act on: the label, unless a fitted threshold says otherwise.

    A strange picture is "neither" before it is "unsure": the probability of a label means
    nothing where the picture is of none of them.
    """
    neither_below = thresholds.get("neither_below")
    unsure_below = thresholds.get("unsure_below")
    if neither_below is not None and familiarity is not None and familiarity < neither_below:
        return NEITHER
    if unsure_below is not None and probability < unsure_below:
        return UNSURE
    return label

"""A finished model as a teacher: what it says of every view is kept like any other feature.

To the feature store a teacher is one more frozen prefix, whose rows are probabilities. It may
look at larger pictures than who learns from it: the same part of the same picture, cut out and
changed by the same chances, is drawn at both sizes.
"""

from __future__ import annotations

from collections.abc import Sequence

from pawsure.errors import RecipeError
from pawsure.features.prefix import Prefix, graph_key
from pawsure.model.predictor import Predictor

PROBABILITY = "probability"
"""The output of a model file that is learned from: calibrated, (K,)."""


def teacher_prefix(path: str, labels: Sequence[str]) -> Prefix:
    """A model file as a prefix with the output `PROBABILITY`.

    Args:
        path: the file, or the run folder that holds it.
        labels: what the student tells apart; the teacher must know the same, in this order.

    Raises:
        ModelFileError: it is no model file.
        RecipeError: it has other labels.
    """
    teacher = Predictor(path)
    if teacher.labels != tuple(labels):
        raise RecipeError(
            f"The teacher {path} tells {', '.join(teacher.labels)} apart, the data have "
            f"{', '.join(labels)}. Take a model of the same labels, or leave out 'teacher'."
        )
    return Prefix(
        key=graph_key(teacher.path),
        size_px=teacher.size_px,
        shapes={PROBABILITY: (len(labels),)},
        path=teacher.path,
    )

from __future__ import annotations

import numpy as np
import pytest

from pawsure.evaluation.measure import measure
from pawsure.report.verdict import judge


def figures(n: int, wrong: int, *, of_first: float = 0.5) -> dict:
    """Of a model that is wrong on some of n pictures of two labels."""
    label = (np.arange(n) >= of_first * n).astype(np.int64)
    said = np.where(np.arange(n) < wrong, 1 - label, label)
    return measure(np.eye(2)[said] * 0.8 + 0.1, label, ["cat", "dog"])


@pytest.mark.parametrize(
    ("test", "leaked", "level", "words"),
    [
        (figures(1000, 30), 0, "reliable", "between 95.7% and 97.9% (95% confidence)"),
        (figures(19, 0), 0, "unreliable", "Right on 19 of 19 test pictures: too few for a figure"),
        (figures(40, 3), 0, "rough", "with 40 test pictures the true accuracy is between"),
        (
            figures(1000, 470),
            0,
            "unreliable",
            "not significantly better than always giving the most",
        ),
        (figures(1000, 90, of_first=0.9), 0, "unreliable", "which is right for 90.0%"),
        (figures(1000, 30), 12, "unreliable", "12 of 1,000 test pictures have copies"),
        (figures(1000, 30), 1, "unreliable", "1 of 1,000 test pictures has a copy"),
    ],
)
def test_how_reliable_an_accuracy_is(test, leaked, level, words):
    verdict = judge(test, leaked=leaked)
    assert verdict.level == level
    assert words in verdict.sentence
    assert verdict.sentence.endswith(".")

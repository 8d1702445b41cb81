from __future__ import annotations

import numpy as np
import pytest

from pawsure.evaluation.measure import measure
from pawsure.report.belief import believe


def figures(n: int, wrong: int, *, of_first: float = 0.5) -> dict:
    """Of a model that is wrong on some of n pictures of two labels."""
    label = (np.arange(n) >= of_first * n).astype(np.int64)
    said = np.where(np.arange(n) < wrong, 1 - label, label)
    return measure(np.eye(2)[said] * 0.8 + 0.1, label, ["cat", "dog"])


@pytest.mark.parametrize(
    ("test", "leaked", "level", "words"),
    [
        (figures(1000, 30), 0, "yes", "between 95.7% and 97.9%, with 95% confidence"),
        (figures(19, 0), 0, "no", "Right on 19 of 19 test pictures: too few for a figure"),
        (figures(40, 3), 0, "roughly", "40 test pictures leave the true accuracy anywhere between"),
        (figures(1000, 470), 0, "no", "can't be told from always saying the most frequent label"),
        (figures(1000, 90, of_first=0.9), 0, "no", "which is right on 90.0% of them"),
        (figures(1000, 30), 12, "no", "12 of 1,000 test pictures have copies"),
        (figures(1000, 30), 1, "no", "1 of 1,000 test pictures has a copy"),
    ],
)
def test_whether_to_believe_it(test, leaked, level, words):
    belief = believe(test, leaked=leaked)
    assert belief.level == level
    assert words in belief.sentence
    assert belief.sentence.endswith(".")

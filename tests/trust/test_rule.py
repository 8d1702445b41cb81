from __future__ import annotations

import numpy as np
import pytest

from pawsure.trust.rule import outcomes

NONE = {"unsure_below": None, "neither_below": None}
BOTH = {"unsure_below": 0.9, "neither_below": 0.2}


@pytest.mark.parametrize(
    ("probability", "familiarity", "thresholds", "answer"),
    [
        (0.51, None, NONE, "label"),
        (0.51, 0.0, NONE, "label"),
        (0.51, None, {}, "label"),
        (0.95, 0.5, BOTH, "label"),
        (0.9, 0.2, BOTH, "label"),
        (0.89, 0.5, BOTH, "unsure"),
        (0.95, 0.1, BOTH, "neither"),
        (0.51, 0.1, BOTH, "neither"),
        (0.95, None, BOTH, "label"),
    ],
)
def test_answer_to_act_on(probability, familiarity, thresholds, answer):
    seen = None if familiarity is None else np.array([familiarity])
    assert outcomes(np.array([[1 - probability, probability]]), seen, thresholds) == [answer]


def test_a_number_next_to_a_threshold_is_compared_as_it_is_not_rounded_first():
    """As on the page and in exported code, which compute in float64."""
    threshold = 0.05 + 1e-10  # the same as 0.05 in float32
    familiarity = np.array([0.05], np.float32)
    expected = "neither" if float(familiarity[0]) < threshold else "label"
    found = outcomes(np.array([[0.2, 0.8]], np.float32), familiarity, {"neither_below": threshold})
    assert found == [expected]

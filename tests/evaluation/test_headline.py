"""What a run is known by, and what it says of few pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pawsure.evaluation.headline import LEAST_TEST_PICTURES, headline, headline_sentences
from pawsure.evaluation.measure import measure

CROSSED = {
    "of": "linear probe",
    "folds": 5,
    "n": 81,
    "accuracy": {"value": 0.9, "low": 0.8, "high": 0.95},
}


def metrics(n: int, crossed: dict[str, Any] | None = None, **selected: Any) -> dict[str, Any]:
    label = np.arange(n) % 2
    test = measure(np.eye(2)[label] * 0.8 + 0.1, label, ["cat", "dog"])
    return {"test": test, "cross_validation": crossed, "selected": selected or None}


@pytest.mark.parametrize("crossed", [None, CROSSED])
@pytest.mark.parametrize("n", [1, 4, LEAST_TEST_PICTURES - 1, LEAST_TEST_PICTURES, 500])
def test_few_test_pictures_are_no_headline(n, crossed):
    found = headline(metrics(n, crossed))
    words = " ".join(headline_sentences(metrics(n, crossed)))
    assert found.source == (
        "test" if n >= LEAST_TEST_PICTURES else "cross_validation" if crossed else "none"
    )
    assert ("Test accuracy" in words) == (n >= LEAST_TEST_PICTURES)
    assert (f"Right on {n} of {n} test pictures: too few" in words) == (n < LEAST_TEST_PICTURES)
    assert ("5-fold cross-validation of the linear probe on 81" in words) == (crossed is not None)
    if n < LEAST_TEST_PICTURES:
        assert "100.0%" not in words
        assert found.value == (0.9 if crossed else None)


def test_a_few_cross_validated_pictures_are_no_headline_either():
    few = metrics(4, CROSSED | {"n": LEAST_TEST_PICTURES - 1})
    assert headline(few).source == "none"
    assert "Cross-validated" not in " ".join(headline_sentences(few))


@pytest.mark.parametrize(
    ("selected", "caveat"),
    [
        ({"is_probe": True, "tta": False}, ""),
        ({"is_probe": False, "tta": False}, "is fine-tuned; this figure is not of it"),
        ({"is_probe": True, "tta": True}, "test-time augmentation; this figure is without it"),
    ],
)
def test_a_figure_that_is_not_of_the_model_file_says_so(selected, caveat):
    words = " ".join(headline_sentences(metrics(4, CROSSED, **selected)))
    assert caveat in words
    assert ("this figure" in words) == bool(caveat)


def test_runs_of_older_versions_have_a_headline():
    old = {"test": metrics(40)["test"]}
    assert headline(old).value == 1.0
    assert headline_sentences(old)[0].startswith("Test accuracy 100.0% (40 held-out pictures; 95%")

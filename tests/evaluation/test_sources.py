from __future__ import annotations

import json

import numpy as np

from pawsure.evaluation.measure import Predictions
from pawsure.evaluation.sources import NO_SOURCE, by_source, compare_sources


def predictions(num: int, wrong: int, neither: int = 0) -> Predictions:
    label = np.arange(num) % 2
    probability = np.eye(2)[label] * 0.8 + 0.1
    probability[:wrong] = probability[:wrong, ::-1]
    outcome = np.full(num, "label", dtype=object)
    outcome[num - neither :] = "neither"
    return Predictions(
        indices=np.arange(num), probability=probability, label=label, problems=[], outcome=outcome
    )


def joined(*parts: Predictions) -> tuple[Predictions, np.ndarray]:
    """Pictures of several sources, called a, b, … in one catalog."""
    found = Predictions(
        indices=np.arange(sum(len(part.label) for part in parts)),
        probability=np.concatenate([part.probability for part in parts]),
        label=np.concatenate([part.label for part in parts]),
        problems=[],
        outcome=np.concatenate([part.outcome for part in parts]),
    )
    names = np.repeat(np.array(list("abc"[: len(parts)]), object), [len(p.label) for p in parts])
    return found, names


def test_each_source_has_its_own_figures():
    found, names = joined(predictions(100, 2), predictions(50, 25, neither=5))
    figures = by_source(found, names, ("cat", "dog"))
    assert [figures[name]["n"] for name in "ab"] == [100, 50]
    assert figures["a"]["accuracy"]["value"] == 0.98 and figures["b"]["accuracy"]["value"] == 0.5
    assert figures["b"]["answers"]["neither"]["n"] == 5
    assert figures["a"]["accuracy"]["low"] < 0.98 < figures["a"]["accuracy"]["high"]
    json.dumps(figures, allow_nan=False)


def test_a_source_that_fares_worse_is_named():
    figures = by_source(*joined(predictions(400, 4), predictions(200, 30, 40)), ("cat", "dog"))
    sentences = compare_sources(figures)
    assert "Error rate: b is significantly worse than a, 15.0% against 1.0%." in sentences
    assert any("b has significantly more than a, 20.0% against 0.0%." in one for one in sentences)


def test_noise_is_called_noise():
    figures = by_source(*joined(predictions(100, 2), predictions(100, 4)), ("cat", "dog"))
    assert compare_sources(figures) == ["No significant differences between the sources."]
    assert compare_sources({"a": figures["a"]}) == []


def test_equal_sources_are_seldom_told_apart():
    """At most about one in twenty, however many pairs are looked at."""
    rng = np.random.default_rng(0)
    told = 0
    for _ in range(60):
        parts = [predictions(200, rng.binomial(200, 0.1), rng.binomial(200, 0.1)) for _ in "abc"]
        figures = by_source(*joined(*parts), ("cat", "dog"))
        told += "No significant" not in compare_sources(figures)[0]
    assert told <= 6


def test_pictures_without_a_source_are_kept_apart():
    found, names = joined(predictions(10, 0), predictions(10, 0))
    names[:10] = ""
    assert set(by_source(found, names, ("cat", "dog"))) == {NO_SOURCE, "b"}

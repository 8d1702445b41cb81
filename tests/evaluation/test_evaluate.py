from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from pawsure.errors import DataError
from pawsure.evaluation.evaluate import evaluate, predict
from pawsure.evaluation.measure import measure


@dataclass
class Pictures:
    """Labelled pictures whose bytes are their own probabilities, as text."""

    rows: list[tuple[str, tuple[float, ...], str]]  # label, probabilities, problem
    labels: tuple[str, ...] = ("cat", "dog")
    splits: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self):
        self.path = np.array([f"{row}.jpg" for row in range(len(self.rows))], object)
        self.label = np.array([self.labels.index(label) for label, _, _ in self.rows])
        self.problem = np.array([problem for _, _, problem in self.rows], object)

    def read(self, index: int) -> bytes:
        return json.dumps(self.rows[index][1]).encode()

    def where(self, split: str | None = None) -> np.ndarray:
        if split is None:
            return np.flatnonzero(self.problem == "")
        return np.array(self.splits.get(split, []), np.int64)


class ReadsProbabilities:
    """A predictor that says what the bytes say, three pictures at a time."""

    def __init__(self, labels=("cat", "dog")):
        self.labels = labels

    def predict_series(self, read, indices):
        for start in range(0, len(indices), 3):
            found = {int(i): json.loads(read(i)) for i in indices[start : start + 3]}
            good = {i: row for i, row in found.items() if row}
            probability = np.array(list(good.values()), np.float32).reshape(-1, len(self.labels))
            yield SimpleNamespace(
                indices=np.array(list(good), np.int64),
                outputs=SimpleNamespace(probability=probability),
                problems=[(i, "truncated") for i in found if i not in good],
            )


@pytest.fixture
def pictures() -> Pictures:
    return Pictures(
        rows=[
            ("cat", (0.75, 0.25), ""),
            ("cat", (0.25, 0.75), ""),
            ("dog", (), "not a picture"),
            ("dog", (0.0625, 0.9375), ""),
            ("dog", (), ""),
            ("dog", (0.5, 0.5), ""),
        ],
        splits={"test": [0, 1, 3, 4], "train": [5]},
    )


def test_figures_of_a_split(pictures):
    figures = evaluate(ReadsProbabilities(), pictures)
    assert figures["split"] == "test"
    assert figures["n"] == 3
    assert figures["labels"] == ["cat", "dog"]
    assert figures["accuracy"]["value"] == pytest.approx(2 / 3)
    assert figures["log_loss"]["value"] == pytest.approx(-np.log([0.75, 0.25, 0.9375]).mean())
    assert figures["brier_score"]["value"] == pytest.approx(2 * (0.25**2 + 0.75**2 + 0.0625**2) / 3)
    assert figures["confusion_matrix"] == [[1, 1], [0, 1]]
    assert figures["per_class"]["cat"]["recall"]["value"] == 0.5
    assert figures["per_class"]["dog"]["precision"] == 0.5


def test_unreadable_pictures_are_named_and_not_counted(pictures):
    assert evaluate(ReadsProbabilities(), pictures)["unreadable"] == [
        {"path": "2.jpg", "error": "not a picture"},
        {"path": "4.jpg", "error": "truncated"},
    ]


def test_without_a_split_every_readable_picture_is_measured(pictures):
    assert evaluate(ReadsProbabilities(), pictures, split=None)["n"] == 4


def test_figures_are_plain_json(pictures):
    figures = evaluate(ReadsProbabilities(), pictures)
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures


def test_every_value_lies_in_its_interval(pictures):
    figures = evaluate(ReadsProbabilities(), pictures)
    for name in ("accuracy", "log_loss", "brier_score", "calibration_error"):
        figure = figures[name]
        assert figure["low"] <= figure["value"] <= figure["high"], name


def test_same_seed_same_figures(pictures):
    once = evaluate(ReadsProbabilities(), pictures, seed=3)
    assert evaluate(ReadsProbabilities(), pictures, seed=3) == once


def test_labels_are_matched_by_name_not_by_position(pictures):
    swapped = Pictures(pictures.rows, labels=("dog", "cat"), splits=pictures.splits)
    ours, theirs = (evaluate(ReadsProbabilities(), given) for given in (pictures, swapped))
    assert ours == theirs


def test_data_may_lack_a_label_that_the_model_knows():
    pictures = Pictures([("cat", (0.2, 0.2, 0.6), "")], labels=("cat",), splits={"test": [0]})
    figures = evaluate(ReadsProbabilities(("bird", "cat", "dog")), pictures)
    assert figures["per_class"]["bird"] == {
        "n": 0,
        "precision": None,
        "recall": None,
        "f1": None,
    }
    assert figures["per_class"]["cat"]["recall"]["value"] == 0


def test_label_that_the_model_does_not_know_is_refused():
    pictures = Pictures([], labels=("cat", "dog", "fish"))
    with pytest.raises(
        DataError,
        match="does not know 'fish'; it knows cat, dog. Leave the pictures of this label out",
    ):
        evaluate(ReadsProbabilities(), pictures)


def test_split_without_pictures_is_refused(pictures):
    with pytest.raises(DataError, match="no readable pictures in the split 'validation'"):
        evaluate(ReadsProbabilities(), pictures, split="validation")


def test_split_that_turns_out_unreadable_says_why():
    pictures = Pictures([("cat", (), "")], splits={"test": [0]})
    with pytest.raises(DataError, match="None of the 1 pictures of the split 'test' can be read"):
        evaluate(ReadsProbabilities(), pictures)


def test_progress_is_told_of_every_picture(pictures):
    steps = []
    progress = SimpleNamespace(
        start=lambda description, total: steps.append(-total),
        advance=steps.append,
        finish=lambda: steps.append(0),
    )
    predictions = predict(ReadsProbabilities(), pictures, progress=progress)
    assert steps[0] == -4 and sum(steps) == 0 and steps[-1] == 0
    assert predictions.indices.tolist() == [0, 1, 3]
    assert predictions.label.tolist() == [0, 0, 1]
    assert predictions.problems == [(4, "truncated")]


def test_a_model_that_knows_everything():
    label = np.arange(40) % 2
    figures = measure(np.eye(2)[label], label, ("cat", "dog"))
    assert figures["accuracy"]["value"] == figures["accuracy"]["high"] == 1
    assert figures["accuracy"]["low"] < 0.95  # forty pictures prove no more than that
    assert figures["calibration_error"]["value"] == 0


def test_only_pictures_with_a_label_can_err():
    rng = np.random.default_rng(0)
    first = rng.random(200)
    probability = np.stack([first, 1 - first], axis=1)
    label = rng.integers(0, 2, 200)
    outcome = rng.choice(np.array(["label", "unsure", "neither"], dtype=object), 200)
    told = measure(probability, label, ("cat", "dog"), outcome=outcome)["answers"]
    given = outcome == "label"
    assert [told[key]["n"] for key in ("answered", "unsure", "neither")] == [
        (outcome == name).sum() for name in ("label", "unsure", "neither")
    ]
    assert told["error"]["value"] == pytest.approx(
        (probability.argmax(axis=1) != label)[given].mean()
    )


def test_what_the_predictor_decides_is_what_is_counted(pictures):
    class Careful(ReadsProbabilities):
        def outcomes(self, probability, familiarity):
            return np.where(probability.max(axis=1) < 0.8, "unsure", "label")

    answers = evaluate(Careful(), pictures)["answers"]
    assert (answers["answered"]["n"], answers["unsure"]["n"]) == (1, 2)


def test_curves_are_json_ready_and_end_where_all_is_answered():
    rng = np.random.default_rng(1)
    probability = rng.dirichlet(np.ones(3), 500)
    label = rng.integers(0, 2, 500)  # none is of the third label
    figures = measure(probability, label, ("a", "b", "c"))
    json.dumps(figures, allow_nan=False)
    assert figures["risk_coverage"]["coverage"][-1] == 1
    assert figures["risk_coverage"]["risk"][-1] == pytest.approx(1 - figures["accuracy"]["value"])
    assert figures["precision_recall"]["c"] is None
    assert sum(figures["reliability"]["count"]) == 500
    assert figures["answers"]["answered"]["value"] == 1

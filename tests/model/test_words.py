from __future__ import annotations

import json

import pytest

from pawsure.model.answer import Answer
from pawsure.model.words import with_article


def an_answer(answer: str, label: str = "dog") -> Answer:
    return Answer(
        path=None,
        answer=answer,
        label=label,
        probability=0.999,
        probabilities={"cat": 0.001, label: 0.999},
        familiarity=0.01,
    )


def test_a_sure_label_on_an_unfamiliar_picture_is_told_as_what_it_is():
    answer = an_answer("neither")
    expected = "Looks like a dog, but unlike the pictures this model was trained on."
    assert answer.message == expected
    assert json.loads(answer.to_json())["message"] == expected


def test_every_answer_has_a_sentence():
    assert an_answer("dog").message == "dog, 99.9% sure."
    assert an_answer("unsure").message == "Too close to call: dog 99.9%, cat 0.1%."


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("dog", "a dog"),
        ("okapi", "an okapi"),
        ("sea_horse", "a sea horse"),
        ("class 7", "“class 7”"),
        ("été", "“été”"),
        ("_", "“_”"),
    ],
)
def test_labels_in_a_sentence(label, text):
    assert with_article(label) == text

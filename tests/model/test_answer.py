from __future__ import annotations

import json
import os

import numpy as np
import pytest

from pawsure.model.answer import Answer, Failure


def an_answer(**changes) -> Answer:
    given = {
        "path": "rex.jpg",
        "answer": "dog",
        "label": "dog",
        "probability": 0.75,
        "probabilities": {"cat": 0.25, "dog": 0.75},
    }
    return Answer(**(given | changes))


def test_json_is_one_line_with_the_fields_of_the_contract():
    text = an_answer(evidence=np.zeros((4, 4), np.float32)).to_json()
    assert "\n" not in text
    assert json.loads(text) == {
        "path": "rex.jpg",
        "answer": "dog",
        "label": "dog",
        "probability": 0.75,
        "probabilities": {"cat": 0.25, "dog": 0.75},
        "familiarity": None,
        "message": "dog, 75% sure.",
    }


def test_failure_has_a_path_and_an_error_and_no_answer():
    assert json.loads(Failure(path="rex.jpg", error="truncated").to_json()) == {
        "path": "rex.jpg",
        "error": "truncated",
    }


@pytest.mark.parametrize("path", ["größe/été.jpg", os.fsdecode(b"\xff.jpg"), "line\nbreak.jpg"])
def test_any_path_survives_json_in_plain_ascii(path):
    text = an_answer(path=path).to_json()
    assert text.isascii() and "\n" not in text
    assert json.loads(text)["path"] == path

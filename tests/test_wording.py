from __future__ import annotations

import pytest

from pawsure.wording import agreeing, count, rounded


def test_nouns_agree_with_their_number():
    assert [count(n, "picture") for n in (0, 1, 2000)] == [
        "0 pictures",
        "1 picture",
        "2,000 pictures",
    ]
    assert [count(n, "copy", "copies") for n in (1, 2)] == ["1 copy", "2 copies"]


def test_verbs_agree_with_their_number():
    assert [agreeing(n, "is", "are") for n in (0, 1, 2)] == ["are", "is", "are"]


@pytest.mark.parametrize(
    ("value", "text"), [(3e-4 / 10, "3e-05"), (0.1 + 0.2, "0.3"), (1e-3, "0.001"), (0.5, "0.5")]
)
def test_numbers_are_written_as_people_do(value, text):
    assert str(rounded(value)) == text

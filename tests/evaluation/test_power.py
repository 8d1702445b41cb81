from __future__ import annotations

import numpy as np
import pytest

from pawsure.errors import ShapeError
from pawsure.evaluation.paired import mcnemar
from pawsure.evaluation.power import pictures_to_tell, pictures_to_tell_half


def test_a_worked_example():
    # (1.959964 sqrt(0.3) + 0.841621 sqrt(0.3 - 0.01))^2 / 0.01 = 233.06...
    assert pictures_to_tell(0.1, 0.3) == 234
    assert pictures_to_tell(-0.1, 0.3) == 234


def test_that_many_pictures_find_the_difference_four_times_in_five():
    difference, differing = 0.02, 0.04
    n = pictures_to_tell(difference, differing)
    rng = np.random.default_rng(0)
    shares = [(differing + difference) / 2, (differing - difference) / 2, 1 - differing]
    found = [mcnemar(*rng.multinomial(n, shares)[:2]) < 0.05 for _ in range(400)]
    # The exact test holds back a little more than the formula's; 400 draws spread by 0.02.
    assert 0.68 < np.mean(found) < 0.87


def test_half_the_mistakes_takes_about_thirty_mistakes_to_see():
    for error in (0.01, 0.05, 0.2):
        assert 28 < pictures_to_tell_half(error) * error < 33


@pytest.mark.parametrize(("difference", "differing"), [(0, 0.1), (0.2, 0.1), (0.1, 1.1)])
def test_shares_that_cannot_be_are_refused(difference, differing):
    with pytest.raises(ShapeError, match="told apart by a difference above 0"):
        pictures_to_tell(difference, differing)

from __future__ import annotations

import pytest

from pawsure.training.recipe import Stage
from pawsure.training.schedule import learning_rate_at


def rates(num_steps: int, **changes) -> list[float]:
    stage = Stage(name="s", learning_rate=0.1, **changes)
    return [learning_rate_at(stage, step, num_steps) for step in range(num_steps)]


def test_a_constant_rate_is_constant():
    assert set(rates(10)) == {0.1}


def test_a_warm_up_climbs_to_the_highest_rate_and_cosine_comes_down_from_it():
    found = rates(100, schedule="cosine", warmup=0.1)
    assert found[:10] == pytest.approx([0.01 * step for step in range(1, 11)])
    assert found[10] == pytest.approx(0.1)
    assert found[55] == pytest.approx(0.05)
    assert all(later < earlier for earlier, later in zip(found[10:], found[11:], strict=False))
    assert 0 < found[-1] < 1e-3

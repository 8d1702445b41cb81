"""Which variable learns how fast, and what decays."""

from __future__ import annotations

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from pawsure.training.optimizers import HEAD_LAYER, make_optimizer, rate_factors  # noqa: E402
from pawsure.training.recipe import Stage  # noqa: E402


@pytest.fixture
def part():
    """Three layers and a head, whose result is the sum of all their weights."""
    rows = given = keras.Input((4,))
    for name in ("first", "second", "third"):
        rows = keras.layers.Dense(4, name=name)(rows)
    return keras.Model(given, keras.layers.Dense(1, name=HEAD_LAYER)(rows))


def stage(**changes):
    settings = {"optimizer": "sgd", "learning_rate": 0.1} | changes
    return Stage(name="some", train_from=0.5, **settings)


def moves(part, some_stage, gradient=1.0):
    """How far each variable goes in one step."""
    optimizer = make_optimizer(some_stage, part)
    optimizer.build(part.trainable_variables)
    before = [np.array(variable) for variable in part.trainable_variables]
    gradients = [keras.ops.full(v.shape, gradient) for v in part.trainable_variables]
    optimizer.apply(gradients, part.trainable_variables)
    return {
        variable.path: float(np.abs(value - np.array(variable)).max())
        for variable, value in zip(part.trainable_variables, before, strict=True)
    }


def test_everything_learns_alike_unless_told_otherwise(part):
    assert set(rate_factors(stage(), part)) == {1.0}


def test_deeper_layers_learn_slower_by_equal_ratios_and_the_head_as_told(part):
    moved = moves(part, stage(deep_rate=0.01, head_rate=3.0))
    for kind in ("kernel", "bias"):
        assert moved[f"third/{kind}"] / moved[f"second/{kind}"] == pytest.approx(10, rel=1e-3)
        assert moved[f"second/{kind}"] / moved[f"first/{kind}"] == pytest.approx(10, rel=1e-3)
        assert moved[f"{HEAD_LAYER}/{kind}"] / moved[f"third/{kind}"] == pytest.approx(3, rel=1e-3)


def test_kernels_decay_and_biases_do_not(part):
    moved = moves(part, stage(optimizer="adamw", weight_decay=0.5), gradient=0.0)
    assert all((way > 0) == path.endswith("kernel") for path, way in moved.items())

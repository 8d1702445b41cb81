"""The learning rate as a function of the step."""

from __future__ import annotations

import math

from pawsure.training.recipe import Stage


def learning_rate_at(stage: Stage, step: int, num_steps: int) -> float:
    """The rate of one step.

    Args:
        stage: its `learning_rate`, `schedule` and `warmup` decide.
        step: from 0.
        num_steps: of the whole stage.

    Returns:
        A rate in (0, `stage.learning_rate`]; a warm-up climbs linearly to the highest, and
        "cosine" comes down from there along half a wave.
        Source: Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5 without restarts.
    """
    warm_steps = round(stage.warmup * num_steps)
    if step < warm_steps:
        return stage.learning_rate * (step + 1) / warm_steps
    if stage.schedule == "constant":
        return stage.learning_rate
    done = (step - warm_steps) / max(1, num_steps - warm_steps)
    return stage.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))

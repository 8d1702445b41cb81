"""Where a stage stands after an epoch, on disk, so that a killed run can go on.

Everything that the next epoch depends on is kept: weights, the optimizer's slots, dropout's
seeds, the weights to keep and the history. The order of pictures is not: it is drawn
anew from (seed, stage, epoch).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pawsure.data.files import atomic_path

_GROUPS = ("weights", "optimizer", "kept", "validation")


@dataclass
class StageState:
    """One stage after some epochs.

    Attributes:
        epochs_done: of this stage.
        weights: of the part that is trained, in Keras's order, seeds of dropout included.
        optimizer: the optimizer's variables.
        kept: what the stage would leave behind if it ended here.
        validation: float32 (M, K) an epoch, probabilities of the validation pictures.
        history: a row an epoch.
    """

    epochs_done: int = 0
    weights: list[np.ndarray] = field(default_factory=list)
    optimizer: list[np.ndarray] = field(default_factory=list)
    kept: list[np.ndarray] = field(default_factory=list)
    validation: list[np.ndarray] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def best_loss(self) -> float:
        """The lowest validation loss so far; infinity before the first epoch."""
        return min((row["validation_loss"] for row in self.history), default=float("inf"))

    def kept_epoch(self, keep: str) -> int:
        """The row of the history whose weights a stage leaves behind."""
        if keep == "last":
            return len(self.history) - 1
        losses = [row["validation_loss"] for row in self.history]
        return losses.index(min(losses))


def save_state(state: StageState, path: Path) -> None:
    """Write a state, whole or not at all."""
    groups = {name: getattr(state, name) for name in _GROUPS}
    arrays = {
        f"{name}.{place}": array
        for name, group in groups.items()
        for place, array in enumerate(group)
    }
    told = json.dumps({"epochs_done": state.epochs_done, "history": state.history})
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, told=np.array(told), **arrays)


def load_state(path: Path) -> StageState | None:
    """Read a state back; None when there is none."""
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as file:
        told = json.loads(str(file["told"]))
        groups = {
            name: [file[f"{name}.{place}"] for place in range(_count(file, name))]
            for name in _GROUPS
        }
    return StageState(epochs_done=told["epochs_done"], history=told["history"], **groups)


def _count(file: Any, name: str) -> int:
    return sum(key.startswith(f"{name}.") for key in file.files)

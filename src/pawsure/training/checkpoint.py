"""Where a stage stands after an epoch, on disk, so that a killed run can go on.

Everything that the next epoch depends on is kept: weights, the optimizer's slots, dropout's
seeds, the weights to keep and the history. The order of pictures is not: it is drawn
anew from (seed, stage, epoch). A file ends with its checksum, and the state of the epoch before
is kept as well, in case it is damaged.
"""

from __future__ import annotations

import json
import os
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pawsure.data.files import atomic_path
from pawsure.progress import NO_PROGRESS, Progress

_GROUPS = ("weights", "optimizer", "kept", "validation")
_CHECKSUM_BYTES = 4
_BLOCK = 2**20


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
        kept_probability: float64 (M, K), what `kept` says of the validation pictures, before any
            temperature; None where no epoch of this process chose it. Not on disk.
    """

    epochs_done: int = 0
    weights: list[np.ndarray] = field(default_factory=list)
    optimizer: list[np.ndarray] = field(default_factory=list)
    kept: list[np.ndarray] = field(default_factory=list)
    validation: list[np.ndarray] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    kept_probability: np.ndarray | None = None

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
    """Write a state, whole or not at all; the one before it stays beside it.

    Raises:
        OSError: it can't be written, or the run folder is gone.
    """
    groups = {name: getattr(state, name) for name in _GROUPS}
    arrays = {
        f"{name}.{place}": array
        for name, group in groups.items()
        for place, array in enumerate(group)
    }
    described = json.dumps({"epochs_done": state.epochs_done, "history": state.history})
    path.parent.mkdir(exist_ok=True)
    with atomic_path(path) as temporary:
        with open(temporary, "wb") as file:
            np.savez(file, told=np.array(described), **arrays)
        checksum = _checksum(temporary, temporary.stat().st_size)
        with open(temporary, "ab") as file:
            file.write(checksum)
        with suppress(FileNotFoundError):
            os.replace(path, _before(path))


def load_state(path: Path, progress: Progress = NO_PROGRESS) -> StageState | None:
    """Read a state back; the one before it, if it is damaged; None when there is none."""
    for place in (path, _before(path)):
        if not place.is_file():
            continue
        if _is_whole(place):
            return _read(place)
        progress.say(
            f"The checkpoint {place} is damaged and was not used; the stage resumes from an "
            "earlier one, or from its start."
        )
    return None


def _before(path: Path) -> Path:
    return path.with_name(f"{path.stem}.before{path.suffix}")


def _is_whole(path: Path) -> bool:
    """Whether a file ends with the checksum of what comes before it."""
    try:
        length = path.stat().st_size - _CHECKSUM_BYTES
        with open(path, "rb") as file:
            file.seek(max(length, 0))
            return length > 0 and _checksum(path, length) == file.read()
    except OSError:
        return False


def _checksum(path: Path, length: int) -> bytes:
    """CRC-32 of the first bytes of a file, as 4 bytes."""
    checksum, left = 0, length
    with open(path, "rb") as file:
        while left > 0 and (block := file.read(min(left, _BLOCK))):
            checksum = zlib.crc32(block, checksum)
            left -= len(block)
    return checksum.to_bytes(_CHECKSUM_BYTES, "big")


def _read(path: Path) -> StageState:
    with np.load(path, allow_pickle=False) as file:  # a zip archive: what is behind it is ignored
        described = json.loads(str(file["told"]))
        groups: dict[str, Any] = {
            name: [file[f"{name}.{place}"] for place in range(_count(file, name))]
            for name in _GROUPS
        }
    return StageState(epochs_done=described["epochs_done"], history=described["history"], **groups)


def _count(file: Any, name: str) -> int:
    return sum(key.startswith(f"{name}.") for key in file.files)

"""Which model answers: the one that is named, or one that comes with pawsure."""

from __future__ import annotations

from pathlib import Path

from pawsure.errors import UsageError
from pawsure.model.predictor import Predictor


def load(path: str | Path | None = None, *, threads: int | None = None) -> Predictor:
    """Load a model.

    Args:
        path: a model file, or the run folder that holds one; None takes the model on board.
        threads: CPU threads of one forward pass; None takes one per core.

    Raises:
        ModelFileError: the file is no pawsure model, was cut short, or is of a newer format.
        UsageError: no file was named and none is on board.

    Example:
        >>> model = load("runs/pets")  # doctest: +SKIP
        >>> model("rex.jpg").probability  # doctest: +SKIP
        0.998
    """
    return Predictor(onboard_model() if path is None else path, threads=threads)


def onboard_model() -> Path:
    """The model file that comes with pawsure.

    Raises:
        UsageError: there is none yet.
    """
    raise UsageError(
        "No model comes with this version of pawsure. Name one: --model runs/mine/model.onnx "
        "(in Python: pawsure.load('runs/mine/model.onnx')); 'pawsure train' makes one."
    )

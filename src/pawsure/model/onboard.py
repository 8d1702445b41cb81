"""The models that come with pawsure, and which file a name means."""

from __future__ import annotations

from pathlib import Path

from pawsure.errors import ModelFileError, UsageError

ON_BOARD = ("pets", "pets-small")
"""Models of cats and dogs that come with pawsure. The
first answers where none is named; the other is faster, smaller, and errs more often."""


def find_model(path: str | Path | None = None) -> Path:
    """The model file that is meant.

    Args:
        path: the file, the run folder that holds it as model.onnx, or a name of `ON_BOARD`, where
            no file has that name; None: the first of those.

    Raises:
        UsageError: this installation lacks the models on board.
    """
    if path is None:
        return onboard_model()
    if str(path) in ON_BOARD and not Path(path).exists():
        return onboard_model(str(path))
    path = Path(path).expanduser()
    inside = path / "model.onnx"
    return inside if inside.is_file() else path


def check_model(path: str | Path | None) -> None:
    """Refuse a model that does not exist; nothing is read.

    Raises:
        ModelFileError: there is no such file.
    """
    found = find_model(path)
    if not found.exists():
        raise ModelFileError(
            f"There is no model file at {found}. Check the path; 'pawsure train' writes one."
        )


def onboard_model(name: str = ON_BOARD[0]) -> Path:
    """The file of a model that comes with pawsure.

    Raises:
        UsageError: it is not there.
    """
    path = onboard_folder() / f"{name}.onnx"
    if not path.is_file():
        raise UsageError(
            f"The model on board, {name}, is missing from this installation: there is no {path}. "
            "Install pawsure anew, or name a model: --model runs/mine/model.onnx (in Python: "
            "pawsure.load('runs/mine/model.onnx')); 'pawsure train' makes one."
        )
    return path


def onboard_folder() -> Path:
    """Where the models on board lie, each with its card beside it."""
    return Path(__file__).parent / "pets"

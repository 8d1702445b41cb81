"""The built-in models, and which file a name stands for."""

from __future__ import annotations

from pathlib import Path

from pawsure.errors import ModelFileError, UsageError

BUILTIN = ("pets", "pets-small")
"""The built-in models, of cats and dogs. The first is the default; the other is smaller, faster
and less accurate."""


def find_model(path: str | Path | None = None) -> Path:
    """The model file of a path or name.

    Args:
        path: the file, the run folder with a model.onnx, or a name of `BUILTIN` (if no file has
            that name); None: the first of those.

    Raises:
        UsageError: this installation lacks the built-in models.
    """
    if path is None:
        return builtin_model()
    if str(path) in BUILTIN and not Path(path).exists():
        return builtin_model(str(path))
    path = Path(path).expanduser()
    inside = path / "model.onnx"
    return inside if inside.is_file() else path


def check_model(path: str | Path | None) -> None:
    """Raise ModelFileError if there is no such model file; nothing is read."""
    file = find_model(path)
    if not file.exists():
        raise ModelFileError(
            f"There is no model file at {file}. Check the path; 'pawsure train' writes one."
        )


def builtin_model(name: str = BUILTIN[0]) -> Path:
    """The file of a built-in model; UsageError if it is missing."""
    path = builtin_folder() / f"{name}.onnx"
    if not path.is_file():
        raise UsageError(
            f"The built-in model {name} is missing from this installation: there is no {path}. "
            "Reinstall pawsure, or name a model: --model runs/mine/model.onnx (in Python: "
            "pawsure.load('runs/mine/model.onnx')); 'pawsure train' writes one."
        )
    return path


def builtin_folder() -> Path:
    """The folder of the built-in models and their cards."""
    return Path(__file__).parent / "pets"

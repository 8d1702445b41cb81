"""pawsure: from labelled pictures to an image classifier that can be trusted.

    import pawsure

    run = pawsure.train("photos/")
    model = pawsure.load(run.model_file)
    answer = model("rex.jpg")

Names are imported when they are first used, so `import pawsure` takes a millisecond and using a
model never loads the training libraries.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pawsure._version import __version__ as __version__

if TYPE_CHECKING:
    from pawsure.errors import PawsureError as PawsureError
    from pawsure.model.answer import Answer as Answer
    from pawsure.model.answer import Failure as Failure
    from pawsure.model.predictor import Predictor as Predictor
    from pawsure.model.predictor import load as load
    from pawsure.training.entry import train as train
    from pawsure.training.finished import Run as Run

_WHERE = {
    "Answer": "pawsure.model.answer",
    "Failure": "pawsure.model.answer",
    "PawsureError": "pawsure.errors",
    "Predictor": "pawsure.model.predictor",
    "Run": "pawsure.training.finished",
    "load": "pawsure.model.predictor",
    "train": "pawsure.training.entry",
}

__all__ = [
    "Answer",
    "Failure",
    "PawsureError",
    "Predictor",
    "Run",
    "__version__",
    "load",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _WHERE:
        raise AttributeError(f"module 'pawsure' has no attribute '{name}'")
    value = getattr(import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Include the public names, for completion."""
    return sorted({*globals(), *__all__})

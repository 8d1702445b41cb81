from __future__ import annotations

import subprocess
import sys
from typing import get_type_hints

import pytest

import pawsure


def test_all_is_sorted_and_complete():
    assert pawsure.__all__ == [
        "Answer",
        "Failure",
        "PawsureError",
        "Predictor",
        "Run",
        "__version__",
        "load",
        "train",
    ]
    assert pawsure.__all__ == sorted(pawsure.__all__)


@pytest.mark.parametrize("name", pawsure.__all__)
def test_every_public_name_is_there_and_documented(name):
    value = getattr(pawsure, name)
    assert name in dir(pawsure)
    if callable(value):
        assert value.__doc__
        assert value.__module__.startswith("pawsure.")


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'pawsure' has no attribute 'lode'"):
        pawsure.lode  # noqa: B018


@pytest.mark.parametrize("name", ["load", "train"])
def test_arguments_and_results_have_types(name):
    function = getattr(pawsure, name)
    hints = get_type_hints(function)
    arguments = function.__code__.co_varnames[
        : function.__code__.co_argcount + function.__code__.co_kwonlyargcount
    ]
    assert set(hints) == {*arguments, "return"}


def test_import_is_lazy_and_the_namesakes_do_not_collide():
    program = """
import sys, pawsure
assert "numpy" not in sys.modules and "pawsure.model" not in sys.modules
from pawsure import Answer, load
import pawsure.training, pawsure.model
assert callable(load) and callable(pawsure.load)
assert not {"tensorflow", "keras", "onnx", "pyarrow"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

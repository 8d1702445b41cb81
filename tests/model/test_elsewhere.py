"""The built-in models on pictures from elsewhere: `PAWSURE_DATA` says where those lie."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from pawsure.model.predictor import Predictor

_SCRIPT = Path(__file__).parents[2] / "benchmarks" / "elsewhere.py"
_SPEC = importlib.util.spec_from_file_location("elsewhere_benchmark", _SCRIPT)
BENCHMARK = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = BENCHMARK  # where its dataclasses look for their module
_SPEC.loader.exec_module(BENCHMARK)

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif("PAWSURE_DATA" not in os.environ, reason="needs PAWSURE_DATA"),
]


MEASURED = {
    "pets": BENCHMARK.Bars(
        calibration_error=0.02,
        accuracy=0.99,
        press=0.97,
        without_label=0.12,
        others=0.03,
        near=0.4,
        error=0.0125,
    ),
    "pets-small": BENCHMARK.Bars(
        calibration_error=0.02,
        accuracy=0.95,
        press=0.95,
        without_label=0.14,
        others=0.11,
        near=0.7,
        error=0.03,
    ),
}
"""What the cards of the models say, with room for a picture or two."""


@pytest.mark.parametrize("name", ["pets", "pets-small"])
def test_a_built_in_model_keeps_what_its_card_says_of_pictures_from_elsewhere(name):
    data = Path(os.environ["PAWSURE_DATA"])
    sources = ("full-size", "elsewhere/oxford", "elsewhere/press")
    figures = BENCHMARK.elsewhere(
        Predictor(name),
        [str(data / source) for source in sources],
        [str(data / "neither"), str(data / "elsewhere" / "strangers")],
    )
    assert BENCHMARK.missed_bars(figures, MEASURED[name]) == []

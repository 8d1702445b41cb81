"""The built-in models on pictures from elsewhere: `PAWSURE_DATA` says where those lie."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from pawsure.model.predictor import Predictor

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif("PAWSURE_DATA" not in os.environ, reason="needs PAWSURE_DATA"),
]


@pytest.mark.parametrize("name", ["pets", "pets-small"])
def test_a_built_in_model_holds_its_bars_on_pictures_from_elsewhere(name):
    script = Path(__file__).parents[2] / "benchmarks" / "elsewhere.py"
    spec = importlib.util.spec_from_file_location("elsewhere_benchmark", script)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    data = Path(os.environ["PAWSURE_DATA"])
    sources = ("full-size", "elsewhere/oxford", "elsewhere/press")
    figures = benchmark.elsewhere(
        Predictor(name),
        [str(data / source) for source in sources],
        [str(data / "neither"), str(data / "elsewhere" / "strangers")],
    )
    assert benchmark.missed_bars(figures, benchmark.BARS[name]) == []

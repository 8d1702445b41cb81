"""The models that come with pawsure: there, small, whole, and as good as their cards say."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from tiny_models import tiny_model_file

import pawsure
from pawsure.errors import UsageError
from pawsure.model import builtin
from pawsure.model.builtin import BUILTIN, builtin_model, find_model
from pawsure.model.predictor import load


def test_a_named_model_is_loaded(tmp_path):
    assert load(tiny_model_file(tmp_path / "model.onnx")).labels == ("cat", "dog")


def test_a_file_goes_before_a_name_on_board(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_model("pets-small").parent == builtin.builtin_folder()
    (tmp_path / "pets-small").mkdir()
    assert find_model("pets-small").parent != builtin.builtin_folder()


def test_where_none_is_on_board_the_way_out_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(builtin, "builtin_folder", lambda: tmp_path)
    for name in (None, *BUILTIN):
        with pytest.raises(UsageError, match=r"is missing.*--model.*'pawsure train'"):
            load(name)


def test_the_first_answers_where_none_is_named():
    model = pawsure.load()
    assert model.path == builtin_model(BUILTIN[0])
    answer = model(np.full((300, 400, 3), 128, np.uint8))
    assert answer.answer == "neither"  # a grey wall


@pytest.mark.parametrize(
    ("name", "size_px", "most_bytes"), [("pets", 260, 7_000_000), ("pets-small", 128, 3_500_000)]
)
def test_each_is_small_complete_and_quantised(name, size_px, most_bytes):
    path = builtin_model(name)
    assert path.stat().st_size <= most_bytes
    model = load(name)
    assert model.labels == ("cat", "dog")
    assert model.size_px == size_px
    assert model.metadata.precision == "int8"
    assert 0 < model.metadata.thresholds["neither_below"] <= 0.1
    assert "/" not in model.metadata.recipe.split("description")[0]


@pytest.mark.parametrize("name", BUILTIN)
def test_cards_say_what_the_metadata_say(name):
    card = builtin_model(name).with_suffix(".md").read_text(encoding="utf-8")
    test = load(name).metadata.figures["test"]
    accuracy, answers = test["accuracy"], test["answers"]
    for told in (
        f"{accuracy['value']:.1%} ({accuracy['low']:.1%} to {accuracy['high']:.1%})",
        f"{test['log_loss']['value']:.3f} ({test['log_loss']['low']:.3f} to",
        f"{test['calibration_error']['value']:.2%}",
        f"{answers['answered']['value']:.1%}, of these {answers['error']['value']:.2%} wrongly",
        f"{test['n']:,} others",
    ):
        assert told in card, told


@pytest.mark.real
@pytest.mark.skipif("PAWSURE_DATA" not in os.environ, reason="needs PAWSURE_DATA")
@pytest.mark.parametrize("name", BUILTIN)
def test_photographs_at_their_full_size_and_strangers_are_told(name):
    data, model = Path(os.environ["PAWSURE_DATA"]), load(name)
    for label in model.labels:
        paths = sorted((data / "full-size" / label).iterdir())[:60]
        answers = [answer.label for answer in model.predict_paths(paths)]
        assert np.mean([answer == label for answer in answers]) > 0.95
    strange = [
        paths[0] for paths in map(sorted, (d.iterdir() for d in (data / "neither").iterdir()))
    ]
    answers = [answer.answer for answer in model.predict_paths(strange)]
    assert np.mean([answer in ("neither", "unsure") for answer in answers]) > 0.85

from __future__ import annotations

import pytest
from tiny_models import tiny_model_file

from pawsure.errors import UsageError
from pawsure.model import onboard
from pawsure.model.onboard import ON_BOARD, find_model
from pawsure.model.predictor import load


def test_named_model_is_loaded(tmp_path):
    assert load(tiny_model_file(tmp_path / "model.onnx")).labels == ("cat", "dog")


def test_a_file_goes_before_a_name_on_board(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_model("pets-128").parent == onboard.onboard_folder()
    (tmp_path / "pets-128").mkdir()
    assert find_model("pets-128").parent != onboard.onboard_folder()


def test_where_none_is_on_board_the_way_out_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(onboard, "onboard_folder", lambda: tmp_path)
    for name in (None, *ON_BOARD):
        with pytest.raises(UsageError, match=r"is missing.*--model.*'pawsure train'"):
            load(name)

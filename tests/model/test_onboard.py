from __future__ import annotations

import pytest
from tiny_models import tiny_model_file

from pawsure.errors import UsageError
from pawsure.model.onboard import load


def test_named_model_is_loaded(tmp_path):
    assert load(tiny_model_file(tmp_path / "model.onnx")).labels == ("cat", "dog")


def test_without_a_name_and_without_one_on_board_the_way_out_is_told():
    with pytest.raises(UsageError, match=r"No model comes with.*--model.*'pawsure train'"):
        load()

from __future__ import annotations

import onnxruntime
import pytest
from tiny_models import tiny_model_file

from pawsure.model import sessions

MODE = "session.x64quantprecision"


@pytest.fixture
def mode_for(tmp_path, monkeypatch):
    """Whether a session is opened in precision mode, given what the processor tells."""
    model = tiny_model_file(tmp_path / "model.onnx")
    chosen = {}

    class Options(onnxruntime.SessionOptions):
        def add_session_config_entry(self, key, value):
            chosen[key] = value
            super().add_session_config_entry(key, value)

    def opened(told: str | None) -> bool:
        chosen.clear()
        sessions._adds_bytes_exactly.cache_clear()
        if told is not None:
            (tmp_path / "cpuinfo").write_text(told)
        monkeypatch.setattr(sessions, "_PROCESSOR", tmp_path / "cpuinfo")
        monkeypatch.setattr(onnxruntime, "SessionOptions", Options)
        sessions.open_session(model, 1)
        return chosen.get(MODE) == "1"

    yield opened
    sessions._adds_bytes_exactly.cache_clear()


@pytest.mark.parametrize("flags", ["fpu avx2 avx512_vnni", "avx2 avx_vnni sse"])
def test_processors_with_vnni_need_no_precision_mode(mode_for, flags):
    assert not mode_for(f"processor\t: 0\nflags\t\t: {flags}\n")


@pytest.mark.parametrize("told", ["flags\t\t: fpu avx2\n", "Features\t: asimd\n", "", None])
def test_all_others_get_it(mode_for, told):
    assert mode_for(told)

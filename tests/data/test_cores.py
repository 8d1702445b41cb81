from __future__ import annotations

import os
from pathlib import Path

import pytest

from pawsure.data.cores import available_cores


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("6400000 100000", 8),
        ("", 8),
        ("nonsense", 8),
    ],
)
def test_a_container_counts_what_it_may_use(tmp_path: Path, quota: str, cores: int):
    (tmp_path / "cpu.max").write_text(quota)
    assert available_cores(tmp_path / "cpu.max") == cores


@pytest.mark.usefixtures("eight_cores")
def test_without_control_groups_the_affinity_counts(tmp_path: Path):
    assert available_cores(tmp_path / "cpu.max") == 8

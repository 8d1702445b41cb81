from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pinned(lock: Path) -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+)==", lock.read_text(), re.MULTILINE))


def names(requirements: list[str]) -> set[str]:
    found = {re.match(r"[\w-]+", requirement)[0] for requirement in requirements}
    return {name.lower().replace("_", "-") for name in found}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_locks_name_no_host_and_no_path(lock):
    allowed = re.compile(
        r"(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?|[a-z0-9-]+==[\w.]+(?: ; [^/:]+)? \\)"
    )
    strange = [line for line in lock.read_text().splitlines() if not allowed.fullmatch(line)]
    assert not strange


def test_the_lock_holds_what_the_project_asks_for():
    optional = PROJECT["optional-dependencies"]
    wanted = PROJECT["dependencies"] + optional["train"] + optional["serve"] + optional["dev"]
    wanted += optional["lite"]
    assert names(wanted) <= pinned(ROOT / "requirements" / "dev.txt")


def test_prediction_alone_is_locked_without_tensorflow():
    base = pinned(ROOT / "requirements" / "base.txt")
    assert names(PROJECT["dependencies"]) <= base
    assert not base & {"tensorflow", "tensorflow-cpu", "keras", "scikit-learn", "onnx"}


def test_the_locks_agree():
    base, everything = (
        dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements" / name).read_text(), re.M))
        for name in ("base.txt", "dev.txt")
    )
    assert base.items() <= everything.items()

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
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


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution, unpacked, and the wheel made from that."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("built")
    build("sdist", ROOT, folder)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    (unpacked,) = (path for path in folder.iterdir() if path.is_dir())
    build("wheel", unpacked, folder)
    return folder


def build(target: str, source: Path, out: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(out)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)


def unpacked(built: Path) -> Path:
    return next(path for path in built.iterdir() if path.is_dir())


def description(built: Path) -> tuple[str, str]:
    """Header and text of the wheel's metadata."""
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        header, _, text = file.read(name).decode().partition("\n\n")
    return header, text


def test_the_source_distribution_is_the_repository(built):
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no checkout")
    tracked = {name for name in listed.stdout.splitlines() if not name.startswith(".ci/")}
    assert {name for name in tracked if (ROOT / name).exists()} <= {
        path.relative_to(unpacked(built)).as_posix() for path in unpacked(built).rglob("*")
    }


@pytest.mark.parametrize("target", ["demo", "test", "check"])
def test_make_finds_all_it_needs_in_the_source_distribution(built, target):
    if shutil.which("make") is None:
        pytest.skip("there is no make")
    command = ["make", "-n", target, f"PYTHON={sys.executable}"]
    planned = subprocess.run(command, cwd=unpacked(built), capture_output=True, text=True)
    assert planned.returncode == 0, planned.stderr
    text = planned.stdout + (unpacked(built) / "examples" / "demo.sh").read_text()
    files = set(re.findall(r"(?:examples|requirements)/[\w./-]+", text))
    assert "requirements/dev.txt" in files
    assert all((unpacked(built) / name).is_file() for name in files)


def test_the_wheel_of_the_source_distribution_has_everything_in_the_package(built):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        packed = {name for name in file.namelist() if name.startswith("pawsure/")}
    source = unpacked(built) / "src"
    assert packed == {path.relative_to(source).as_posix() for path in files_in(source / "pawsure")}


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]


RELATIVE = r"\]\((?!https?:|#)([^)]*)\)"


def test_the_long_description_has_no_dead_links(built):
    header, text = description(built)
    assert "Description-Content-Type: text/markdown" in header
    assert "](docs/" in (ROOT / "README.md").read_text()
    assert re.findall(RELATIVE, text) == []
    assert "[](" not in text and "![" not in text
    assert text.lstrip().startswith((ROOT / "README.md").read_text()[:40])


def test_the_repository_s_address_makes_the_links_absolute():
    readme = (ROOT / "README.md").read_text()
    make = runpy.run_path(str(ROOT / "hatch_build.py"))["long_description"]
    text = make(readme, "https://example.org/pawsure")
    assert re.findall(RELATIVE, text) == []
    assert "](https://example.org/pawsure/raw/HEAD/docs/images/report.png)](https://" in text
    assert "](https://example.org/pawsure/blob/HEAD/docs/serving.md)" in text
    assert len(re.findall(r"\]\(", text)) == len(re.findall(r"\]\(", readme))

"""The Dockerfile, without an engine: what it says, and its build steps run as a script."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
from served_colours import picture
from tiny_models import red_or_blue_model_file
from typer.main import get_command
from whole_app import app

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")


def steps(kind: str) -> list[str]:
    return re.findall(rf"^{kind} (.*)$", DOCKERFILE, re.MULTILINE)


def copied() -> list[str]:
    """What comes from the checkout."""
    found = [step.split()[:-1] for step in steps("COPY") if not step.startswith("--from")]
    return [name for names in found for name in names]


def test_everything_that_is_copied_exists_and_is_not_ignored():
    kept = re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    for name in copied():
        assert (ROOT / name).exists(), name
        assert any(fnmatch(name, pattern) for pattern in kept), name


def test_it_is_no_root_and_no_tensorflow():
    assert steps("USER") == ["10001"]
    locked = (ROOT / "requirements" / "serve.txt").read_text()
    assert "fastapi==" in locked
    assert not re.search(r"^(tensorflow|keras|selenium|pytest)[-\w]*==", locked, re.MULTILINE)


def test_it_starts_with_options_that_exist():
    (entry,), (rest,) = steps("ENTRYPOINT"), steps("CMD")[-1:]
    words = [word.strip('"') for word in re.findall(r'"[^"]*"', entry + rest)]
    assert words[:2] == ["pawsure", "serve"]
    known = {name for p in get_command(app).commands["serve"].params for name in p.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_the_locks_of_server_and_developers_agree():
    serve, dev = (
        set(re.findall(r"^([a-z0-9-]+==\S+)", (ROOT / "requirements" / name).read_text(), re.M))
        for name in ("serve.txt", "dev.txt")
    )
    assert serve <= dev


@pytest.mark.slow
def test_the_build_steps_make_something_that_serves(tmp_path: Path):
    """Runs them with this Python, in a folder of their own; asks the package registry."""
    build = tmp_path / "build"
    build.mkdir()
    for name in copied():
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, build / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, build)
    script = " && ".join(steps("RUN")[:-1]).replace("/opt/", f"{tmp_path}/opt/")
    script = script.replace("python -m venv", f"{shlex.quote(sys.executable)} -m venv")
    subprocess.run(["bash", "-ec", script], cwd=build, check=True)
    python = tmp_path / "opt" / "pawsure" / "bin" / "python"
    (tmp_path / "model").mkdir()
    model = red_or_blue_model_file(tmp_path / "model" / "model.onnx")
    (tmp_path / "red.jpg").write_bytes(picture("red"))
    program = """
import subprocess, sys, urllib.request
command = [sys.executable, "-m", "pawsure", "serve", "--host", "0.0.0.0", "--port", "0"]
server = subprocess.Popen([*command, "--model", sys.argv[1]], stderr=subprocess.PIPE, text=True)
port = server.stderr.readline().split(",")[0].rpartition(":")[2]
address = f"http://127.0.0.1:{port}"
assert urllib.request.urlopen(address + "/page/main.js").status == 200
body = open(sys.argv[2], "rb").read()
request = urllib.request.Request(address + "/v1/predict", body, {"Content-Type": "image/jpeg"})
print(urllib.request.urlopen(request).read().decode())
server.terminate()
"""
    arguments = [python, "-c", program, model.parent, tmp_path / "red.jpg"]
    answer = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert '"answer": "red"' in answer.stdout, answer.stderr


def test_telemetry_is_off_in_the_image_and_in_compose():
    assert any("ORT_DISABLE_TELEMETRY=1" in step for step in steps("ENV"))
    assert 'ORT_DISABLE_TELEMETRY: "1"' in (ROOT / "compose.yaml").read_text()

"""Commands in a fresh home: which files they leave there, and whom they talk to.

Each runs as a process of its own, with an environment that has nothing of the developer's:
libraries keep quiet where variables such as CI say that nobody is looking. Where strace is
there, it lists every connection and name look-up, of native code too.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from served_colours import picture
from tiny_runs import coloured_pictures, tiny_run

import pawsure

SOURCES = str(Path(pawsure.__file__).parents[1])
TRACE = "trace=connect,sendto,sendmsg,sendmmsg,openat"

SERVE = """
import subprocess, sys, urllib.request
command = [sys.executable, "-m", "pawsure", "serve", "--port", "0", "--model", sys.argv[1]]
server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
try:
    port = server.stderr.readline().split()[1].rpartition(":")[2]
    body = open(sys.argv[2], "rb").read()
    address = f"http://127.0.0.1:{port}/v1/predict"
    request = urllib.request.Request(address, body, {"Content-Type": "image/png"})
    print(urllib.request.urlopen(request).read().decode())
finally:
    server.terminate()
    server.wait(30)
"""


@dataclass(frozen=True)
class Traces:
    """What a command left behind."""

    files: list[str] = field(default_factory=list)
    contacts: list[str] | None = None  # None: there is no strace


@pytest.fixture(scope="session")
def has_strace() -> bool:
    """Whether it is there and may watch; containers often forbid it."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-f", "true"], capture_output=True).returncode == 0


def traces_of(command: Sequence[object], tmp_path: Path, has_strace: bool) -> Traces:
    home, log = tmp_path / "home", tmp_path / "strace.log"
    home.mkdir(parents=True)
    words = [sys.executable, *map(str, command)]
    if has_strace:
        words = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", TRACE, "-o", str(log), *words]
    kept = {"PATH": os.environ["PATH"], "PYTHONPATH": SOURCES}
    done = subprocess.run(
        words, env={**kept, "HOME": str(home)}, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return Traces(
        files=[str(path.relative_to(home)) for path in home.rglob("*") if not path.is_dir()],
        contacts=contacts(log.read_text(errors="replace")) if has_strace else None,
    )


def contacts(log: str) -> list[str]:
    """The calls that look a name up, and those that send to another machine."""
    return [line for line in log.splitlines() if _looks_up(line) or _leaves(line)]


def _looks_up(line: str) -> bool:
    return re.search(r'"/etc/(resolv\.conf|hosts)"|nscd/socket|systemd\.resolve', line) is not None


def _leaves(line: str) -> bool:
    address = re.search(r'inet_addr\("([^"]*)"\)|inet_pton\(AF_INET6, "([^"]*)"', line)
    if address is None:
        return False
    number = address[1] or address[2]
    return not (number.startswith("127.") or number in ("::1", "::ffff:127.0.0.1"))


def check(traces: Traces) -> None:
    """Nothing in the home but pawsure's cache; nobody was asked for anything."""
    assert [path for path in traces.files if not path.startswith(".cache/pawsure/")] == []
    if traces.contacts is not None:
        assert traces.contacts == []


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run folder, with its pictures beside it."""
    return tiny_run(tmp_path_factory.mktemp("tiny") / "run")[0]


def test_predict_leaves_nothing_and_talks_to_nobody(run, tmp_path, has_strace):
    pictures = run.parent / "pictures"
    check(traces_of(["-m", "pawsure", "predict", pictures, "--model", run], tmp_path, has_strace))


def test_evaluate_leaves_nothing_and_talks_to_nobody(run, tmp_path, has_strace):
    check(
        traces_of(["-m", "pawsure", "evaluate", run, run.parent / "pictures"], tmp_path, has_strace)
    )


def test_audit_leaves_nothing_and_talks_to_nobody(run, tmp_path, has_strace):
    command = ["-m", "pawsure", "audit", run.parent / "pictures", "--model", run / "model.onnx"]
    check(traces_of(command, tmp_path, has_strace))


def test_serve_leaves_nothing_and_talks_to_nobody(run, tmp_path, has_strace):
    red = tmp_path / "red.png"
    red.write_bytes(picture("red"))
    check(traces_of(["-c", SERVE, run, red], tmp_path, has_strace))


def test_the_library_leaves_nothing_and_the_environment_as_it_was(run, tmp_path, has_strace):
    program = """
import os, sys
before = dict(os.environ)
import pawsure
assert dict(os.environ) == before
print(pawsure.load(sys.argv[1])(sys.argv[2]).answer)
assert dict(os.environ) == before
"""
    red = tmp_path / "red.png"
    red.write_bytes(picture("red"))
    check(traces_of(["-c", program, run, red], tmp_path, has_strace))


def test_telemetry_is_off_whatever_the_environment_says(run, tmp_path):
    program = "import os; os.environ['ORT_DISABLE_TELEMETRY'] = '0'; import pawsure.model.sessions"
    check(traces_of(["-c", program], tmp_path, has_strace=False))


def test_onnx_runtime_alone_would_leave_something(tmp_path):
    """Or the tests above prove nothing."""
    traces = traces_of(["-c", "import onnxruntime"], tmp_path, has_strace=False)
    if not traces.files:
        pytest.skip("this build of ONNX Runtime has no telemetry")
    with pytest.raises(AssertionError):
        check(traces)


@pytest.mark.parametrize(
    ("line", "is_contact"),
    [
        (
            'connect(5, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("10.0.0.2")}',
            True,
        ),
        (
            'connect(5, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}',
            False,
        ),
        ('sendto(5, "x", 1, 0, {sa_family=AF_INET6, inet_pton(AF_INET6, "2001:db8::1", &s)}', True),
        ('connect(5, {sa_family=AF_INET6, inet_pton(AF_INET6, "::1", &sin6_addr)}, 28) = 0', False),
        ('connect(3, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}, 110) = -1', True),
        ('connect(3, {sa_family=AF_UNIX, sun_path="/tmp/mine"}, 110) = 0', False),
        ('openat(AT_FDCWD, "/etc/resolv.conf", O_RDONLY|O_CLOEXEC) = 3', True),
        ('openat(AT_FDCWD, "/usr/lib/python3/socket.py", O_RDONLY|O_CLOEXEC) = 3', False),
    ],
)
def test_contacts_are_told_from_other_calls(line, is_contact):
    assert bool(contacts(line)) == is_contact


def test_a_name_that_is_looked_up_is_noticed(tmp_path, has_strace):
    if not has_strace:
        pytest.skip("needs strace")
    program = "import socket; socket.getaddrinfo('localhost', 80)"
    assert traces_of(["-c", program], tmp_path, has_strace).contacts


@pytest.fixture(scope="module")
def trained(tmp_path_factory, has_strace) -> tuple[Path, Traces]:
    """A run folder of `pawsure train`, and what it left behind."""
    pytest.importorskip("keras")
    folder = tmp_path_factory.mktemp("trained")
    command = [
        *("-m", "pawsure", "train", coloured_pictures(folder / "pictures", 60)),
        *("--recipe", "fast", "--out", folder / "run", "--weights", "none"),
        *("--backbone", "mobilenet_050", "--image-size", 32),
    ]
    return folder / "run", traces_of(command, folder, has_strace)


@pytest.mark.slow
def test_train_leaves_nothing_and_talks_to_nobody(trained):
    check(trained[1])


@pytest.mark.slow
@pytest.mark.parametrize("format_name", ["int8", "litert", "saved-model"])
def test_export_leaves_nothing_and_talks_to_nobody(trained, tmp_path, has_strace, format_name):
    command = ["-m", "pawsure", "export", trained[0], "--to", format_name, "--out", tmp_path / "o"]
    check(traces_of(command, tmp_path, has_strace))


@pytest.mark.slow
def test_report_leaves_nothing_and_talks_to_nobody(trained, tmp_path, has_strace):
    check(traces_of(["-m", "pawsure", "report", trained[0]], tmp_path, has_strace))


@pytest.mark.slow
def test_compare_leaves_nothing_and_talks_to_nobody(trained, tmp_path, has_strace):
    command = [
        *("-m", "pawsure", "compare", trained[0].parent / "pictures"),
        *("--backbones", "mobilenet_050", "--image-size", 32, "--weights", "none"),
        *("--out", tmp_path / "o"),
    ]
    check(traces_of(command, tmp_path, has_strace))


@pytest.mark.slow
def test_mlflow_and_tensorboard_leave_nothing_and_talk_to_nobody(trained, tmp_path, has_strace):
    pytest.importorskip("mlflow")
    command = [
        *("-m", "pawsure", "train", trained[0].parent / "pictures"),
        *("--recipe", "fast", "--out", tmp_path / "run", "--weights", "none"),
        *("--backbone", "mobilenet_050", "--image-size", 32),
        *("--mlflow", tmp_path / "mlruns", "--tensorboard", tmp_path / "boards"),
    ]
    check(traces_of(command, tmp_path, has_strace))


def test_the_code_in_an_export_s_readme_leaves_nothing(run, tmp_path, has_strace):
    export = tmp_path / "export"
    command = ["-m", "pawsure", "export", run, "--to", "int8", "--out", export]
    check(traces_of(command, tmp_path / "first", has_strace))
    (code,) = re.findall(r"```python\n(.*?)```", (export / "README.md").read_text(), re.DOTALL)
    (export / "picture.jpg").write_bytes(picture("red"))
    check(traces_of(["-c", f"import os; os.chdir({str(export)!r})\n{code}"], tmp_path, has_strace))

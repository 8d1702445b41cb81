"""Whole runs of `pawsure predict`, killed at random moments and gone on with."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from tiny_models import red_or_blue_model_file
from typer.testing import CliRunner
from whole_app import app

NUM_PICTURES = 3_000
ROWS = {"csv": "rows.csv", "jsonl": "rows.jsonl", "parquet": "rows.jsonl"}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return red_or_blue_model_file(tmp_path_factory.mktemp("model") / "model.onnx")


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Links to six files, one of which is no picture; in two folders."""
    root = tmp_path_factory.mktemp("photos")
    for number in range(5):
        Image.new("RGB", (60 + number, 40), (255 - 50 * number, 0, 50 * number)).save(
            root / f".{number}.jpg"
        )
    (root / ".5.jpg").write_bytes(b"no picture")
    for number in range(NUM_PICTURES):
        name = root / ("a" if number % 3 else "b") / f"{number:05}.jpg"
        name.parent.mkdir(exist_ok=True)
        name.symlink_to(root / f".{number % 6}.jpg")
    return root


def command(photos: Path, model: Path, out: Path, *words: str) -> list[str]:
    start = [sys.executable, "-m", "pawsure", "predict", str(photos), "--model", str(model)]
    return [*start, f"--{out.suffix[1:]}", str(out), *words]


def start(words: list[str]) -> subprocess.Popen:
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_bytes(rows: Path, num_bytes: int, process: subprocess.Popen) -> None:
    """Until so much is written, or the run is over."""
    while process.poll() is None:
        if rows.exists() and rows.stat().st_size >= num_bytes:
            return
        time.sleep(0.002)


def paths_in(table: Path) -> list[str]:
    return pq.read_table(table)["path"].to_pylist()


def killed_and_gone_on(photos, model, out: Path, whole: Path, kills: int, seed: int) -> int:
    """Kill it again and again, then let it finish; give how often it was killed in its work."""
    rows = out.with_name(out.name + ".partial") / ROWS[out.suffix[1:]]
    size = whole.stat().st_size if whole.suffix != ".parquet" else 150 * NUM_PICTURES
    moment = random.Random(seed)
    killed = 0
    for _ in range(kills):
        process = start(command(photos, model, out, "--resume"))
        wait_for_bytes(rows, int(moment.uniform(0, size)), process)
        process.kill()
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
        assert not (process.returncode == -signal.SIGKILL and out.exists())
        if out.exists():
            break
    done = subprocess.run(command(photos, model, out, "--resume"), capture_output=True, text=True)
    assert done.returncode in (0, 3), done.stderr
    return killed


@pytest.mark.parametrize("kind", ["csv"])
def test_kills_lose_nothing_and_repeat_nothing(photos, model, tmp_path, kind):
    check_kills(photos, model, tmp_path, kind, kills=2, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_many_kills_lose_nothing_and_repeat_nothing(photos, model, tmp_path, kind, seed):
    check_kills(photos, model, tmp_path, kind, kills=8, seed=seed)


def check_kills(photos, model, tmp_path, kind, *, kills, seed):
    whole, out = tmp_path / f"whole.{kind}", tmp_path / f"killed.{kind}"
    subprocess.run(command(photos, model, whole), capture_output=True)
    assert killed_and_gone_on(photos, model, out, whole, kills, seed) > 0
    assert sorted(os.listdir(tmp_path)) == sorted([whole.name, out.name])
    if kind == "parquet":
        assert pq.read_table(out).equals(pq.read_table(whole))
        assert len(set(paths_in(out))) == NUM_PICTURES
    else:
        assert out.read_bytes() == whole.read_bytes()


def test_ctrl_c_keeps_what_there_is_and_says_how_to_go_on(photos, model, tmp_path):
    out = tmp_path / "answers.csv"
    rows = tmp_path / "answers.csv.partial" / "rows.csv"
    process = start(command(photos, model, out))
    wait_for_bytes(rows, 10_000, process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "of 3,000 pictures answered" in said
    assert said.splitlines()[-1].endswith("repeat the command with --resume.")
    assert not out.exists()
    assert rows.read_bytes().endswith(b"\r\n")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a terminal of Unix")
def test_a_terminal_sees_how_far_it_is(photos, model, tmp_path):
    import pty

    ours, theirs = pty.openpty()
    words = command(photos, model, tmp_path / "answers.csv")
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    seen = bytearray()
    with suppress(OSError):  # which is how Linux says that the other end is closed
        while some := os.read(ours, 4096):
            seen += some
    os.close(ours)
    assert process.wait() == 3
    assert b"Answering" in seen and b"/3000" in seen
    assert b"3,000 pictures: " in seen


def predict(*words: object):
    return CliRunner().invoke(app, ["predict", *map(str, words)])


def test_resume_of_nothing_begins(photos, model, tmp_path):
    result = predict(photos / "b", "--model", model, "--jsonl", tmp_path / "a.jsonl", "--resume")
    assert result.exit_code == 0, result.stderr
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == NUM_PICTURES // 3


def test_resume_of_what_is_finished_changes_nothing(photos, model, tmp_path):
    words = [photos / "b", "--model", model, "--csv", tmp_path / "a.csv"]
    predict(*words)
    before = (tmp_path / "a.csv").stat()
    result = predict(*words, "--resume")
    assert result.exit_code == 0
    assert "is finished. Without --resume it is written again." in result.stderr
    assert (tmp_path / "a.csv").stat() == before


@pytest.mark.parametrize("where", [[], ["--json"]])
def test_resume_needs_a_file(photos, model, where):
    result = predict(photos, "--model", model, *where, "--resume")
    assert result.exit_code == 2
    assert "--resume needs the file of the interrupted run" in result.stderr


def test_resume_draws_no_heat_maps(photos, model, tmp_path):
    words = ["--csv", tmp_path / "a.csv", "--evidence", tmp_path / "maps", "--resume"]
    result = predict(photos, "--model", model, *words)
    assert result.exit_code == 2
    assert "does not resume heat maps" in result.stderr


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_memory_does_not_grow_with_the_number_of_pictures(photos, model, tmp_path):
    """Two folders, one ten times the other: the same peak, but for what names take."""
    peaks = [peak_mb(photos, model, tmp_path / f"{times}.csv", times) for times in (1, 10)]
    assert peaks[1] - peaks[0] < 8


def peak_mb(photos: Path, model: Path, out: Path, times: int) -> float:
    words = command(photos, model, out)
    words[4:5] = [str(photos)] * times
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.execv(sys.executable, words)
    _, status, usage = os.wait4(child, 0)
    assert os.waitstatus_to_exitcode(status) == 3
    return usage.ru_maxrss / 1024  # kilobytes on Linux

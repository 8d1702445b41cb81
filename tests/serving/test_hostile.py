"""Good clients wait no longer, whatever a few bad ones send: a server process, real sockets."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import hostile_bodies
import numpy as np
import pytest
from served_colours import picture
from tiny_models import red_or_blue_model_file

from pawsure.data import images
from pawsure.serving.decoder_process import Crashed, DecoderProcess, TookTooLong

GOOD_CLIENTS = 20
BAD_CLIENTS = 12
MORE_S = 0.5
PATIENCE_S = 60
TRIES = 3


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    model = red_or_blue_model_file(tmp_path_factory.mktemp("hostile") / "model.onnx")
    command = [sys.executable, "-m", "pawsure", "serve", "--port", "0", "--model", str(model)]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    started = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert started.stderr is not None
    line = started.stderr.readline()
    yield line.split("Page: ")[1].split()[0]
    started.terminate()
    assert started.wait(30) in (0, -signal.SIGTERM)
    started.stderr.close()


def post(address: str, path: str, kind: str, body: bytes) -> tuple[int, bytes]:
    """Status and body; status 0 if the server closed the connection while it was sent."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE_S)
    try:
        connection.request("POST", path, body, {"Content-Type": kind})
        response = connection.getresponse()
        return response.status, response.read()
    except ConnectionError:
        return 0, b""
    finally:
        connection.close()


class Crowd:
    """Good clients, each asking again as soon as it is answered, at a pace that leaves room."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._stop = threading.Event()
        self.waits_s: list[float] = []
        self.statuses: set[int] = set()

    def __enter__(self) -> Crowd:
        self._threads = [threading.Thread(target=self._ask) for _ in range(GOOD_CLIENTS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        data = picture("red", size=(400, 300))
        while not self._stop.is_set():
            started = time.monotonic()
            status, _ = post(self._address, "/v1/predict", "image/jpeg", data)
            self.waits_s.append(time.monotonic() - started)
            self.statuses.add(status)
            self._stop.wait(0.2)


def longest_wait_s(address: str, bad: list[tuple[str, str, bytes]], *, least_s: float) -> float:
    """Of good clients, while each bad body is sent once, by a dozen at a time."""
    until = time.monotonic() + least_s
    with Crowd(address) as crowd:
        with ThreadPoolExecutor(BAD_CLIENTS) as clients:
            statuses = list(clients.map(lambda one: post(address, *one)[0], bad))
        time.sleep(max(0.0, until - time.monotonic()))
    assert crowd.statuses == {200}
    assert set(statuses) <= {0, 200, 400, 408, 413, 415, 422, 503}
    return max(crowd.waits_s)


def assert_nobody_waits(address: str, bad: list[tuple[str, str, bytes]]) -> None:
    """Than beside as many bodies of as many bytes that are refused by their first.

    Bytes have to travel, on a machine that other processes may use too: the least of a few tries.
    """
    harmless = [("/v1/predict", "image/jpeg", bytes(len(body))) for _, _, body in bad]
    more_s = []
    for _ in range(TRIES):
        quiet = longest_wait_s(address, harmless, least_s=1.0)
        more_s.append(longest_wait_s(address, bad, least_s=1.0) - quiet)
        if more_s[-1] <= MORE_S:
            return
    raise AssertionError(f"Good clients waited longer by {more_s} seconds.")


def pictures_of(names: list[str], size: int) -> list[tuple[str, str, bytes]]:
    return [("/v1/predict", "image/jpeg", hostile_bodies.ALL[name](size)) for name in names]


def forms_of(size: int) -> list[tuple[str, str, bytes]]:
    return [("/v1/predict", *form(size)) for form in hostile_bodies.FORMS]


def numbers(address: str, size: int) -> tuple[str, str, bytes]:
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 4, 4, 3], "data": [1]}
    text = json.dumps({"inputs": [tensor]}).replace("[1]", "[" + "1," * (size // 2) + "1]")
    name = json.loads(urlopen(f"{address}/v1/model").read())["name"]
    return f"/v2/models/{name}/infer", "application/json", text.encode()


def test_a_dozen_hostile_bodies_hold_nobody_up(address):
    names = ["jpeg_of_empty_segments", "png_of_chunks", "gif_of_blocks", "qoi_of_noise"]
    names += ["bmp_of_runs", "tiff_of_tags", "eps_of_lines", "jpeg_2000_of_boxes"]
    bad = pictures_of(names, 1_000_000) + forms_of(2_000_000)[:2] + [numbers(address, 200_000)] * 2
    assert_nobody_waits(address, bad)


@pytest.mark.slow
@pytest.mark.parametrize("name", hostile_bodies.ALL)
def test_a_dozen_of_each_format_hold_nobody_up(address, name):
    bad = pictures_of([name], 19_000_000) * BAD_CLIENTS
    assert_nobody_waits(address, bad)


@pytest.mark.slow
def test_a_dozen_forms_and_long_json_hold_nobody_up(address):
    assert_nobody_waits(address, (forms_of(19_000_000) + [numbers(address, 19_000_000)]) * 2)


@pytest.fixture
def process() -> Iterator[DecoderProcess]:
    process = DecoderProcess()
    yield process
    process.close()


def test_a_picture_is_read_as_in_the_server(process):
    data = picture("blue", size=(300, 200))
    pixels = process.read_picture(data, size_px=32, limits=images.DEFAULT_LIMITS, seconds=20)
    assert (pixels == images.read(data, size_px=32)).all()
    with pytest.raises(images.PictureError, match="not a picture"):
        process.read_picture(b"words", size_px=32, limits=images.DEFAULT_LIMITS, seconds=20)


def test_what_takes_too_long_is_ended_and_the_next_is_done(process):
    slow = hostile_bodies.qoi_of_noise(4_000_000)
    started = time.monotonic()
    with pytest.raises(TookTooLong):
        process.read_picture(slow, size_px=8, limits=images.DEFAULT_LIMITS, seconds=1.0)
    assert time.monotonic() - started < 5
    data = picture("red")
    assert process.read_picture(
        data, size_px=8, limits=images.DEFAULT_LIMITS, seconds=20
    ).shape == (
        8,
        8,
        3,
    )


def test_a_process_that_crashes_is_started_again(process):
    process.read_json(b"{}", seconds=20)
    slow = hostile_bodies.qoi_of_noise(4_000_000)
    threading.Timer(0.3, process._process.kill).start()
    with pytest.raises(Crashed):
        process.read_picture(slow, size_px=8, limits=images.DEFAULT_LIMITS, seconds=20)
    content, pixels = process.read_json(b'{"inputs": [{"data": [[1, 255]]}]}', seconds=20)
    assert content == {"inputs": [{}]}
    assert np.frombuffer(pixels, np.uint8).tolist() == [1, 255]


def test_json_nested_too_deeply_is_an_error(process):
    with pytest.raises(ValueError, match="not JSON"):
        process.read_json(b"[" * 100_000, seconds=20)


def test_the_server_leaves_no_process_behind(tmp_path: Path):
    model = red_or_blue_model_file(tmp_path / "model.onnx")
    command = [sys.executable, "-m", "pawsure", "serve", "--port", "0", "--model", str(model)]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        address = server.stderr.readline().split("Page: ")[1].split()[0]
        if not Path(f"/proc/{server.pid}/task/{server.pid}/children").exists():
            pytest.skip("the system does not tell of children")
        large = picture("red", "PNG", size=(3000, 2000))
        # On a busy machine it may take too long, which is no matter here.
        assert post(address, "/v1/predict", "image/png", large)[0] in (200, 413)
        tasks = Path(f"/proc/{server.pid}/task").glob("*/children")
        pids = [int(pid) for task in tasks for pid in task.read_text().split()]
        server.terminate()
        server.wait(30)
    finally:
        server.kill()
        server.communicate()
    assert pids
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_files_in_the_working_folder_are_no_modules_of_the_process(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("json", "struct", "numpy", "random"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken for a module')\n")
    process = DecoderProcess()
    try:
        assert process.read_json(b'{"a": 1}', seconds=60) == ({"a": 1}, None)
    finally:
        process.close()

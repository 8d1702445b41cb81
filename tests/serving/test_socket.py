"""Over a real socket: what only shows when bytes travel."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from served_colours import Colours, picture
from tiny_models import red_or_blue_model_file

from pawsure.model.predictor import Outputs, Predictor

JPEG = {"Content-Type": "image/jpeg"}


class Gated(Colours):
    """Answers when it is let."""

    gate: threading.Event
    runs = 0

    def predict_batch(self, pictures: np.ndarray) -> Outputs:
        """Wait, then answer."""
        self.gate.wait(10)
        self.runs += 1
        return super().predict_batch(pictures)


@pytest.fixture
def gated(colours: Predictor) -> Iterator[Gated]:
    model = Gated(colours.path, threads=1)
    model.gate = threading.Event()
    model.gate.set()
    yield model
    model.gate.set()


def connect(address: str) -> socket.socket:
    parts = urlsplit(address)
    return socket.create_connection((parts.hostname, parts.port), timeout=10)


def head(length: int | str, *, kind: str = "image/jpeg") -> bytes:
    lines = ["POST /v1/predict HTTP/1.1", "Host: localhost", f"Content-Type: {kind}"]
    return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode()


def response_of(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()


# Without certificates, which cost each new client 50 ms to read.
client = httpx.Client(verify=False)


def ask(address: str, data: bytes) -> httpx.Response:
    return client.post(f"{address}/v1/predict", content=data, headers=JPEG, timeout=20)


def until(condition) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen within 5 seconds")


def metric(address: str, name: str) -> float:
    lines = client.get(f"{address}/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def test_many_at_once_each_get_their_own_answer(address):
    order = [random.Random(0).choice(["red", "blue", "neither"]) for _ in range(120)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda answer: ask(address, picture(answer)), order))
    assert [r.json()["answers"][0]["answer"] for r in answers] == order


def test_a_full_server_says_so_at_once_and_recovers(serve, gated):
    address = serve(gated, max_waiting=2, max_pictures=2)
    gated.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        taken = [pool.submit(ask, address, picture("red")) for _ in range(2)]
        until(lambda: metric(address, "pawsure_waiting_pictures") == 2)
        started = time.monotonic()
        refused = ask(address, picture("blue") * 2000)
        assert time.monotonic() - started < 1
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) >= 1
        gated.gate.set()
        assert [r.result().status_code for r in taken] == [200, 200]
    assert ask(address, picture("blue")).json()["answers"][0]["answer"] == "blue"


def refused_on(connection: socket.socket, body: bytes) -> dict[str, str]:
    connection.sendall(head(len(body)) + body)
    status, headers, _ = response_of(connection)
    assert status == 503
    return headers


def test_a_refusal_keeps_the_connection_and_is_counted(serve, gated):
    address = serve(gated, max_waiting=1, max_pictures=1)
    gated.gate.clear()
    with ThreadPoolExecutor(1) as pool, connect(address) as connection:
        taken = pool.submit(ask, address, picture("red"))
        until(lambda: metric(address, "pawsure_waiting_pictures") == 1)
        for size in (100, 40_000, 300_000):  # of one piece, and of many
            headers = refused_on(connection, b"x" * size)
            assert "connection" not in headers
            assert headers["x-content-type-options"] == "nosniff"
        refused = 'pawsure_requests_total{method="POST",route="refused",status="503"}'
        assert metric(address, refused) == 3
        gated.gate.set()
        assert taken.result().status_code == 200
        data = picture("blue")
        connection.sendall(head(len(data)) + data)
        status, _, body = response_of(connection)
        assert (status, json.loads(body)["answers"][0]["answer"]) == (200, "blue")


def test_the_rest_of_what_was_refused_must_come(serve, gated):
    address = serve(gated, max_waiting=1, max_pictures=1, head_s=0.3)
    gated.gate.clear()
    with ThreadPoolExecutor(1) as pool, connect(address) as connection:
        pool.submit(ask, address, picture("red"))
        until(lambda: metric(address, "pawsure_waiting_pictures") == 1)
        connection.sendall(head(5000) + b"x" * 10)
        assert response_of(connection)[0] == 503
        connection.settimeout(5)
        assert connection.recv(1) == b""
        gated.gate.set()


def test_many_heads_at_once_do_not_all_come_in(serve, gated):
    address = serve(gated, max_waiting=2, max_pictures=1)
    gated.gate.clear()
    data = picture("red")
    connections = [connect(address) for _ in range(12)]
    for connection in connections:
        connection.sendall(head(len(data)) + data)
    until(lambda: metric(address, "pawsure_requests_total") >= 10)
    gated.gate.set()
    statuses = [response_of(connection)[0] for connection in connections]
    assert sorted(statuses) == [200] * 2 + [503] * 10
    for connection in connections:
        connection.close()


def test_an_answer_that_would_be_late_is_a_503(serve, gated):
    address = serve(gated, deadline_s=0.1, workers=1)
    gated.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        pool.submit(ask, address, picture("red"))
        until(lambda: metric(address, "pawsure_waiting_pictures") == 1)
        late = pool.submit(ask, address, picture("red"))
        until(lambda: metric(address, "pawsure_waiting_pictures") == 2)
        time.sleep(0.2)
        gated.gate.set()
        assert late.result().status_code == 503
        assert "Retry-After" in late.result().headers


def test_a_client_that_leaves_is_not_worked_for(serve, gated):
    address = serve(gated, workers=1)
    warmed = gated.runs
    gated.gate.clear()
    data = picture("red")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, address, data)
        until(lambda: metric(address, "pawsure_waiting_pictures") == 1)
        leaving = [connect(address) for _ in range(5)]
        for connection in leaving:
            connection.sendall(head(len(data)) + data)
        until(lambda: metric(address, "pawsure_waiting_pictures") == 6)
        for connection in leaving:
            connection.close()
        time.sleep(0.1)
        gated.gate.set()
        assert first.result().status_code == 200
    until(lambda: metric(address, "pawsure_pictures_dropped_total") == 5)
    assert gated.runs == warmed + 1


def test_a_stalled_upload_is_a_408(serve):
    address = serve(stall_s=0.2)
    with connect(address) as connection:
        connection.sendall(head(5000) + b"x" * 100)
        status, _, body = response_of(connection)
    assert status == 408
    assert "too slow" in json.loads(body)["error"]


def test_an_upload_that_drips_is_a_408(serve):
    address = serve(stall_s=0.5, least_bytes_per_s=1000)
    with connect(address) as connection:
        connection.sendall(head(5000))
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            while time.monotonic() - started < 5:
                connection.sendall(b"x")
                connection.settimeout(0.05)
                if connection.recv(1, socket.MSG_PEEK):
                    raise TimeoutError
        connection.settimeout(5)
        assert response_of(connection)[0] == 408


def test_heads_that_do_not_come_or_never_end_are_closed(serve):
    address = serve(head_s=0.3)
    with connect(address) as silent:
        assert response_of(silent)[0] == 408
    with connect(address) as dripping:
        dripping.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: loc")
        assert response_of(dripping)[0] == 408
    with connect(address) as endless:
        endless.sendall(b"GET / HTTP/1.1\r\n" + b"X-A: " + b"a" * 40_000)
        assert response_of(endless)[0] == 431


def test_a_second_request_may_come_late_on_the_same_connection(serve):
    address = serve(head_s=0.3)
    assert client.get(f"{address}/healthz").status_code == 200
    time.sleep(0.6)
    assert client.get(f"{address}/healthz").status_code == 200


def test_more_connections_than_the_limit_are_told_to_come_again(serve):
    address = serve(max_connections=3)
    held = [connect(address) for _ in range(3)]
    with connect(address) as one_more:
        status, headers, _ = response_of(one_more)
    assert (status, headers["retry-after"]) == (503, "1")
    for connection in held:
        connection.close()
    until(lambda: client.get(f"{address}/healthz").status_code == 200)


def test_bodies_share_a_bounded_memory(serve):
    address = serve(max_bytes_in_flight=30_000_000, max_picture_bytes=20_000_000)
    with connect(address) as first, connect(address) as second:
        first.sendall(head(19_000_000) + b"x" * 1000)
        until(lambda: metric(address, "pawsure_body_bytes") == 19_000_000)
        second.sendall(head(19_000_000) + b"x" * 1000)
        status, headers, _ = response_of(second)
    assert (status, headers["retry-after"]) == (503, "1")
    until(lambda: metric(address, "pawsure_body_bytes") == 0)


def test_a_refusal_reaches_a_client_that_is_still_sending(serve):
    address = serve(max_picture_bytes=1000)
    response = client.post(f"{address}/v1/predict", content=b"x" * 8_000_000, headers=JPEG)
    assert response.status_code == 413


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1e9\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nA\x00: b\r\n\r\n",
    ],
)
def test_what_is_no_http_is_a_4xx(address, raw):
    with connect(address) as connection:
        connection.sendall(raw)
        assert 400 <= response_of(connection)[0] < 500
    assert client.get(f"{address}/healthz").status_code == 200


def damaged(rng: random.Random) -> bytes:
    """Something hostile, or a picture with some of its bytes changed."""
    format = rng.choice(["JPEG", "PNG", "GIF", "BMP"])
    data = bytearray(picture(rng.choice(["red", "blue"]), format))
    kind = rng.randrange(4)
    if kind == 0:
        return bytes(data[: rng.randrange(len(data))])
    if kind == 1:
        return rng.randbytes(rng.randrange(1, 3000))
    for _ in range(rng.randrange(1, 20)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def test_hostile_uploads_among_good_ones_break_nothing(address):
    rng = random.Random(7)
    jobs = [("good", picture("red")) if i % 4 == 0 else ("bad", damaged(rng)) for i in range(400)]
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda job: (job[0], ask(address, job[1])), jobs))
    for kind, response in results:
        if kind == "good":
            assert response.json()["answers"][0]["answer"] == "red"
        else:
            assert response.status_code in {200, 413, 415, 422}, response.text


# The whole process


@pytest.fixture
def process(tmp_path: Path) -> Iterator[tuple[subprocess.Popen, str]]:
    model = red_or_blue_model_file(tmp_path / "model.onnx")
    command = [sys.executable, "-m", "pawsure", "serve", "--port", "0", "--model", str(model)]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    started = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert started.stderr is not None
    line = started.stderr.readline()
    yield started, line.split("Page: ")[1].split()[0]
    started.kill()
    started.wait()
    started.stderr.close()


def test_the_command_serves_and_ends_cleanly(process):
    running, address = process
    assert ask(address, picture("red")).json()["answers"][0]["answer"] == "red"
    running.send_signal(signal.SIGTERM)
    assert running.wait(10) in (0, -signal.SIGTERM)


def test_ending_finishes_what_is_in_hand(process):
    running, address = process
    data = picture("blue")
    with connect(address) as connection:
        connection.sendall(head(len(data)) + data[:50])
        time.sleep(0.2)
        running.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        connection.sendall(data[50:])
        status, _, body = response_of(connection)
    assert status == 200
    assert json.loads(body)["answers"][0]["answer"] == "blue"
    running.wait(10)


def test_serving_loads_nothing_of_training():
    program = (
        "import sys, pawsure.cli.serve, pawsure.serving.server;"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    heavy = {"tensorflow", "keras", "onnx", "sklearn", "pyarrow", "rich"}
    assert not heavy & set(result.stdout.split())

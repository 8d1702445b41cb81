"""`pawsure serve` under load, against the server that anyone would write.

    python benchmarks/serving.py MODEL.onnx PICTURES [--seconds 10] [--overload-seconds 60]
                                 [--hostile 10000] [--skip-naive] [--out FILE.json]

MODEL.onnx is a MobileNetV2 at 128 pixels, as the naive server runs; PICTURES is a folder of
JPEGs. The load comes from this process, on the same machine. In order: start to first answer
(five times), closed loops of 1, 8 and 64 clients on both servers, then on pawsure a crowd at
80% of its own peak and at twice its peak, and hostile uploads among good ones. Every figure is
to be read as a ratio within one run: the load generator takes its share of the same cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import load  # noqa: E402

CLIENTS = (1, 8, 64)
NUM_PICTURES = 64


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def server(*command: str, port: int) -> Iterator[subprocess.Popen]:
    """A server process that takes connections."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"}
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment) as process:
        try:
            wait_for(port)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)


def wait_for(port: int) -> None:
    """Return when somebody listens."""
    for _ in range(24_000):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.005)
    raise SystemExit("The server did not start within two minutes.")


def pawsure(model: str, port: int) -> list[str]:
    """The command of our server."""
    return [sys.executable, "-m", "pawsure", "serve", "--model", model, "--port", str(port)]


def resident_mib(process: subprocess.Popen) -> float:
    """Memory of a process, in MiB (Linux)."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def start_to_first_answer(model: str, picture: bytes) -> list[float]:
    """Seconds from the start of the process to an answer, five times."""
    request = load.multipart("/v1/predict", "pictures", picture)

    async def ask(port: int) -> int:
        return (await (await load.connect(port)).ask(request))[0]

    times = []
    for _ in range(5):
        port = free_port()
        before = time.perf_counter()
        with server(*pawsure(model, port), port=port):
            if asyncio.run(ask(port)) != 200:
                raise SystemExit("The first answer was none.")
            times.append(time.perf_counter() - before)
    return times


def told(tally: load.Tally) -> dict:
    """A tally as figures."""
    return {
        "answers_per_s": round(tally.rate, 1),
        "p50_ms": round(tally.percentile_ms(50), 1),
        "p99_ms": round(tally.percentile_ms(99), 1),
        "statuses": {str(status): count for status, count in sorted(tally.statuses.items())},
    }


def closed_loops(port: int, requests: list[bytes], seconds: float) -> dict[str, dict]:
    """Both servers' figures at 1, 8 and 64 clients."""
    asyncio.run(load.closed(port, requests, clients=4, seconds=2))  # warms up
    found = {}
    for clients in CLIENTS:
        tally = asyncio.run(load.closed(port, requests, clients=clients, seconds=seconds))
        found[str(clients)] = told(tally)
        print(f"  {clients:>3} clients: {found[str(clients)]}", flush=True)
    return found


def overload(
    process: subprocess.Popen, port: int, requests: list[bytes], *, rate: float, seconds: float
) -> dict:
    """What happens at a rate that can't be served."""
    memory: list[float] = []
    tally = asyncio.run(
        load.opened(
            port,
            requests,
            rate=rate,
            seconds=seconds,
            every_second=lambda: memory.append(resident_mib(process)),
        )
    )
    third = max(1, len(memory) // 3)
    return told(tally) | {
        "offered_per_s": round(rate, 1),
        "unanswered": tally.statuses[0],
        "memory_mib": {
            "first_third": round(max(memory[:third]), 1),
            "last_third": round(max(memory[-third:]), 1),
        },
    }


def hostile_body(rng: random.Random, pictures: list[bytes]) -> bytes:
    """A fuzzed file, a cut one, a bomb, or noise."""
    data = bytearray(rng.choice(pictures))
    kind = rng.randrange(5)
    if kind == 0:
        return bytes(data[: rng.randrange(len(data))])
    if kind == 1:
        return rng.randbytes(rng.randrange(20_000))
    if kind == 2:
        return png_bomb(rng.randrange(5_000, 60_000))
    for _ in range(rng.randrange(1, 60)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def png_bomb(side: int) -> bytes:
    """A PNG that says it has side x side pixels, and has none."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return len(content).to_bytes(4, "big") + kind + content + check.to_bytes(4, "big")

    head = side.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    pixels = zlib.compress(bytes(1_000_000), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


async def hostile(port: int, pictures: list[bytes], *, count: int) -> dict:
    """Bad uploads, a quarter good ones among them, and some that stop half-way."""
    rng = random.Random(1)
    statuses: dict[str, dict[int, int]] = {"good": {}, "hostile": {}}
    wrong = 0
    requests = [load.post("/v1/predict", p, "image/jpeg") for p in pictures]
    first = await load.connect(port)
    expected = [json.loads((await first.ask(r))[1])["answers"][0] for r in requests]
    jobs = iter(range(count))

    async def client() -> None:
        nonlocal wrong
        connection = await load.connect(port)
        for number in jobs:
            good = number % 4 == 0
            index = rng.randrange(len(pictures))
            if good:
                request = requests[index]
            else:
                kind = rng.choice(["image/jpeg", "image/png", "application/octet-stream"])
                request = load.post("/v1/predict", hostile_body(rng, pictures), kind)
                if rng.randrange(20) == 0:  # begins, and goes away
                    await leave_half_way(port, request)
                    continue
            status, body = await connection.ask(request)
            counts = statuses["good" if good else "hostile"]
            counts[status] = counts.get(status, 0) + 1
            if good and status == 200 and not agrees(json.loads(body), expected[index]):
                wrong += 1
            if connection.closed:
                connection = await load.connect(port)

    slow = [asyncio.ensure_future(drip(port)) for _ in range(20)]
    await asyncio.gather(*(client() for _ in range(16)))
    slow_statuses = await asyncio.gather(*slow)
    return {"statuses": statuses, "wrong_answers": wrong, "slow_uploads": slow_statuses}


def agrees(found: dict, expected: dict) -> bool:
    """The same answer; batches of other sizes change the last digits."""
    (entry,) = found["answers"]
    close = abs(entry["probability"] - expected["probability"]) < 1e-3
    return close and entry["answer"] == expected["answer"]


async def leave_half_way(port: int, request: bytes) -> None:
    """Send some of a request, then close."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request[: len(request) // 2])
    writer.close()


async def drip(port: int) -> int:
    """Announce a picture and send a byte a second; what status ends it?"""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(load.post("/v1/predict", b"", "image/jpeg").replace(b": 0\r", b": 90000\r"))
    answered = asyncio.ensure_future(reader.read(12))
    while not answered.done():
        writer.write(b"x")
        await asyncio.wait({answered}, timeout=1)
    writer.close()
    return int(answered.result()[9:12] or 0)


def main() -> None:
    """Run everything, print it, write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--overload-seconds", type=float, default=60)
    parser.add_argument("--hostile", type=int, default=10_000)
    parser.add_argument("--skip-naive", action="store_true")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()

    pictures = [p.read_bytes() for p in sorted(asked.pictures.rglob("*.jpg"))[:NUM_PICTURES]]
    print(
        f"{len(pictures)} pictures, {sum(map(len, pictures)) / len(pictures) / 1024:.0f} KiB each"
    )
    figures: dict = {"cores": os.cpu_count(), "load_average": os.getloadavg()}
    figures["start_s"] = start_to_first_answer(asked.model, pictures[0])
    print("start to first answer:", [f"{seconds:.2f} s" for seconds in figures["start_s"]])

    ours = [load.multipart("/v1/predict", "pictures", picture) for picture in pictures]
    port = free_port()
    with server(*pawsure(asked.model, port), port=port) as process:
        print("pawsure serve")
        figures["pawsure"] = closed_loops(port, ours, asked.seconds)
        peak = max(found["answers_per_s"] for found in figures["pawsure"].values())
        crowd = load.opened(port, ours, rate=0.8 * peak, seconds=2 * asked.seconds)
        figures["at_80_percent"] = told(asyncio.run(crowd))
        print("  at 80% of its peak:", figures["at_80_percent"], flush=True)
        figures["at_twice_peak"] = overload(
            process, port, ours, rate=2 * peak, seconds=asked.overload_seconds
        )
        print("  at twice its peak:", figures["at_twice_peak"], flush=True)
        if asked.hostile:
            before = resident_mib(process)
            found = asyncio.run(hostile(port, pictures, count=asked.hostile))
            found["memory_mib"] = [round(before, 1), round(resident_mib(process), 1)]
            figures["hostile"] = found | {"alive": process.poll() is None}
            print("  hostile:", figures["hostile"], flush=True)

    if not asked.skip_naive:
        naive = [load.multipart("/predict", "file", picture) for picture in pictures]
        port = free_port()
        script = str(Path(__file__).with_name("naive_server.py"))
        with server(sys.executable, script, str(port), port=port):
            print("FastAPI calling Keras for each request")
            figures["naive"] = closed_loops(port, naive, asked.seconds)
        many = str(CLIENTS[-1])
        ratio = peak_of(figures, "pawsure", many) / peak_of(figures, "naive", many)
        figures["times_naive_at_64"] = round(ratio, 1)
        print(f"at 64 clients: {ratio:.1f} times the naive server")
    if asked.out:
        asked.out.write_text(json.dumps(figures, indent=2))


def peak_of(figures: dict, name: str, clients: str) -> float:
    """Answers a second of a server at so many clients."""
    return figures[name][clients]["answers_per_s"]


if __name__ == "__main__":
    main()

"""`pawsure serve` under load, against the server that anyone would write.

    python benchmarks/serving.py MODEL.onnx PICTURES [--parts start,naive,crowd,hostile]
                                 [--seconds 10] [--overload-seconds 60] [--repeats 3]
                                 [--hostile 10000] [--out FILE.json]

MODEL.onnx is a MobileNetV2 at 128 pixels, as the naive server runs; PICTURES is a folder of JPEGs.
A model of another network or size, or one that looks twice, is not compared, nor are servers that
do not answer every request (exit code 1). The load comes from this process, on the same machine:
what it and everybody else took of the processors is told with each figure.

    start    start to first answer, five times
    naive    closed loops of 1, 8 and 64 clients, on both servers
    crowd    requests at random moments, at rates that rise: the most answers a second at any of
             them are the peak; then at 80% of it, and at twice it for a minute; so many times
    hostile  bad uploads among good ones

Runs in which other processes took more than a tenth of a core are kept, marked as disturbed,
and done again, so many times at most; where none was undisturbed, all of them count. Every
figure is to be read as a ratio within one run.
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
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent))
import load  # noqa: E402
from agreement import fail, require_same  # noqa: E402

CLIENTS = (1, 8, 64)
NUM_PICTURES = 64
PARTS = ("start", "naive", "crowd", "hostile")
# Of the answers a second to 64 clients in a closed loop.
RAMP = (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3)
QUIET_CORES = 0.1


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


def used_by(pid: int) -> float:
    """CPU time of a process so far, in seconds (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def used_by_all() -> float:
    """CPU time of the whole machine so far, in seconds (Linux)."""
    user, nice, system, _, _, irq, soft, *_ = map(
        int, Path("/proc/stat").read_text().split("\n")[0].split()[1:]
    )
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


def told(tally: load.Tally) -> dict:
    """A tally as figures."""
    return {
        "answers_per_s": round(tally.rate, 1),
        "p50_ms": rounded(load.percentile_ms(tally.latencies_s, 50)),
        "p99_ms": rounded(load.percentile_ms(tally.latencies_s, 99)),
        "statuses": {str(status): count for status, count in sorted(tally.statuses.items())},
    }


def rounded(value: float | None) -> float | None:
    """One decimal, of what there is."""
    return None if value is None else round(value, 1)


def observed(process: subprocess.Popen, loading: Coroutine[None, None, load.Tally]) -> dict:
    """Figures of a load, with who used the processors, in cores."""
    server_s, all_s, started = used_by(process.pid), used_by_all(), time.perf_counter()
    tally = asyncio.run(loading)
    seconds = time.perf_counter() - started
    server_s, all_s = used_by(process.pid) - server_s, used_by_all() - all_s
    cores = {"server": server_s, "generator": tally.cpu_s, "others": all_s - server_s - tally.cpu_s}
    figures = told(tally)
    if tally.refused_s:
        figures["refused_p50_ms"] = rounded(load.percentile_ms(tally.refused_s, 50))
        figures["refused_p99_ms"] = rounded(load.percentile_ms(tally.refused_s, 99))
    return figures | {"cores": {name: round(used / seconds, 2) for name, used in cores.items()}}


def closed_loops(process: subprocess.Popen, port: int, requests: list[bytes], seconds: float):
    """A server's figures at 1, 8 and 64 clients."""
    asyncio.run(load.closed(port, requests, clients=4, seconds=2))  # warms up
    found = {}
    for clients in CLIENTS:
        loading = load.closed(port, requests, clients=clients, seconds=seconds)
        found[str(clients)] = observed(process, loading)
        print(f"  {clients:>3} clients: {found[str(clients)]}", flush=True)
    return found


def crowd(model: str, requests: list[bytes], *, seconds: float, overload_s: float) -> dict:
    """The peak by a ramp, 80% of it, and twice it; on a server of its own."""
    port = free_port()
    with server(*pawsure(model, port), port=port) as process:
        asyncio.run(load.closed(port, requests, clients=64, seconds=2))  # warms up
        base = asyncio.run(load.closed(port, requests, clients=64, seconds=seconds / 2)).rate
        found: dict = {"ramp": []}
        for share in RAMP:
            loading = load.opened(port, requests, rate=share * base, seconds=seconds)
            step = {"offered_per_s": round(share * base, 1)} | observed(process, loading)
            found["ramp"].append(step)
        peak = max(step["answers_per_s"] for step in found["ramp"])
        found["peak_per_s"] = peak
        loading = load.opened(port, requests, rate=0.8 * peak, seconds=3 * seconds)
        tail = observed(process, loading)
        found["at_80_percent"] = tail | {"p99_by_p50": round(tail["p99_ms"] / tail["p50_ms"], 2)}
        found["at_twice_peak"] = overload(process, port, requests, peak=peak, seconds=overload_s)
    others = max(step["cores"]["others"] for step in steps_of(found))
    return found | {"disturbed": others > QUIET_CORES}


def steps_of(run: dict) -> list[dict]:
    """All that was measured in one run of the crowd."""
    return [*run["ramp"], run["at_80_percent"], run["at_twice_peak"]]


def overload(
    process: subprocess.Popen, port: int, requests: list[bytes], *, peak: float, seconds: float
) -> dict:
    """What happens at a rate that can't be served."""
    memory: list[float] = []
    loading = load.opened(
        port,
        requests,
        rate=2 * peak,
        seconds=seconds,
        every_second=lambda: memory.append(resident_mib(process)),
    )
    figures = observed(process, loading)
    third = max(1, len(memory) // 3)
    return figures | {
        "offered_per_s": round(2 * peak, 1),
        "of_peak": round(figures["answers_per_s"] / peak, 3),
        "unanswered": sum(
            count for status, count in figures["statuses"].items() if status not in ("200", "503")
        ),
        "memory_mib": {
            "first_third": round(max(memory[:third]), 1),
            "last_third": round(max(memory[-third:]), 1),
        },
    }


def crowds(model: str, requests: list[bytes], asked: argparse.Namespace) -> list[dict]:
    """The crowd, until so many runs were undisturbed, or twice as many were done."""
    runs: list[dict] = []
    for _ in range(2 * asked.repeats):
        run = crowd(model, requests, seconds=asked.seconds, overload_s=asked.overload_seconds)
        runs.append(run)
        print(f"  peak {run['peak_per_s']} a second; disturbed: {run['disturbed']}")
        print(f"    80%: {run['at_80_percent']}\n    twice: {run['at_twice_peak']}", flush=True)
        if sum(not run["disturbed"] for run in runs) == asked.repeats:
            break
    return runs


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


def hostile_part(model: str, pictures: list[bytes], count: int) -> dict:
    """Bad uploads on a server of its own."""
    port = free_port()
    with server(*pawsure(model, port), port=port) as process:
        requests = [load.post("/v1/predict", picture, "image/jpeg") for picture in pictures]
        asyncio.run(load.closed(port, requests, clients=16, seconds=3))
        before = resident_mib(process)
        found = asyncio.run(hostile(port, pictures, count=count))
        found["memory_mib"] = [round(before, 1), round(resident_mib(process), 1)]
        return found | {"alive": process.poll() is None}


NAIVE = {"backbone": "mobilenet_v2", "side in pixels": 128, "passes a picture": 1}
"""What the naive server runs; see `naive_server.py`."""


def require_same_network(model: str) -> None:
    """A model file costs what the naive server's network costs: one pass of the same backbone."""
    import onnx

    from pawsure.graph.tta import has_tta
    from pawsure.model.predictor import Predictor

    predictor = Predictor(model)
    own = {
        "backbone": predictor.metadata.backbone,
        "side in pixels": predictor.size_px,
        "passes a picture": 1 + has_tta(onnx.load(predictor.path)),
    }
    for what, value in NAIVE.items():
        require_same(what, {"MODEL": own[what], "naive server": value})


def require_all_answered(found: dict) -> None:
    """A server's closed loops had an answer for each request."""
    for side, loops in found.items():
        for clients, figures in loops.items():
            if set(figures["statuses"]) != {"200"}:
                fail(f"{side} with {clients} clients: responses by status {figures['statuses']}.")


def against_naive(model: str, pictures: list[bytes], seconds: float) -> dict:
    """Closed loops on both servers."""
    require_same_network(model)
    found: dict = {}
    port = free_port()
    with server(*pawsure(model, port), port=port) as process:
        print("pawsure serve")
        requests = [load.multipart("/v1/predict", "pictures", picture) for picture in pictures]
        found["pawsure"] = closed_loops(process, port, requests, seconds)
    port = free_port()
    script = str(Path(__file__).with_name("naive_server.py"))
    with server(sys.executable, script, str(port), port=port) as process:
        print("FastAPI calling Keras for each request")
        requests = [load.multipart("/predict", "file", picture) for picture in pictures]
        found["naive"] = closed_loops(process, port, requests, seconds)
    require_all_answered(found)
    many = str(CLIENTS[-1])
    ours, theirs = (found[name][many]["answers_per_s"] for name in ("pawsure", "naive"))
    found["times_naive_at_64"] = round(ours / theirs, 1)
    return found


def bars(figures: dict) -> Iterator[tuple[str, str, bool]]:
    """What was to be shown, what was measured, and whether that is enough."""
    if "start_s" in figures:
        starts = figures["start_s"]
        measured = f"{median(starts):.2f} s ({min(starts):.2f} to {max(starts):.2f})"
        yield "start to first answer <= 1 s", measured, median(starts) <= 1
    if "times_naive_at_64" in figures:
        times = figures["times_naive_at_64"]
        yield "naive server at 64 clients >= 5 times", f"{times}", times >= 5
    if "crowd" in figures:
        quiet = [run for run in figures["crowd"] if not run["disturbed"]]
        yield from crowd_bars(quiet or figures["crowd"])
    if "hostile" in figures:
        found = figures["hostile"]
        good, bad = found["statuses"]["good"], found["statuses"]["hostile"]
        broken = [status for status in {*good, *bad} if status == 0 or 500 <= status != 503]
        well = found["alive"] and not found["wrong_answers"] and not broken
        measured = f"good {good}, hostile {bad}, wrong {found['wrong_answers']}"
        yield "hostile: no crash, no 5xx but 503, good ones right", measured, well and 200 in good


def crowd_bars(runs: list[dict]) -> Iterator[tuple[str, str, bool]]:
    """Those of the crowd: the median of the runs, and their spread."""
    taken = sorted(max(step["cores"]["others"] for step in steps_of(run)) for run in runs)
    print(f"{len(runs)} runs count; others took up to {taken[0]} to {taken[-1]} cores")
    tails = sorted(run["at_80_percent"]["p99_by_p50"] for run in runs)
    shares = sorted(run["at_twice_peak"]["of_peak"] for run in runs)
    yield "p99 at 80% of peak <= 4 times p50", f"{median(tails)} of {tails}", median(tails) <= 4
    measured = f"{median(shares):.1%} of {shares}"
    yield "at twice its peak: >= 90% of peak", measured, median(shares) >= 0.9
    unanswered = sum(run["at_twice_peak"]["unanswered"] for run in runs)
    yield "at twice its peak: all others 503", f"{unanswered} others", unanswered == 0
    memories = [run["at_twice_peak"]["memory_mib"] for run in runs]
    flat = all(memory["last_third"] <= 1.05 * memory["first_third"] for memory in memories)
    yield "at twice its peak: memory flat", f"{memories}", flat


def main() -> None:
    """Run what was asked for, print it, write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--parts", type=lambda text: text.split(","), default=PARTS)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--overload-seconds", type=float, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--hostile", type=int, default=10_000)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()

    pictures = [p.read_bytes() for p in sorted(asked.pictures.rglob("*.jpg"))[:NUM_PICTURES]]
    mean_kib = sum(map(len, pictures)) / len(pictures) / 1024
    print(f"{len(pictures)} pictures, {mean_kib:.0f} KiB each")
    figures: dict = {"cores": os.cpu_count(), "load_average": os.getloadavg()}
    if "start" in asked.parts:
        figures["start_s"] = start_to_first_answer(asked.model, pictures[0])
    if "naive" in asked.parts:
        figures |= against_naive(asked.model, pictures, asked.seconds)
    if "crowd" in asked.parts:
        requests = [load.multipart("/v1/predict", "pictures", picture) for picture in pictures]
        figures["crowd"] = crowds(asked.model, requests, asked)
    if "hostile" in asked.parts:
        figures["hostile"] = hostile_part(asked.model, pictures, asked.hostile)
    figures["bars"] = [
        {"bar": bar, "measured": measured, "met": met} for bar, measured, met in bars(figures)
    ]
    for row in figures["bars"]:
        print(f"{'met    ' if row['met'] else 'NOT MET'} {row['bar']}: {row['measured']}")
    if asked.out:
        asked.out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()

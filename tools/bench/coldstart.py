#!/usr/bin/env python3
"""From exec to the first correct answer over HTTP: unprepared, prepared, and peers beside.

    coldstart.py --build build/release --cache .cache [--models NAME,…] [--runs N] [--no-peers]

Every server is started in turn, round after round; a figure is the median of its rounds, the least
and the most behind it. An answer is correct when it equals, within 1e-3, what an unprepared server
said. The page cache is warm. Then two servers are started on one prepared model: what memory the
second has for itself. Prints a table. Standard library only.
"""

import argparse
import http.client
import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from contenders import start_python
from figures import NotRun, median
from kserve_request import size_of
from processes import HOST, Process
from setting import HERE, Setting

ROOT = HERE.parents[1]
SECONDS_MAX = 60.0
POLL_SECONDS = 0.0005
SEQUENCE = 32
TOLERANCE = 1e-3
# The most milliseconds that a prepared start may take.
GOALS = {"noop": 35, "minilm": 80, "minilm_int8": 60, "minilm_q8": 60, "efficientnet_lite0": 60,
         "resnet50_shaped": 130}
PRIVATE_SHARE_MAX = 0.25  # of the model's files, of a second replica
PEERS: dict[str, tuple[str, Callable[[int], list[str]]]] = {
    "LitServe": ("/predict", lambda port: [str(HERE / "peers/litserve_server.py"), str(port)]),
    "mosec": ("/inference", lambda port: [str(HERE / "peers/mosec_server.py"), "--address", HOST,
                                          "--port", str(port)]),
    "Flask": ("/infer", lambda port: ["-m", "gunicorn", "--workers", "1", "--worker-class",
                                      "gthread", "--threads", "4", "--no-control-socket", "--bind",
                                      f"{HOST}:{port}", "--chdir", str(HERE / "peers"),
                                      "flask_app:app"]),
}


class Bench(NamedTuple):
    setting: Setting
    runs: int
    peers: bool


class Started(NamedTuple):
    process: Process
    port: int


class Contender(NamedTuple):
    name: str
    path: str
    start: Callable[[], Started]


def config(bench: Bench, model: str, prepared: bool) -> Path:
    store = str(bench.setting.out / "coldstart-store") if prepared else "off"
    text = (f"prepared: {{folder: '{store}'}}\n"
            f"models:\n  - path: {bench.setting.model(model)}\n")
    return bench.setting.write(f"coldstart-{model}-{'' if prepared else 'un'}prepared.yaml", text)


def start_ours(bench: Bench, model: str, prepared: bool) -> Started:
    path = config(bench, model, prepared)
    return Started(*bench.setting.serve(path, path.stem))


def start_peer(bench: Bench, model: str, name: str) -> Started:
    file = bench.setting.model(model) / "1" / "model.onnx"
    return Started(*start_python(bench.setting, f"coldstart-{name}", PEERS[name][1],
                                 {"BENCH_MODEL": str(file)}))


def request_of(metadata: dict) -> bytes:
    """One row of JSON, the same for everybody."""
    inputs = []
    for spec in metadata["inputs"]:
        shape = [size_of(size, at, SEQUENCE) for at, size in enumerate(spec["shape"])]
        elements = 1
        for size in shape:
            elements *= size
        value = 0.5 if spec["datatype"] == "FP32" else int("type" not in spec["name"])
        inputs.append({"name": spec["name"], "shape": shape, "datatype": spec["datatype"],
                       "data": [value] * elements})
    return json.dumps({"inputs": inputs}, separators=(",", ":")).encode()


def ask(connection: http.client.HTTPConnection, path: str, body: bytes) -> list[float] | None:
    """The first output, or nothing while there is no answer yet."""
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    content = response.read()
    return json.loads(content)["outputs"][0]["data"] if response.status == 200 else None


def first_answer(started: Started, path: str, body: bytes) -> tuple[float, list[float]]:
    """Milliseconds since exec, and what it said."""
    process, port = started
    connection = http.client.HTTPConnection(HOST, port, timeout=SECONDS_MAX)
    while time.monotonic() - process.started < SECONDS_MAX:
        try:
            answer = ask(connection, path, body)
            if answer is not None:
                return 1000 * (time.monotonic() - process.started), answer
        except (OSError, http.client.HTTPException):
            connection.close()
        process.check_alive()
        time.sleep(POLL_SECONDS)
    raise NotRun(f"no answer within {SECONDS_MAX:.0f} s")


def check(answer: list[float], expected: list[float], who: str) -> None:
    if len(answer) != len(expected) or any(
            abs(a - b) > TOLERANCE * max(1, abs(b)) for a, b in zip(answer, expected)):
        raise NotRun(f"{who} answered something else")


def known_answer(bench: Bench, model: str) -> tuple[bytes, list[float]]:
    started = start_ours(bench, model, prepared=False)
    with started.process:
        started.process.wait_answer(started.port, f"/v2/models/{model}/ready")
        connection = http.client.HTTPConnection(HOST, started.port)
        connection.request("GET", f"/v2/models/{model}")
        body = request_of(json.loads(connection.getresponse().read()))
        return body, first_answer(started, f"/v2/models/{model}/infer", body)[1]


def contenders(bench: Bench, model: str) -> list[Contender]:
    path = f"/v2/models/{model}/infer"
    found = [Contender("unprepared", path, lambda: start_ours(bench, model, False)),
             Contender("prepared", path, lambda: start_ours(bench, model, True))]
    # The peers' programs give the model one input.
    if bench.peers and not model.startswith("minilm"):
        found += [Contender(name, PEERS[name][0], lambda name=name: start_peer(bench, model, name))
                  for name in PEERS]
    return found


def measure(bench: Bench, model: str) -> dict[str, list[float]]:
    body, expected = known_answer(bench, model)
    bench.setting.output(bench.setting.program("baozi"), "prepare", config(bench, model, True))
    times: dict[str, list[float]] = {}
    missing: set[str] = set()
    for turn in range(bench.runs + 1):
        for contender in contenders(bench, model):
            if contender.name in missing:
                continue
            try:
                started = contender.start()
                with started.process:
                    took, answer = first_answer(started, contender.path, body)
                check(answer, expected, contender.name)
            except NotRun as error:
                print(f"    {model}: {contender.name}: not run: {error}")
                missing.add(contender.name)
                continue
            if turn > 0:  # the first warms the page cache
                times.setdefault(contender.name, []).append(took)
    return times


def private_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def second_replica(bench: Bench, model: str, prepared: bool) -> tuple[float, int]:
    """Milliseconds to its first answer, and bytes that it shares with nobody."""
    body, _ = known_answer(bench, model)
    path = f"/v2/models/{model}/infer"
    first = start_ours(bench, model, prepared)
    with first.process:
        first_answer(first, path, body)
        second = start_ours(bench, model, prepared)
        with second.process:
            took, _ = first_answer(second, path, body)
            return took, private_bytes(second.process.pid)


def report(model: str, times: dict[str, list[float]]) -> None:
    for name, values in times.items():
        goal = GOALS.get(model) if name == "prepared" else None
        verdict = "" if goal is None else (
            f"  goal {goal}: {'met' if median(values) <= goal else 'NOT met'}")
        print(f"{model:<20} {name:<12} {median(values):8.1f} ms  "
              f"({min(values):.1f} to {max(values):.1f}){verdict}", flush=True)


def report_replica(bench: Bench, model: str) -> None:
    folder = bench.setting.model(model) / "1"
    size = sum(path.stat().st_size for path in folder.iterdir())
    for prepared in (False, True):
        took, private = second_replica(bench, model, prepared)
        print(f"{model:<20} second, {'' if prepared else 'un'}prepared: {took:.1f} ms, "
              f"{private / 1e6:.1f} MB of its own, {private / size:.2f} of the model"
              + (f"  goal {PRIVATE_SHARE_MAX}" if prepared else ""), flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build/release", help="build folder")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache", help="models and peers")
    parser.add_argument("--models", default=",".join(GOALS), help="some of: %(default)s")
    parser.add_argument("--runs", type=int, default=10, help="rounds")
    parser.add_argument("--no-peers", action="store_true")
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    out = ROOT / "build" / "bench"
    out.mkdir(parents=True, exist_ok=True)
    setting = Setting(arguments.build.resolve(), arguments.cache.resolve(), out, False, print,
                      time.monotonic() + 3600)
    bench = Bench(setting, arguments.runs, not arguments.no_peers)
    shutil.rmtree(out / "coldstart-store", ignore_errors=True)
    status = 0
    for model in arguments.models.split(","):
        try:
            report(model, measure(bench, model))
            if model != "noop":
                report_replica(bench, model)
        except NotRun as error:
            print(f"{model:<20} not run: {error}", flush=True)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())

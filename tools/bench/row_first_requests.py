#!/usr/bin/env python3
"""Row: what the first requests after `ready` pay above what later ones do.

    row_first_requests.py [--build build/release] [--cache .cache] [--quick]

By itself it prints its lines; figures and requests' mixture are as in the other rows.
"""

import argparse
import http.client
import json
import random
import sys
import threading
import time
from pathlib import Path

from figures import Goal, Line, NotRun, median
from kserve_request import Request, binary_request
from processes import HOST, Process
from setting import HERE, Setting

TITLE = "First requests"
METHOD = (
    "Sixteen callers begin as soon as `/v2/health/ready` says yes, each asking one request after "
    "the other, of 1 to 4 rows and, for MiniLM, 8 to 64 tokens; each hundred requests are the "
    "same mixture in another order. The p99 of the first hundred, divided by the median p99 of "
    "the later hundreds. Starts with warm-up and without it alternate."
)
NOTES: list[str] = []
CALLERS = 16
WINDOW = 100
WINDOWS = 8
SKIPPED = 2  # windows between the first and those that count as steady
TAX_MAX = 1.2
ROWS = (1, 1, 1, 1, 1, 1, 2, 2, 3, 4)
LENGTHS = (8, 12, 16, 20, 24, 32, 40, 48, 56, 64)
MODELS = {"minilm": "MiniLM", "efficientnet_lite0": "EfficientNet"}


def with_rows(inputs: list[dict], rows: int, sequence: int) -> Request:
    fixed = [{**spec, "shape": [rows, *spec["shape"][1:]]} for spec in inputs]
    return binary_request(fixed, sequence)


def mixture(inputs: list[dict]) -> list[Request]:
    """A hundred requests; every number of rows meets lengths of all sizes."""
    free = any(int(size) < 0 for spec in inputs for size in spec["shape"][1:])
    cache: dict[tuple[int, int], Request] = {}
    requests = []
    for i in range(WINDOW):
        key = (ROWS[i % len(ROWS)], LENGTHS[(i // len(ROWS)) % len(LENGTHS)] if free else 0)
        if key not in cache:
            cache[key] = with_rows(inputs, *key)
        requests.append(cache[key])
    return requests


def config(model: Path, pad: bool, warm_up: bool) -> str:
    text = f"models:\n  - path: {model}\n    warmup: {{enabled: {str(warm_up).lower()}}}\n"
    if pad:
        text += "    pad: {input_ids: 0, attention_mask: 0, token_type_ids: 0}\n"
    return text


class Callers:
    """Takes the requests in order; notes what each took."""

    def __init__(self, port: int, path: str, requests: list[Request]) -> None:
        self.port, self.path, self.requests = port, path, requests
        self.lock = threading.Lock()
        self.next = 0
        self.seconds = [0.0] * len(requests)
        self.error = ""

    def take(self) -> int | None:
        with self.lock:
            if self.error or self.next == len(self.requests):
                return None
            self.next += 1
            return self.next - 1

    def ask_all(self, connection: http.client.HTTPConnection) -> None:
        while (at := self.take()) is not None:
            request = self.requests[at]
            headers = {"Inference-Header-Content-Length": str(request.header_bytes),
                       "Content-Type": "application/octet-stream"}
            begin = time.perf_counter()
            connection.request("POST", self.path, request.body, headers)
            response = connection.getresponse()
            answer = response.read()
            self.seconds[at] = time.perf_counter() - begin
            if response.status != 200:
                self.error = f"{response.status}: {answer[:200].decode(errors='replace')}"

    def call(self) -> None:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=60)
        try:
            self.ask_all(connection)
        except OSError as error:
            self.error = str(error)
        finally:
            connection.close()

    def run(self) -> list[float]:
        threads = [threading.Thread(target=self.call) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.error:
            raise NotRun(self.error)
        return self.seconds


def p99(seconds: list[float]) -> float:
    """Of a hundred: the second slowest."""
    return sorted(seconds)[-1 - len(seconds) // 100]


def tax(seconds: list[float]) -> tuple[float, float]:
    """The first window's p99 by the later ones', and the latter in milliseconds."""
    windows = [p99(seconds[at:at + WINDOW]) for at in range(0, len(seconds), WINDOW)]
    steady = median(windows[1 + SKIPPED:])
    return windows[0] / steady, 1000 * steady


def metadata(port: int, name: str) -> list[dict]:
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    connection.request("GET", f"/v2/models/{name}")
    return json.loads(connection.getresponse().read())["inputs"]


def one_start(setting: Setting, name: str, warm_up: bool, seed: int,
              windows: int) -> dict[str, float]:
    text = config(setting.model(name), name == "minilm", warm_up)
    file = setting.write(f"{name}-first.yaml", text)
    process: Process
    process, port = setting.serve(file, f"{name}-first")
    with process:
        ready = process.wait_answer(port, "/v2/health/ready", pause=0.002)
        source = random.Random(seed)
        hundred = mixture(metadata(port, name))
        requests: list[Request] = []
        for _ in range(windows):
            source.shuffle(hundred)
            requests += hundred
        seconds = Callers(port, f"/v2/models/{name}/infer", requests).run()
        process.check_alive()
    first, steady = tax(seconds)
    return {"tax": first, "steady_ms": steady, "ready_ms": 1000 * ready}


def measure(setting: Setting, name: str) -> list[Line]:
    title = MODELS[name]
    found: dict[bool, list[dict[str, float]]] = {True: [], False: []}
    for seed in range(2 if setting.quick else 10):
        for warm_up in (True, False):
            found[warm_up].append(one_start(setting, name, warm_up, seed,
                                            SKIPPED + 4 if setting.quick else WINDOWS))

    def middle(warm_up: bool, key: str) -> float:
        return median(each[key] for each in found[warm_up])

    setting.say(f"{title}: tax {middle(True, 'tax'):.2f}, without warm-up "
                f"{middle(False, 'tax'):.2f}; steady p99 {middle(True, 'steady_ms'):.1f} ms; ready "
                f"after {middle(True, 'ready_ms'):.0f} ms, {middle(False, 'ready_ms'):.0f} without")
    return [
        Line(f"{title}: p99 of the first 100 by the steady p99", "×", middle(True, "tax"),
             {"without warm-up": middle(False, "tax")}, higher_is_better=False,
             goal=Goal("at_most", TAX_MAX)),
        Line(f"{title}: exec to ready", "ms", middle(True, "ready_ms"),
             {"without warm-up": middle(False, "ready_ms")}, higher_is_better=False),
    ]


def run(setting: Setting) -> list[Line]:
    return [line for name in MODELS for line in measure(setting, name)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--build", type=Path, default=HERE.parents[1] / "build/release")
    parser.add_argument("--cache", type=Path, default=HERE.parents[1] / ".cache")
    parser.add_argument("--quick", action="store_true", help="two starts each")
    arguments = parser.parse_args()
    out = HERE.parents[1] / "build/bench"
    out.mkdir(parents=True, exist_ok=True)
    setting = Setting(arguments.build.resolve(), arguments.cache.resolve(), out, arguments.quick,
                      lambda text: print(text, flush=True), time.monotonic() + 20 * 60)
    for line in run(setting):
        print(f"{line.what}: {line.baozi:.2f} {line.unit} {line.peers}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

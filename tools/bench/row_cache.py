"""Row: the response cache: a hit beside the miss, the same asked many times at once, and Redis
while it hangs."""

import asyncio
import http.client
import json
import resource
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from figures import Goal, Line, NotRun, median
from kserve_request import binary_request
from processes import HOST, Process, ask, free_port
from setting import Setting, settle

TITLE = "Response cache"
METHOD = (
    "One connection asks the same again and again (`baozi-load`); for the miss with "
    "`Cache-Control: no-store`. EfficientNet is asked with its tensor in binary (0.6 MB), the "
    "`classify` pipeline with a JPEG photograph. Redis is Debian's, on the same machine, and is "
    "stopped with SIGSTOP; requests to a no-op model, all unlike, go one after the other then."
)
NOTES = [
    "Of the EfficientNet hit most is the way of 0.6 MB through the socket and the hash over it; "
    "the no-op model's is the server's own part."
]
AT_ONCE = 1000
AFTER_HANG = 300
REDIS_WAIT_MS = 3


def config(setting: Setting, redis: str = "") -> str:
    photo_model = setting.model("efficientnet_lite0")
    lines = ["models:", f"  - {{path: {photo_model}, cache: true}}",
             f"  - {{path: {setting.model('noop')}, cache: true}}",
             f"  - {{path: {setting.write('slow.fake', 'latency_us: 300000')}, cache: true}}",
             "pipelines:",
             "  - {type: classify, cache: true, options: {model: efficientnet_lite0}}"]
    if redis:
        lines.append(f"cache: {{redis: '{redis}', redis_timeout_ms: {REDIS_WAIT_MS}}}")
    return "\n".join(lines) + "\n"


class Served:
    def __init__(self, setting: Setting, redis: str = "") -> None:
        self.setting = setting
        file = setting.write("cache.yaml", config(setting, redis))
        self.process, self.port = setting.serve(file, "cache")
        self.process.wait_answer(self.port, "/v2/health/ready")

    def ask(self, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        status, answer = ask(self.port, path, body, headers)
        if status != 200:
            raise NotRun(f"{path} answered {status}: {answer[:200].decode(errors='replace')}")
        return answer

    def binary(self, model: str) -> tuple[bytes, dict[str, str]]:
        inputs = json.loads(ask(self.port, f"/v2/models/{model}")[1])["inputs"]
        request = binary_request(inputs, 1)
        return request.body, {"Inference-Header-Content-Length": str(request.header_bytes)}

    def median_us(self, path: str, body: bytes, headers: dict[str, str], seconds: float) -> float:
        file = self.setting.write("cache.bin", body)
        words = [word for item in headers.items() for word in ("--header", ": ".join(item))]
        figures = self.setting.load(self.port, path, "--body", file, *words, "-c", "1", "-d",
                                    str(seconds), "--warm-up", "0.5")
        self.process.check_alive()
        if figures["errors"]:
            raise NotRun(f"{figures['errors']} errors: {figures['by_status']}")
        return float(figures["latency_us"]["median"])


def hit_and_miss(setting: Setting, served: Served) -> dict[str, tuple[float, float]]:
    photo = (setting.cache / "data" / "rocket.jpg").read_bytes()
    asked = {"EfficientNet": ("efficientnet_lite0", *served.binary("efficientnet_lite0")),
             "classify": ("classify", photo, {"Inference-Header-Content-Length": "0"}),
             "no-op": ("noop", *served.binary("noop"))}
    found = {}
    for name, (model, body, headers) in asked.items():
        path = f"/v2/models/{model}/infer"
        served.ask(path, body, headers)
        hits, misses = [], []
        for _ in range(setting.rounds):
            settle()
            hits.append(served.median_us(path, body, headers, setting.seconds(4)))
            misses.append(served.median_us(path, body, headers | {"Cache-Control": "no-store"},
                                           setting.seconds(4)))
        found[name] = median(hits), median(misses)
        setting.say(f"{name}: hit {found[name][0]:.0f} µs, miss {found[name][1]:.0f} µs")
    return found


async def ask_many(port: int, request: bytes, count: int) -> int:
    """How many of them were answered with 200."""
    async def one() -> bool:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(request)
        line = await reader.readline()
        writer.close()
        return b" 200 " in line
    return sum(await asyncio.gather(*(one() for _ in range(count))))


def runs_of_one(setting: Setting, served: Served) -> float:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4 * AT_ONCE)), hard))
    body = json.dumps({"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP32",
                                   "data": [1, 2, 3, 4]}]}).encode()
    head = (f"POST /v2/models/slow/infer HTTP/1.1\r\nHost: {HOST}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode()
    answered = asyncio.run(ask_many(served.port, head + body, AT_ONCE))
    if answered != AT_ONCE:
        raise NotRun(f"{answered} of {AT_ONCE} requests were answered")
    statistics = json.loads(ask(served.port, "/v2/models/slow/stats")[1])["model_stats"][0]
    runs = statistics["execution_count"]
    setting.say(f"{AT_ONCE} at once: {runs} run")
    return float(runs)


def one_by_one(served: Served, first: int) -> list[float]:
    """Milliseconds of each of so many unlike requests."""
    body, headers = served.binary("noop")
    connection = http.client.HTTPConnection(HOST, served.port, timeout=10)
    taken = []
    for number in range(first, first + AFTER_HANG):
        begin = time.perf_counter()
        connection.request("POST", "/v2/models/noop/infer", body,
                           headers | {"x-tenant": str(number)})
        answer = connection.getresponse()
        answer.read()
        taken.append(1000 * (time.perf_counter() - begin))
        if answer.status != 200:
            raise NotRun(f"noop answered {answer.status}")
    connection.close()
    return taken


def p99(values: list[float]) -> float:
    return sorted(values)[int(0.99 * (len(values) - 1))]


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 10
    while not condition():
        if time.monotonic() > end:
            raise NotRun(f"{what}: not within 10 s")
        time.sleep(0.02)


def redis_up(served: Served) -> bool:
    return b"baozi_cache_redis_up 1" in ask(served.port, "/metrics")[1]


def hung_redis(setting: Setting) -> tuple[float, float]:
    """Milliseconds: the 99th percentile with Redis well, and of the first requests after it
    stopped."""
    program = shutil.which("redis-server")
    if program is None:
        raise NotRun("redis-server is not installed (Debian's redis-server)")
    port = free_port()
    well, hung = [], []
    with Process([Path(program), "--port", str(port), "--bind", HOST, "--save", "",
                  "--appendonly", "no"], setting.out / "redis.log") as redis:
        served = Served(setting, f"redis://{HOST}:{port}")
        with served.process:
            for number in range(setting.rounds):
                until(lambda: redis_up(served), "Redis")
                one_by_one(served, 10_000 * number)
                well.append(p99(one_by_one(served, 10_000 * number + 1000)))
                redis.process.send_signal(signal.SIGSTOP)
                hung.append(p99(one_by_one(served, 10_000 * number + 2000)[:100]))
                redis.process.send_signal(signal.SIGCONT)
    setting.say(f"p99 with Redis {median(well):.2f} ms, while it hangs {median(hung):.2f} ms")
    return median(well), median(hung)


def run(setting: Setting) -> list[Line]:
    served = Served(setting)
    with served.process:
        found = hit_and_miss(setting, served)
        runs = runs_of_one(setting, served)
    lines = []
    for name, (hit, miss) in found.items():
        goal = Goal("of_limit", 1 / 20) if name == "EfficientNet" else None
        lines.append(Line(f"hit, {name}, median", "µs", hit, limit_name="the miss", limit=miss,
                          higher_is_better=False, goal=goal))
    lines.append(Line("hit over HTTP, no-op, median", "µs", found["no-op"][0],
                      higher_is_better=False, goal=Goal("at_most", 150)))
    lines.append(Line(f"runs of the model for {AT_ONCE} equal requests at once", "", runs,
                      higher_is_better=False, goal=Goal("at_most", 1)))
    try:
        well, hung = hung_redis(setting)
    except NotRun as error:
        return [*lines, Line("p99 added by a hung Redis", "ms", f"not run: {error}")]
    lines.append(Line("p99 added by a hung Redis", "ms", max(hung - well, 0.0),
                      higher_is_better=False, goal=Goal("at_most", 5)))
    return lines

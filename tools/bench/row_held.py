"""Row: what requests cost that wait, and whether others are still served."""

import json
import resource

from figures import Goal, Line, NotRun, median
from setting import Setting

TITLE = "Held requests"
METHOD = (
    "Requests for a fake model that does not answer, each on a connection of its own, and health "
    "checks meanwhile. Memory is the growth of the server's resident set, which the kernel's "
    "socket buffers are no part of."
)
NOTES: list[str] = []
CONNECTIONS = 10_000
FILES = CONNECTIONS + 500
BYTES_MAX = 4096
HEALTH_P99_MS_MAX = 20
MODEL = "latency_us: 600000000\n"
REQUEST = {"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP32",
                       "data": [1.0, 2.0, 3.0, 4.0]}]}


def allow_files() -> None:
    """For this process and the server it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES:
        raise NotRun(f"only {hard} files may be open (ulimit -Hn), {FILES} are needed")
    if soft != resource.RLIM_INFINITY and soft < FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))


def config(setting: Setting) -> str:
    model = setting.write("wait.fake", MODEL)
    return (
        f"http: {{connections_max: {FILES}, drain_timeout_ms: 500}}\n"
        f"requests_max: {FILES}\n"
        "models:\n"
        f"  - path: {model}\n"
        "    instances: 1\n"
        "    batch: {max: 1}\n"
        f"    queue_max: {FILES}\n"
    )


def measure(setting: Setting) -> dict:
    body = setting.write("wait.json", json.dumps(REQUEST))
    process, port = setting.serve(setting.write("wait.yaml", config(setting)), "wait")
    with process:
        process.wait_answer(port, "/v2/health/ready")
        figures = setting.load(
            port, "/v2/models/wait/infer", "--mode", "held", "--body", str(body),
            "--header", "Content-Type: application/json", "-c", str(CONNECTIONS),
            "-d", str(setting.seconds(8)), "--health-path", "/v2/health/live",
            "--server-pid", str(process.pid))
        process.check_alive()
    if figures["still_held"] < CONNECTIONS or figures["health_errors"]:
        raise NotRun(f"{figures['still_held']} of {CONNECTIONS} requests were still held, "
                     f"{figures['health_errors']} health checks failed")
    return figures


def run(setting: Setting) -> list[Line]:
    allow_files()
    found = []
    for _ in range(setting.rounds):
        found.append(measure(setting))
        setting.say(f"{found[-1]['bytes_per_held_request']:,.0f} bytes a request, "
                    f"health {found[-1]['health_latency_us']}")

    def middle(pick) -> float:
        return median(pick(figures) for figures in found)

    return [
        Line(f"memory of one of {CONNECTIONS:,} held requests, its connection included", "bytes",
             middle(lambda figures: figures["bytes_per_held_request"]),
             higher_is_better=False, goal=Goal("at_most", BYTES_MAX)),
        Line("of that, an idle connection", "bytes",
             middle(lambda figures: figures["bytes_per_idle_connection"]), higher_is_better=False),
        Line("health check meanwhile: 99th percentile", "ms",
             middle(lambda figures: figures["health_latency_us"]["p99"] / 1000),
             higher_is_better=False, goal=Goal("at_most", HEALTH_P99_MS_MAX)),
        Line("health check meanwhile: median", "ms",
             middle(lambda figures: figures["health_latency_us"]["median"] / 1000),
             higher_is_better=False),
    ]

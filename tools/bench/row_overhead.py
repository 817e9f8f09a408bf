"""Row: what the server itself costs a request, with a model that does nothing."""

from collections import defaultdict

from contenders import (
    BARE,
    CONTENDERS,
    OURS,
    PEERS,
    REQUEST,
    REQUEST_HEADERS,
    Contender,
)
from figures import Goal, Line, NotRun, measured
from setting import Setting, rotated, settle

TITLE = "Server overhead"
METHOD = (
    "A no-op ONNX model, asked in KServe's JSON by wrk with one thread on the same machine. The "
    "Python servers run the same file by ONNX Runtime, a process a core. CPU time is that of the "
    "server with all its processes. The limit is baozi's HTTP server that answers a constant."
)
NOTES = [
    "Seen elsewhere, on another machine of two cores: Triton 24.10 with its ONNX Runtime backend "
    "4,470 / 21,388 / 19,886 requests/s at 1 / 16 / 64 connections, 60 to 68 µs of CPU a request.",
]
RATE_GOALS = {1: 9_000, 16: 55_000, 64: 55_000}
CPU_GOAL_US = 20

# {(figure, connections): {name: [a value a round]}}
Samples = dict[tuple[str, int], dict[str, list[float]]]


def measure(setting: Setting, contender: Contender, samples: Samples) -> None:
    """One round of one server: all numbers of connections."""
    body = setting.write("noop.json", REQUEST)
    process, port = contender.start(setting)
    with process:
        process.wait_answer(port, contender.path, REQUEST.encode(), REQUEST_HEADERS)
        for connections in RATE_GOALS:
            setting.wrk(port, contender.path, body, connections, 1)
            settle()
            before = process.cpu_seconds()
            figures = setting.wrk(port, contender.path, body, connections, setting.seconds(4))
            cpu = process.cpu_seconds() - before
            process.check_alive()
            if not figures["requests"] or figures["errors"] > figures["requests"] / 1000:
                raise NotRun(f"{figures['errors']} errors at {connections} connections")
            rate = figures["requests"] / figures["seconds"]
            samples["rate", connections][contender.name].append(rate)
            samples["median", connections][contender.name].append(figures["median_us"] / 1000)
            cpu_us = 1e6 * cpu / figures["requests"]
            samples["cpu", connections][contender.name].append(cpu_us)
            setting.say(f"{contender.name}, {connections} connections: {rate:,.0f} requests/s, "
                        f"median {figures['median_us']:,.0f} µs, {cpu_us:.1f} µs of CPU")


def run(setting: Setting) -> list[Line]:
    samples: Samples = defaultdict(lambda: defaultdict(list))
    missing: dict[str, str] = {}
    for number in range(setting.rounds):
        for contender in rotated(list(CONTENDERS), number):
            if contender.name in missing:
                continue
            try:
                measure(setting, contender, samples)
            except NotRun as error:  # the rounds before it count
                missing[contender.name] = str(error)
                setting.say(f"{contender.name} not run: {error}")

    def line(figure: str, connections: int, what: str, unit: str, goal: Goal | None) -> Line:
        def of(name: str) -> float | str:
            reason = missing.get(name, "no figure")
            return measured(samples[figure, connections][name], reason)

        plural = "s" if connections > 1 else ""
        return Line(f"{what}, {connections} connection{plural}", unit, of(OURS),
                    {name: of(name) for name in PEERS}, BARE, of(BARE),
                    higher_is_better=figure == "rate", goal=goal)

    lines = []
    for connections, rate in RATE_GOALS.items():
        lines.append(line("rate", connections, "throughput", "requests/s", Goal("at_least", rate)))
    for connections in RATE_GOALS:
        lines.append(line("cpu", connections, "CPU a request", "µs", Goal("at_most", CPU_GOAL_US)))
    for connections in RATE_GOALS:
        lines.append(line("median", connections, "median latency", "ms", None))
    return lines

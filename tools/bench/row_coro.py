"""Row: the coroutine core beside Boost.Asio, oneTBB and Taskflow."""

import json
from typing import NamedTuple

from figures import Goal, Line, NotRun, measured
from google_benchmark import OURS, PEERS, Samples, add, pick
from setting import Setting

TITLE = "Coroutine core"
METHOD = (
    "`coro_bench`: all four do the same work in turn, and all is repeated in fresh processes. What "
    "has no coroutines uses what comes nearest (baozi/coro/bench). baozi's tasks carry their "
    "stop token, deadline and context."
)
NOTES: list[str] = []


class Workload(NamedTuple):
    name: str
    figure: str
    what: str
    unit: str
    higher_is_better: bool
    scale: float = 1


WORKLOADS = (
    Workload("create_await", "ns", "create and await a child", "ns", False),
    Workload("hops/1x1", "hops_per_second", "hops, 1 task, 1 thread", "M/s", True, 1e-6),
    Workload("hops/1x2", "hops_per_second", "hops, 1 task, 2 threads", "M/s", True, 1e-6),
    Workload("hops/1000x1", "hops_per_second", "hops, 1,000 tasks, 1 thread", "M/s", True, 1e-6),
    Workload("hops/1000x2", "hops_per_second", "hops, 1,000 tasks, 2 threads", "M/s", True, 1e-6),
    Workload("spawn_hop_join", "time_per_task", "spawn, hop and join 100,000 tasks: time of one",
             "ns", False, 1e9),
    Workload("spawn_hop_join", "bytes_per_task", "spawn, hop and join 100,000 tasks: memory of one",
             "bytes", False),
    Workload("pipeline", "requests_per_second", "three stages of 1 µs, 10,000 requests in flight",
             "k/s", True, 1e-3),
    Workload("wake", "median_us", "wake an idle pool: median", "µs", False),
    Workload("wake", "p99_us", "wake an idle pool: 99th percentile", "µs", False),
)


def line(workload: Workload, samples: Samples) -> Line:
    def figure(who: str) -> float | str:
        values = pick(samples, workload.name, who, workload.figure, workload.scale)
        return measured(values, "coro_bench has no such figure")

    return Line(workload.what, workload.unit, figure(OURS),
                {label: figure(who) for who, label in PEERS.items()},
                higher_is_better=workload.higher_is_better, goal=Goal("ahead"))


def run(setting: Setting) -> list[Line]:
    program = setting.program("coro_bench")
    samples: Samples = {}
    rounds = 1 if setting.quick else 5
    for number in range(rounds):
        setting.say(f"round {number + 1} of {rounds}")
        try:
            text = setting.output(program, "--benchmark_format=json", "--benchmark_min_time=0.1")
        except NotRun as error:
            if not samples:
                raise
            setting.say(f"no more rounds: {error}")
            break
        add(samples, json.loads(text))
    return [line(workload, samples) for workload in WORKLOADS]

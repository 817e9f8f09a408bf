"""Row: memory at the start, and after many requests."""

import dataclasses
import re
from pathlib import Path
from typing import NamedTuple

from figures import Line, NotRun
from llm_bench import TITLES, Bench, served, take_turns
from llm_client import ask_all, request
from llm_servers import OURS, USUAL, Contender
from llm_words import words

TITLE = "Memory"
METHOD = (
    "The server's share of memory (Pss of /proc/PID/smaps_rollup: what it maps of the model's file "
    "counts) after its first answer and after many small requests, eight at a time. The limit is "
    "what baozi says at load that the model takes, and may take for what past requests computed."
)
NOTES: list[str] = []
REQUESTS = 1000
REQUESTS_FULL = 10_000
REQUESTS_QUICK = 200
CLIENTS = 8
# In the log of `baozi serve`, both in MiB.
ESTIMATE = re.compile(r"(\d+) MB estimated .*, and up to (\d+) for what past requests")


class Round(NamedTuple):
    start: float  # MB
    after: float
    resident: float  # Rss after the requests
    estimate: float | None


def memory(pid: int, field: str) -> float:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)
    if not found:
        raise NotRun(f"smaps_rollup has no {field}")
    return int(found[1]) * 1024 / 1e6


def estimate(log: Path) -> float | None:
    found = ESTIMATE.search(log.read_text(errors="replace"))
    return (int(found[1]) + int(found[2])) * 2**20 / 1e6 if found else None


def count(bench: Bench) -> int:
    if bench.full:
        return REQUESTS_FULL
    return REQUESTS_QUICK if bench.setting.quick else REQUESTS


def measure(bench: Bench, contender: Contender, model: str) -> Round:
    each = count(bench) // CLIENTS
    streams = [[request(words(8 + n % 9, f"memory {client} {n}"), 1 + n % 4) for n in range(each)]
               for client in range(CLIENTS)]
    with served(bench, contender, model, USUAL) as server:
        start = memory(server.process.pid, "Pss")
        ask_all(server.port, *streams)
        found = Round(start, memory(server.process.pid, "Pss"),
                      memory(server.process.pid, "Rss"), estimate(server.process.log))
    bench.say(f"{contender.name}: {found.start:.1f} MB, after {each * CLIENTS} requests "
              f"{found.after:.1f} MB, estimate {found.estimate or 'none'}")
    return found


def against_estimate(line: Line, rounds: list[Round]) -> Line:
    given = [found.estimate for found in rounds if found.estimate is not None]
    limit = given[-1] if given else "not run: baozi printed no estimate"
    return dataclasses.replace(line, limit_name="estimate", limit=limit)


def run(bench: Bench) -> list[Line]:
    lines = []
    for model in bench.models[:1]:  # the requests are the same for every model
        table = take_turns(bench, 1, bench.contenders,
                           lambda contender, number, name=model: measure(bench, contender, name))
        after = f"{TITLES[model]}: after {count(bench):,} requests"
        lines += [
            table.line(f"{TITLES[model]}: after the first answer", "MB",
                       lambda found: found.start, higher_is_better=False),
            against_estimate(table.line(after, "MB", lambda found: found.after,
                                        higher_is_better=False), table.found.get(OURS, [])),
            table.line(f"{after}, resident set", "MB", lambda found: found.resident,
                       higher_is_better=False),
        ]
    return lines

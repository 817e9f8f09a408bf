"""Row: do the stages of many requests overlap?"""

import json

from figures import Goal, Line, NotRun, median
from setting import Setting

TITLE = "Overlap"
METHOD = (
    "Requests that take 50 ms before, 100 ms in and 30 ms after a fake model, all at once, on two "
    "CPU threads and one lane. The limit is the bottleneck's time for all requests plus the rest "
    "once."
)
NOTES: list[str] = []


def run(setting: Setting) -> list[Line]:
    took: dict[str, list[float]] = {}
    ideal: dict[str, float] = {}
    for _ in range(setting.rounds):
        text = setting.output(setting.program("pipeline_bench"), "--benchmark_filter=^overlap/",
                              "--benchmark_format=json")
        entries = json.loads(text)["benchmarks"] if text.strip() else []
        for entry in entries:
            requests = entry["name"].split("/")[1]
            took.setdefault(requests, []).append(entry["took_ms"])
            ideal[requests] = entry["ideal_ms"]
    if not took:
        raise NotRun("pipeline_bench has no benchmark called overlap")
    return [Line(f"{requests} requests", "ms", median(values), limit_name="ideal",
                 limit=ideal[requests], higher_is_better=False, goal=Goal("of_limit", 1.05))
            for requests, values in took.items()]

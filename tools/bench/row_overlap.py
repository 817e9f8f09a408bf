"""Row: do the stages of many requests overlap?"""

import json

from figures import Goal, Line, NotRun
from setting import Setting

TITLE = "Overlap"
METHOD = (
    "Requests that take 50 ms before, 100 ms in and 30 ms after a fake model, all at once, on two "
    "CPU threads and one lane. The limit is the bottleneck's time for all requests plus the rest "
    "once."
)
NOTES: list[str] = []


def run(setting: Setting) -> list[Line]:
    text = setting.output(setting.program("pipeline_bench"), "--benchmark_filter=^overlap/",
                          "--benchmark_format=json")
    entries = json.loads(text)["benchmarks"] if text.strip() else []
    if not entries:
        raise NotRun("pipeline_bench has no benchmark called overlap")
    return [Line(f"{entry['name'].split('/')[1]} requests", "ms", entry["took_ms"],
                 limit_name="ideal", limit=entry["ideal_ms"], higher_is_better=False,
                 goal=Goal("of_limit", 1.05))
            for entry in entries]

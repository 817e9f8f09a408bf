"""Reads Google Benchmark's JSON: `<workload>/<who>[/arguments]` becomes figures by workload and
by who. Pure."""

from collections.abc import Iterable

UNIT_NS = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}
OURS = "baozi"
PEERS = {"asio": "Asio", "tbb": "oneTBB", "taskflow": "Taskflow"}
# What is no counter of a workload's own.
STANDARD = {
    "cpu_time", "family_index", "iterations", "per_family_instance_index", "real_time",
    "repetition_index", "repetitions", "threads", "items_per_second", "bytes_per_second",
}

# {workload: {who: {figure: [a value a round]}}}; the figure `ns` is the time of an iteration
Samples = dict[str, dict[str, dict[str, list[float]]]]


def split_name(name: str) -> tuple[str, str] | None:
    """`hops/1x2/asio/1/2/real_time` is workload `hops/1x2` of `asio`; None: it names nobody."""
    parts = name.split("/")
    for at, part in enumerate(parts):
        if at > 0 and (part == OURS or part in PEERS):
            return "/".join(parts[:at]), part
    return None


def add(samples: Samples, report: dict) -> None:
    """Adds one run's report. Aggregates, and what failed, are left out."""
    for entry in report["benchmarks"]:
        name = split_name(entry["name"])
        if name is None or entry.get("run_type") == "aggregate" or entry.get("error_occurred"):
            continue
        figures = samples.setdefault(name[0], {}).setdefault(name[1], {})
        values = {"ns": entry["real_time"] * UNIT_NS[entry["time_unit"]]}
        for key, value in entry.items():
            if isinstance(value, float | int) and key not in STANDARD:
                values[key] = float(value)
        for key, value in values.items():
            figures.setdefault(key, []).append(value)


def pick(samples: Samples, workload: str, who: str, figure: str, scale: float) -> list[float]:
    values: Iterable[float] = samples.get(workload, {}).get(who, {}).get(figure, [])
    return [value * scale for value in values]

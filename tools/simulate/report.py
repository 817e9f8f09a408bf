#!/usr/bin/env python3
"""Runs the simulation's scenarios; writes docs/simulation.md and its plots.

    report.py --program build/release/bin/fleet_simulation

Standard library only.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from plot import Series, plot

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/simulation.md"
PLOTS = ROOT / "docs/simulation"
SCENARIOS = {
    "step": ("Ten times as much, at once",
             "26,000 requests a second for five minutes, 260,000 for half an hour, 26,000 again."),
    "crowd": ("A flash crowd",
              "26,000 requests a second; after five minutes six times as many within 20 seconds, "
              "ebbing away by half every four minutes."),
    "wave": ("A day", "26,000 requests a second at night, 260,000 at noon."),
}
POLICIES = {
    "blind-cpu": "blind; HPA by CPU",
    "ready-cpu": "by readiness; HPA by CPU",
    "steered-cpu": "by warmth; HPA by CPU",
    "steered-cpu-queue": "by warmth; HPA by CPU and queue",
}
# Seconds until the port is open, of loading, and of warm-up.
STARTS = {"an image to pull, a large model": (60, 30, 15), "as above": (20, 8, 6),
          "prepared, the image there": (5, 0.5, 1)}
QUEUE_TARGETS = (10, 100, 1000)
HEAD = """# Simulation of a fleet

Written by `make simulate` (tools/simulate/report.py); not by hand. The pure cores that steer
(`fleet::steer`) and that scale (`fleet::ReplicaScaling`, the HPA's algorithm with its defaults) run
under a virtual clock with thousands of replicas; the same seed gives the same figures.

## What is simulated

A replica has {servers:g} servers, a request takes {service_ms:g} ms, {queue_max:g} may wait, more
are refused. A new one takes {port_seconds:g} s until its port is open, {load_seconds:g} s to load,
in which it holds requests, and {warm_seconds:g} s to warm up, in which a request takes
{lukewarm_factor:g} times as long. The autoscaler acts every 15 s on figures that are 15 to 30 s
old, at most doubles the fleet in 15 s, and lets it shrink after five minutes. Balancers hear of a
replica's warmth once a second. Requests come at random (Poisson); within a step of {step_ms:g} ms
they are a fluid, so that ten million a minute take seconds to compute.

| policy | balancer | autoscaler |
|---|---|---|
| blind; HPA by CPU | a whole share as soon as the port is open | CPU {cpu_target:g} % |
| by readiness; HPA by CPU | nothing until it is ready, then a whole share | CPU {cpu_target:g} % |
| by warmth; HPA by CPU | little while it starts, as `baozi steer` does | CPU {cpu_target:g} % |
| by warmth; HPA by CPU and queue | likewise | CPU {cpu_target:g} % or \
{queue_target:g} waiting requests a replica, whichever asks for more: the chart's default |

*Above* is the time in windows of 10 s in which more than 1 % took longer than {target_ms:g} ms or
were refused; *late* the share of all requests of which that is true.
"""


def run(program: Path, *words: object) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        subprocess.run([str(program), *map(str, words), "--out", out.name], check=True,
                       stdout=subprocess.DEVNULL)
        return json.loads(Path(out.name).read_text())


def row(name: str, result: dict[str, Any]) -> str:
    return (f"| {name} | {result['seconds_above']:,.0f} | {100 * result['late_share']:.2f} | "
            f"{100 * result['refused_share']:.2f} | {result['replica_hours']:,.0f} | "
            f"{result['replicas_most']:,} |")


HEADING = ("| {} | above, s | late, % | refused, % | replica-hours | most replicas |\n"
           "|---|---|---|---|---|---|")


def thinned(points: list[tuple[float, float]], most: int = 400) -> list[tuple[float, float]]:
    """The largest of each stretch, so that no peak is lost."""
    stretch = -(-len(points) // most)
    return [max(points[at:at + stretch], key=lambda point: point[1])
            for at in range(0, len(points), stretch)]


def draw(scenario: str, found: dict[str, Any]) -> list[str]:
    """The plots' files."""
    divisor, unit = (3600, "hours") if scenario == "wave" else (60, "minutes")
    results = {POLICIES[each["policy"]]: each["windows"] for each in found["results"]}

    def series(column: int, names: list[str]) -> list[Series]:
        return [Series(name, thinned([(window[0] / divisor, window[column])
                                      for window in results[name]])) for name in names]

    names = list(results)
    offered = Series("requests a second / 100", thinned(
        [(window[0] / divisor, window[1] / 100) for window in results[names[0]]]))
    plots = {"replicas": plot("Hot replicas", unit,
                              [*series(3, [names[0], names[2], names[3]]), offered]),
             "p99": plot("p99, ms", unit, series(4, [names[0], names[1], names[3]]))}
    for name, text in plots.items():
        (PLOTS / f"{scenario}-{name}.svg").write_text(text)
    return [f"simulation/{scenario}-{name}.svg" for name in plots]


def chapter(scenario: str, found: dict[str, Any]) -> str:
    title, what = SCENARIOS[scenario]
    rows = [row(POLICIES[each["policy"]], each) for each in found["results"]]
    plots = "\n\n".join(f"![{file}]({file})" for file in draw(scenario, found))
    return "\n".join([f"## {title}", "", what, "", HEADING.format("policy"), *rows, "", plots, ""])


def starts(program: Path) -> str:
    rows = []
    for name, (port, load, warm) in STARTS.items():
        found = run(program, "--scenario", "step", "--policy", "steered-cpu-queue",
                    "--port-seconds", port, "--load-seconds", load, "--warm-seconds", warm)
        rows.append(row(f"{name}: {port:g} + {load:g} + {warm:g} s", found["results"][0]))
    return "\n".join(["## What a quick start is worth", "",
                      "The first scenario by warmth, CPU and queue, with other starts.", "",
                      HEADING.format("until the port, load, warm-up"), *rows, ""])


def queue_targets(program: Path) -> str:
    rows = []
    for scenario in ("step", "crowd"):
        for target in QUEUE_TARGETS:
            found = run(program, "--scenario", scenario, "--policy", "steered-cpu-queue",
                        "--queue-target", target)
            rows.append(row(f"{SCENARIOS[scenario][0]}: {target}", found["results"][0]))
    return "\n".join(["## Which queue to scale by", "",
                      "Waiting requests a replica that the autoscaler aims at.", "",
                      HEADING.format("target"), *rows, ""])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--program", type=Path, default=ROOT / "build/release/bin/fleet_simulation")
    program = parser.parse_args().program.resolve()
    PLOTS.mkdir(exist_ok=True)
    began = time.monotonic()
    chapters, requests = [], 0.0
    for scenario in SCENARIOS:
        print(f"{SCENARIOS[scenario][0]} …", flush=True)
        found = run(program, "--scenario", scenario)
        requests += sum(each["requests"] for each in found["results"])
        chapters.append(chapter(scenario, found))
    chapters += [starts(program), queue_targets(program)]
    took = time.monotonic() - began
    head = HEAD.format(**found) + (f"\nThe scenarios below are {requests / 1e9:.0f} billion "
                                   f"requests, computed in {took:.0f} s.\n")
    reading = (Path(__file__).parent / "reading.md").read_text()
    PAGE.write_text("\n".join([head, reading, *chapters]))
    print(f"See {PAGE.relative_to(ROOT)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Row: a cold replica joins a fleet under constant load."""

import asyncio
import time
from typing import Any

from figures import Goal, Line, median
from fleet_target import FRONTS, LARGE, MINILM, Target, lines_of, new_fleet, start_fronts
from setting import Setting
from steady_load import SteadyLoad, between, failed, quantile

TITLE = "A cold replica joins"
METHOD = (
    "Three replicas are asked at a constant rate through a balancer; then a fourth starts. The "
    "p99 over the minute from its start, divided by the p99 of the time before; and the slowest "
    "answer of that minute. HAProxy has the configuration that `baozi steer haproxy` writes, "
    "nginx an upstream file that `baozi steer nginx` keeps; *round robin* (HAProxy, too) knows "
    "only whether a port is open. All stand before the same replicas and are asked in turn. "
    "Latency counts from when a request was due. The second model is of the "
    "fake engine: it takes five seconds to load, as one of 5 GB does at 1 GB/s, and 10 ms to run."
)
NOTES: list[str] = []
RATIO_MAX = 1.3
REPLICAS = 3
SETTLE_SECONDS = 6


class Joined:
    """What one round found, in milliseconds."""

    def __init__(self, before: float, after: float, slowest: float, lost: int) -> None:
        self.before, self.after, self.slowest, self.lost = before, after, slowest, lost


async def join(setting: Setting, fleet: Any, front: Any, request: bytes, rate: float) -> Joined:
    newcomer = fleet.replicas[REPLICAS]
    before_seconds, after_seconds = setting.seconds(20), setting.seconds(60)
    async with SteadyLoad(front.port, request, rate) as load:
        await asyncio.sleep(SETTLE_SECONDS)
        began = time.monotonic()
        await asyncio.sleep(before_seconds)
        joined = time.monotonic()
        newcomer.start()
        await asyncio.sleep(after_seconds)
        ended = time.monotonic()
    newcomer.stop()
    before, after = (between(load.outcomes, began, joined), between(load.outcomes, joined, ended))
    return Joined(1e3 * quantile(before, .99), 1e3 * quantile(after, .99),
                  1e3 * max(each.seconds for each in after), len(failed(before + after)))


def measure(setting: Setting, target: Target) -> list[Line]:
    found: dict[str, list[Joined]] = {name: [] for name in FRONTS}
    with new_fleet(setting, f"join-{target.model}", target.config(setting)) as fleet:
        fleet.start_replicas(REPLICAS)
        fleet.add_replica()
        fronts = start_fronts(fleet)
        request = target.request(fleet.replicas[0].port)
        for _ in range(setting.rounds):
            for name, front in fronts.items():
                front.wait_up(range(REPLICAS))
                one = asyncio.run(join(setting, fleet, front, request, target.rate))
                found[name].append(one)
                setting.say(f"{target.title}, {name}: p99 {one.before:.1f} ms before, "
                            f"{one.after:.1f} after, slowest {one.slowest:.0f}, {one.lost} lost")

    def of(name: str, figure: str) -> float:
        return median(getattr(each, figure) for each in found[name])

    def ratio(name: str) -> float:
        return median(each.after / each.before for each in found[name])

    def lines(what: str, unit: str, value: Any, goal: Goal | None = None) -> list[Line]:
        return lines_of(f"{target.title}, {what}", unit, value, goal)

    return [*lines("p99 after by p99 before", "×", ratio, Goal("at_most", RATIO_MAX)),
            *lines("p99 before", "ms", lambda name: of(name, "before")),
            *lines("slowest answer of the minute", "ms", lambda name: of(name, "slowest")),
            *lines("requests that failed", "", lambda name: of(name, "lost"), Goal("at_most", 0))]


def run(setting: Setting) -> list[Line]:
    return [line for target in (MINILM, LARGE) for line in measure(setting, target)]

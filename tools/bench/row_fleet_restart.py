"""Row: all replicas are restarted, one after the other, under constant load."""

import asyncio
import time
from typing import Any

from figures import Goal, Line, median
from fleet_target import FRONTS, MINILM, lines_of, new_fleet, start_fronts
from setting import Setting
from steady_load import SteadyLoad, between, failed, quantile

TITLE = "Rolling restart"
METHOD = (
    "Three replicas of MiniLM f32 are asked at a constant rate; each in turn gets SIGTERM, ends, "
    "is started again, and the next one follows when it is ready. Requests that were not "
    "answered with 200, and the p99 of all. Every replica waits for its balancers before it goes "
    "(`fleet.drain_delay_ms`); round robin, which asks nobody, is the same without what the "
    "replicas say."
)
NOTES: list[str] = []
REPLICAS = 3
PAUSE_SECONDS = 3  # between two of them: balancers find the one before


async def restart_all(fleet: Any, front: Any, request: bytes) -> tuple[int, int, float]:
    """Requests that failed, of how many, and the p99 in milliseconds."""
    async with SteadyLoad(front.port, request, MINILM.rate) as load:
        await asyncio.sleep(PAUSE_SECONDS)
        began = time.monotonic()
        for replica in fleet.replicas:
            await asyncio.to_thread(replica.restart_gently)
            await asyncio.sleep(PAUSE_SECONDS)
        ended = time.monotonic()
    seen = between(load.outcomes, began, ended)
    return len(failed(seen)), len(seen), 1e3 * quantile(seen, .99)


def run(setting: Setting) -> list[Line]:
    found: dict[str, list[tuple[int, int, float]]] = {name: [] for name in FRONTS}
    with new_fleet(setting, "restart", MINILM.config(setting)) as fleet:
        fleet.start_replicas(REPLICAS)
        request = MINILM.request(fleet.replicas[0].port)
        fronts = start_fronts(fleet)
        for _ in range(setting.rounds):
            for name, front in fronts.items():
                front.wait_up(range(REPLICAS))
                lost, asked, p99 = asyncio.run(restart_all(fleet, front, request))
                found[name].append((lost, asked, p99))
                setting.say(f"{name}: {lost} of {asked} failed, p99 {p99:.1f} ms")

    def of(name: str, at: int) -> float:
        return median(each[at] for each in found[name])

    def most(name: str) -> float:
        return max(each[0] for each in found[name])

    return [*lines_of("requests that failed, the worst round", "", most, Goal("at_most", 0)),
            *lines_of("requests of a round", "", lambda name: of(name, 1)),
            *lines_of("p99", "ms", lambda name: of(name, 2))]

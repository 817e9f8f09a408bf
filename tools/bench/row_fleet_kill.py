"""Row: one replica is killed under constant load."""

import asyncio
from typing import Any

from figures import Goal, Line
from fleet_target import FRONTS, SLOW, lines_of, new_fleet, start_fronts
from processes import ask
from setting import Setting
from steady_load import SteadyLoad, failed

TITLE = "A replica is killed"
METHOD = (
    "Three replicas of a model that takes 50 ms (the fake engine) are asked 60 times a second; "
    "one gets SIGKILL, and is started again, five times in a round. How many requests were sent "
    "anew (`wretr` and `wredis` of HAProxy's statistics, `$upstream_addr` of nginx), beside those "
    "that were in flight on the replica that died, and how many were lost to the client. What is "
    "in flight is asked of the replica just before."
)
NOTES = ["In flight is read a moment before the signal, so it may be one or two off."]
REPLICAS = 3
KILLS = 5
SLACK = 2  # that came between the question and the signal


class Killed:
    """What the kills of a round came to."""

    def __init__(self) -> None:
        self.in_flight = self.again = self.above = self.lost = self.asked = 0


async def kill_some(fleet: Any, front: Any, request: bytes, kills: int) -> Killed:
    found = Killed()
    victim = fleet.replicas[1]
    async with SteadyLoad(front.port, request, SLOW.rate) as load:
        await asyncio.sleep(2)
        for _ in range(kills):
            before = front.sent_again()
            in_flight = victim.warmth()["in_flight"]
            victim.process.process.kill()
            victim.process.process.wait()
            await asyncio.sleep(3)  # longer than HAProxy takes to find it out by itself
            sent = front.sent_again() - before
            found.in_flight += in_flight
            found.again += sent
            found.above += max(0, sent - in_flight - SLACK)
            await asyncio.to_thread(victim.start().wait_ready)
            await asyncio.to_thread(front.wait_up, [1])
    found.lost, found.asked = len(failed(load.outcomes)), len(load.outcomes)
    return found


def run(setting: Setting) -> list[Line]:
    found: dict[str, list[Killed]] = {name: [] for name in FRONTS}
    with new_fleet(setting, "kill", SLOW.config(setting, instances=4)) as fleet:
        fleet.start_replicas(REPLICAS)
        request = SLOW.request(fleet.replicas[0].port)
        assert ask(fleet.replicas[0].port, "/v2/warmth")[0] == 200
        fronts = start_fronts(fleet)
        for _ in range(setting.rounds):
            for name, front in fronts.items():
                front.wait_up(range(REPLICAS))
                one = asyncio.run(kill_some(fleet, front, request, 3 if setting.quick else KILLS))
                found[name].append(one)
                setting.say(f"{name}: {one.in_flight} in flight, {one.again} sent again, "
                            f"{one.lost} of {one.asked} lost")

    def total(name: str, figure: str) -> float:
        return sum(getattr(each, figure) for each in found[name])

    def lines(what: str, figure: str, goal: Goal | None = None) -> list[Line]:
        return lines_of(what, "", lambda name: total(name, figure), goal)

    return [*lines("requests lost to the client", "lost", Goal("at_most", 0)),
            *lines("requests", "asked"),
            *lines("in flight on the replica when it died", "in_flight"),
            *lines("sent anew", "again"),
            *lines("sent anew above what was in flight", "above", Goal("at_most", 0))]

"""Row: how soon HAProxy's weights follow what a replica says of its warmth."""

import time
from typing import Any

from figures import Goal, Line, median
from fleet_target import Target, new_fleet
from setting import Setting

TITLE = "Weights follow warmth"
METHOD = (
    "A replica starts whose four models take two seconds each to load, one after the other (the "
    "fake engine), so its warmth rises in steps; its agent's line and HAProxy's statistics are "
    "read every 20 ms. The time from a line that is new to the weight that it asks for. HAProxy "
    "asks agents once a second, so up to a second is its own part."
)
NOTES: list[str] = []
MODELS = 4
LOAD_MS = 2000
SECONDS_MAX = 30.0
INTERVAL_MS = 1000
LOOK_MS = 40  # two looks


def expected(record: dict[str, Any]) -> int:
    """As baozi/fleet/steering.cc has it."""
    if record["state"] in ("ready", "degraded"):
        return 100
    return int(5 + record["warmth"] * 20)


def lags(replica: Any, front: Any) -> list[float]:
    """Milliseconds, of each new weight."""
    found: list[float] = []
    wanted, since, followed = -1, 0.0, True
    end = time.monotonic() + SECONDS_MAX
    while time.monotonic() < end:
        try:
            weight = expected(replica.warmth())
        except OSError:
            continue  # its socket is not open yet
        now = time.monotonic()
        if weight != wanted:
            wanted, since, followed = weight, now, False
        if not followed and front.weight(0) == wanted:
            followed = True
            found.append(1e3 * (time.monotonic() - since))
        if wanted == 100 and followed:
            return found[1:]  # the first one is HAProxy's way to a server that was not there
        time.sleep(0.02)
    return found


def run(setting: Setting) -> list[Line]:
    found: list[float] = []
    slow = Target("", "slow", 0, f"load_ms: {LOAD_MS}\n")
    models = [slow._replace(model=f"slow{number}").config(setting)["models"][0]
              for number in range(MODELS)]
    with new_fleet(setting, "weights", {"models": models, "loads_max": 1}) as fleet:
        replica = fleet.add_replica()
        front = fleet.start_haproxy()
        for _ in range(1 if setting.quick else 5):
            replica.start()
            found += lags(replica, front)
            replica.stop()
    setting.say(f"{len(found)} new weights: {', '.join(f'{lag:.0f}' for lag in found)} ms")
    return [Line("new weights seen", "", float(len(found))),
            Line("from the line to the weight, the slowest", "ms", max(found),
                 goal=Goal("at_most", INTERVAL_MS + LOOK_MS), higher_is_better=False),
            Line("from the line to the weight, the median", "ms", median(found),
                 higher_is_better=False)]

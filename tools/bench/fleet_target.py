"""What the fleet's rows ask their replicas, and the balancers that they ask through."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.append(str(Path(__file__).resolve().parents[1] / "fleet"))
import parts  # noqa: E402: it lies there
from figures import Goal, Line
from kserve_request import binary_request
from processes import ask
from setting import Setting
from steady_load import http_request

SEQUENCE = 32
STEERED = ("HAProxy", "nginx")
BLIND = "round robin"
FRONTS = (*STEERED, BLIND)


class Target(NamedTuple):
    """A model that a fleet serves, and how often it is asked."""

    title: str
    model: str
    rate: float  # requests a second
    fake: str = ""  # of the fake engine: the file that says what it does

    def config(self, setting: Setting, **more: Any) -> dict[str, Any]:
        if self.fake:
            path = setting.write(f"{self.model}.fake", self.fake)
        else:
            path = setting.model(self.model)
        return {"models": [{"path": str(path), **more}]}

    def request(self, port: int) -> bytes:
        """As it goes on the wire."""
        inputs = json.loads(ask(port, f"/v2/models/{self.model}")[1])["inputs"]
        made = binary_request(inputs, SEQUENCE)
        return http_request(f"/v2/models/{self.model}/infer", made.body,
                            {"Inference-Header-Content-Length": str(made.header_bytes)})


MINILM = Target("MiniLM f32", "minilm", 30)
# Five seconds are a model of 5 GB on a disk that reads 1 GB a second.
LARGE = Target("5 s to load", "large", 60, "load_ms: 5000\nlatency_us: 10000\n")
SLOW = Target("50 ms", "slow", 60, "latency_us: 50000\n")


def new_fleet(setting: Setting, name: str, config: dict[str, Any]) -> parts.Fleet:
    return parts.Fleet(setting.program("baozi"), setting.out / f"fleet-{name}", config)


def start_fronts(fleet: parts.Fleet) -> dict[str, Any]:
    """All in front of the same replicas, so that they can be asked in turn."""
    return {"HAProxy": fleet.start_haproxy(), "nginx": fleet.start_nginx(),
            BLIND: fleet.start_haproxy(blind=True)}


def lines_of(what: str, unit: str, value: Callable[[str], float],
             goal: Goal | None = None) -> list[Line]:
    """One for each balancer that is steered, with the one that is not beside it."""
    return [Line(f"{what}: {name}", unit, value(name), {BLIND: value(BLIND)},
                 higher_is_better=False, goal=goal) for name in STEERED]


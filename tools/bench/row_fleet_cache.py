"""Row: a replica joins while Redis is full of what the others have answered."""

import json
import random
from typing import Any

from figures import Goal, Line, median
from fleet_target import MINILM, new_fleet
from processes import ask
from setting import Setting

TITLE = "A replica joins a fleet with a response cache"
METHOD = (
    "`/v1/embeddings` of sentences by MiniLM: nine of ten are among 200 that are asked for "
    "often, the others are asked for once. Three replicas share Redis and are asked in turn "
    "until the last 600 requests give their rate of hits; a fourth starts, and is asked 100 "
    "requests of the same mixture as soon as it is ready. Its rate of hits in those by the "
    "fleet's, beside a fourth that has a cache of its own only."
)
NOTES: list[str] = []
REPLICAS = 3
OFTEN = 200
OFTEN_SHARE = 0.9
FILLING = 1200
COUNTED = 600
FIRST = 100
SHARE_MIN = 0.95


class Mixture:
    """Sentences in an order that follows from the seed."""

    def __init__(self, seed: int) -> None:
        self.random, self.seed, self.once = random.Random(seed), seed, 0

    def next(self) -> bytes:
        if self.random.random() < OFTEN_SHARE:
            text = f"A sentence that is asked for often, number {self.random.randrange(OFTEN)}."
        else:
            self.once += 1
            text = f"A sentence that is asked for once: {self.seed} and {self.once}."
        return json.dumps({"input": text, "model": "embed"}).encode()


def hits(replica: Any) -> float:
    for line in ask(replica.port, "/metrics")[1].decode().splitlines():
        if line.startswith("baozi_cache_requests_total{") and 'result="hit"' in line \
                and 'model="embed"' in line:
            return float(line.split()[-1])
    return 0.0


def ask_all(replicas: list[Any], mixture: Mixture, count: int) -> float:
    """The rate of hits."""
    before = sum(hits(each) for each in replicas)
    for number in range(count):
        status, body = ask(replicas[number % len(replicas)].port, "/v1/embeddings", mixture.next(),
                           {"Content-Type": "application/json"})
        if status != 200:
            raise RuntimeError(f"/v1/embeddings answered {status}: {body[:200]!r}")
    return (sum(hits(each) for each in replicas) - before) / count


def config(setting: Setting) -> dict[str, Any]:
    pad = {"input_ids": 0, "attention_mask": 0, "token_type_ids": 0}
    return {**MINILM.config(setting, pad=pad),
            "pipelines": [{"type": "embed", "cache": True, "options": {"model": "minilm"}}]}


def first_hits(fleet: Any, mixture: Mixture) -> float:
    newcomer = fleet.add_replica().start()
    newcomer.wait_ready()
    rate = ask_all([newcomer], mixture, FIRST)
    newcomer.stop()
    return rate


def run(setting: Setting) -> list[Line]:
    shared: list[float] = []
    alone: list[float] = []
    rates: list[float] = []
    with new_fleet(setting, "cache", config(setting)) as fleet:
        without = fleet.config
        fleet.start_redis()
        fleet.start_replicas(REPLICAS)
        ask_all(fleet.replicas[:REPLICAS], Mixture(1), FILLING)
        for number in range(setting.rounds):
            rates.append(ask_all(fleet.replicas[:REPLICAS], Mixture(10 + number), COUNTED))
            with_redis = fleet.config
            shared.append(first_hits(fleet, Mixture(100 + number)))
            fleet.config = without
            alone.append(first_hits(fleet, Mixture(200 + number)))
            fleet.config = with_redis
            setting.say(f"the fleet hits {rates[-1]:.3f}, a new replica {shared[-1]:.3f}, without "
                        f"Redis {alone[-1]:.3f}")
    fleet_rate = median(rates)
    return [Line("hits in the first 100 requests by the fleet's rate", "×",
                 median(shared) / fleet_rate, {"without Redis": median(alone) / fleet_rate},
                 goal=Goal("at_least", SHARE_MIN)),
            Line("hits in the first 100 requests", "", median(shared),
                 {"without Redis": median(alone)}, limit=fleet_rate, limit_name="the fleet's rate")]

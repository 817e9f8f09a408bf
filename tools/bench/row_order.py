"""Row: ten models in order of use: how soon most of a recorded traffic can be served."""

import json
import random
import time
from pathlib import Path

from figures import Line, NotRun, median
from processes import HOST, Process, ask
from setting import Setting
from start_target import request_of

TITLE = "Order of loading"
METHOD = (
    "Ten models (MiniLM f32 and INT8 and EfficientNet by turns, not prepared, one load at a time), "
    "asked as a heavy tail is: the k-th most popular k^-1.5 as often as the first; who is popular "
    "is drawn by lot. One server answers this traffic and ends, which leaves its record of use. "
    "Then servers start with the record and without, by turns; without it models are loaded in "
    "the order of their names. Times are from exec until the models that answer stand for 90 % of "
    "the traffic."
)
NOTES: list[str] = []
COUNT = 10
KINDS = ("minilm", "minilm_int8", "efficientnet_lite0")
EXPONENT = 1.5
REQUESTS = 200
SHARE = 0.9
SECONDS_MAX = 60


def shares(seed: int) -> dict[str, float]:
    """Of the traffic, by name."""
    names = [f"model_{letter}" for letter in "abcdefghij"[:COUNT]]
    random.Random(seed).shuffle(names)
    weights = [(at + 1) ** -EXPONENT for at in range(COUNT)]
    return {name: weight / sum(weights) for name, weight in zip(names, weights, strict=True)}


def config(setting: Setting, label: str, record: Path | str) -> Path:
    lines = ["prepared: {folder: 'off'}", "loads_max: 1", f"start_record: '{record}'", "models:"]
    for at, name in enumerate(sorted(shares(0))):
        lines.append(f"  - {{name: {name}, path: {setting.model(KINDS[at % len(KINDS)])}, "
                     "instances: 1, warmup: {enabled: false}}")
    return setting.write(f"order-{label}.yaml", "\n".join(lines) + "\n")


def serve_traffic(setting: Setting, record: Path, mix: dict[str, float], seed: int) -> None:
    process, port = setting.serve(config(setting, "first", record), "order-first")
    with process:
        process.wait_answer(port, "/v2/health/ready")
        bodies = {name: request_of(json.loads(ask(port, f"/v2/models/{name}")[1])) for name in mix}
        drawn = random.Random(seed).choices(list(mix), list(mix.values()), k=REQUESTS)
        for name in drawn:
            status, answer = ask(port, f"/v2/models/{name}/infer", bodies[name],
                                 {"Content-Type": "application/json"})
            if status != 200:
                raise NotRun(f"{name} answered {status}: {answer[:200].decode(errors='replace')}")
    if not record.exists():
        raise NotRun("the server left no record of use")


def until_most(process: Process, port: int, mix: dict[str, float]) -> float:
    """Seconds since exec."""
    while time.monotonic() - process.started < SECONDS_MAX:
        process.check_alive()
        try:
            entries = json.loads(ask(port, "/v2/repository/index", b"{}")[1])
        except OSError:
            entries = []
        there = {entry["name"] for entry in entries if entry["state"] == "READY"}
        if sum(mix[name] for name in there) >= SHARE:
            return time.monotonic() - process.started
        time.sleep(0.002)
    raise NotRun(f"not within {SECONDS_MAX} s on {HOST}")


def run(setting: Setting) -> list[Line]:
    times: dict[str, list[float]] = {"by use": [], "by name": []}
    for turn in range(2 if setting.quick else 10):
        mix = shares(turn)
        record = setting.out / f"order-{turn}.record"
        record.unlink(missing_ok=True)
        serve_traffic(setting, record, mix, turn)
        for label, file in (("by use", record), ("by name", "off")):
            process, port = setting.serve(
                config(setting, label.replace(" ", "-"), file), "order")
            with process:
                times[label].append(until_most(process, port, mix))
    use, name = median(times["by use"]), median(times["by name"])
    setting.say(f"90 % after {use:.2f} s by use, {name:.2f} s by name")
    return [Line("exec until 90 % of the traffic can be served", "s", use,
                 {"in the order of names": name}, higher_is_better=False)]

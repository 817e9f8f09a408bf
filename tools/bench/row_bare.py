"""Row: real models behind the server beside the best bare loop."""

import json
import os

from figures import Goal, Line, NotRun, median
from served_model import SEQUENCE, ServedModel
from setting import Setting

TITLE = "Server beside the bare engine"
METHOD = (
    f"One row a request (MiniLM: {SEQUENCE} tokens) as binary tensors from baozi-load on the same "
    "machine, the server with its default settings. The limit is the best of baozi-bare's loops "
    "over the same engine: every batch size and split of the cores is tried, and the best few are "
    "measured again in turn with the server."
)
NOTES: list[str] = []
MODELS = (("minilm", "MiniLM f32"), ("minilm_q8", "MiniLM INT8"),
          ("efficientnet_lite0", "EfficientNet-Lite0"))
BATCHES = (1, 2, 4, 8, 16, 32)
CONNECTIONS = (16, 64)
FINALISTS = 2


def splits(cores: int) -> list[str]:
    """A thread for each of as many callers as there are cores, or all cores for one caller."""
    return [f"{cores}:1", f"1:{cores}", f"1:{cores}:spin"] if cores > 1 else ["1:1"]


def label(trial: dict) -> str:
    kind = ", spinning" if trial["spinning"] else ""
    return f"batch {trial['batch']}, {trial['callers']} × {trial['threads']} threads{kind}"


def trials(setting: Setting, model: str, seconds: float, batches: list[int],
           wanted: list[str]) -> list[dict]:
    path = setting.model(model) / "1" / "model.onnx"
    out = setting.output(setting.program("baozi-bare"), path, "--seconds", str(seconds),
                         "--sequence", str(SEQUENCE), "--batches", *map(str, batches),
                         "--splits", *wanted)
    return [json.loads(text) for text in out.splitlines()]


def again(setting: Setting, model: str, trial: dict, seconds: float) -> float:
    split = f"{trial['callers']}:{trial['threads']}" + (":spin" if trial["spinning"] else "")
    return trials(setting, model, seconds, [trial["batch"]], [split])[0]["rows_per_second"]


def finalists(setting: Setting, model: str) -> list[dict]:
    batches = [1, 4, 16] if setting.quick else list(BATCHES)
    found = trials(setting, model, 0.4 if setting.quick else 1.0, batches,
                   splits(os.cpu_count() or 1))
    found.sort(key=lambda trial: trial["rows_per_second"], reverse=True)
    for trial in found[:FINALISTS]:
        setting.say(f"{model}, bare, {label(trial)}: {trial['rows_per_second']:,.1f} rows/s")
    return found[:FINALISTS]


def measure(setting: Setting, model: str, what: str) -> list[Line]:
    best = finalists(setting, model)
    bare: dict[str, list[float]] = {label(trial): [] for trial in best}
    served: dict[int, list[float]] = {connections: [] for connections in CONNECTIONS}
    seconds = setting.seconds(4)
    with ServedModel(setting, model) as server:
        # The batcher learns what batches cost.
        server.load(CONNECTIONS[-1], 1, setting.seconds(3))
        for _ in range(setting.rounds):
            for trial in best:
                bare[label(trial)].append(again(setting, model, trial, seconds))
            for connections in CONNECTIONS:
                rate = server.load(connections, seconds, 1)["requests_per_s"]
                served[connections].append(rate)
                setting.say(f"{model}, {connections} connections: {rate:,.1f} rows/s")
    limits = {name: median(values) for name, values in bare.items()}
    limit = max(limits, key=lambda name: limits[name])
    return [Line(f"{what}, {connections} connections", "rows/s", median(values),
                 limit_name=f"bare loop, {limit}", limit=limits[limit],
                 goal=Goal("of_limit", 0.97))
            for connections, values in served.items()]


def run(setting: Setting) -> list[Line]:
    lines: list[Line] = []
    for model, what in MODELS:
        try:
            lines += measure(setting, model, what)
        except NotRun as error:
            setting.say(f"{model} not run: {error}")
            lines.append(Line(what, "rows/s", f"not run: {error}", limit_name="bare loop",
                              goal=Goal("of_limit", 0.97)))
    return lines

"""Row: from exec to the first correct answer over HTTP, prepared and not, and peers beside."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from contenders import start_python
from figures import Goal, Line, NotRun, measured
from processes import HOST, Process, free_port
from setting import HERE, Setting, rotated
from start_target import (SEQUENCE, TITLES, Asked, Started, known, prepare, start, store, timed)

TITLE = "First answer"
METHOD = (
    "From exec to the first correct answer over HTTP: every server is started in turn, round after "
    "round, and asked again and again until it answers. An answer is correct when it equals, "
    "within 1e-3, what a server said that was ready and unprepared. The page cache is warm. The "
    "peers load the same ONNX file with ONNX Runtime and get the same request. The limit is a bare "
    "program that loads what baozi loads, the prepared model, runs it once and ends; it listens to "
    "nobody."
)
NOTES = ["What the peers would do for the OCR pipeline is another program; it has none beside it."]
# The most milliseconds that a prepared start may take.
GOALS = {"noop": 35, "minilm": 80, "minilm_int8": 60, "efficientnet_lite0": 60,
         "resnet50_shaped": 130, "ocr": None}
PEERS: dict[str, tuple[str, Callable[[int], list[str]]]] = {
    "LitServe": ("/predict", lambda port: [str(HERE / "peers/litserve_server.py"), str(port)]),
    "mosec": ("/inference", lambda port: [str(HERE / "peers/mosec_server.py"), "--address", HOST,
                                          "--port", str(port)]),
    "Flask": ("/infer", lambda port: ["-m", "gunicorn", "--workers", "1", "--worker-class",
                                      "gthread", "--threads", "4", "--no-control-socket", "--bind",
                                      f"{HOST}:{port}", "--chdir", str(HERE / "peers"),
                                      "flask_app:app"]),
}
OURS, UNPREPARED, TRITON, BARE = "baozi", "unprepared", "Triton", "bare program"


def start_peer(setting: Setting, target: str, name: str) -> Started:
    file = setting.model(target) / "1" / "model.onnx"
    return Started(*start_python(setting, f"coldstart-{name}", PEERS[name][1],
                                 {"BENCH_MODEL": str(file)}))


def start_triton(setting: Setting, target: str) -> Started:
    program = shutil.which("tritonserver")
    if program is None:
        raise NotRun("no tritonserver here")
    folder = setting.out / "triton-start" / target
    (folder / target / "1").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(setting.model(target) / "1" / "model.onnx",
                    folder / target / "1" / "model.onnx")
    port = free_port()
    words: list[str | Path] = [
        program, f"--model-repository={folder}", f"--http-port={port}", f"--http-address={HOST}",
        "--allow-grpc=false", "--allow-metrics=false"]
    return Started(Process(words, setting.out / "triton.log"), port)


def bare(setting: Setting, target: str) -> float:
    begin = time.monotonic()
    setting.output(setting.program("baozi-bare"), setting.model(target) / "1" / "model.onnx",
                   "--batches", "1", "--splits", "1:1", "--seconds", "0", "--sequence",
                   str(SEQUENCE), "--prepared", store(setting))
    return 1000 * (time.monotonic() - begin)


def contenders(setting: Setting, target: str, asked: Asked) -> dict[str, Callable[[], float]]:
    found = {OURS: lambda: timed(lambda: start(setting, target, True), asked),
             UNPREPARED: lambda: timed(lambda: start(setting, target, False), asked)}
    if target == "ocr":
        return found
    for name, (path, _) in PEERS.items():
        there = asked._replace(path=path)
        found[name] = lambda name=name, there=there: timed(
            lambda: start_peer(setting, target, name), there)
    found[TRITON] = lambda: timed(lambda: start_triton(setting, target), asked)
    found[BARE] = lambda: bare(setting, target)
    return found


def measure(setting: Setting, target: str) -> Line:
    asked = known(setting, target)
    prepare(setting, target)
    everybody = contenders(setting, target, asked)
    times: dict[str, list[float]] = {name: [] for name in everybody}
    missing: dict[str, str] = {}
    for turn in range(1 + (1 if setting.quick else 10)):  # the first warms the page cache
        for name in rotated(list(everybody), turn):
            if name in missing:
                continue
            try:
                took = everybody[name]()
            except NotRun as error:
                missing[name] = str(error)
                continue
            if turn > 0:
                times[name].append(took)
    figures = {name: measured(values, missing.get(name, "")) for name, values in times.items()}
    for name, values in times.items():
        if values:
            setting.say(f"{TITLES[target]}, {name}: {figures[name]:.1f} ms, "
                        f"{min(values):.1f} to {max(values):.1f}")
    goal = GOALS[target]
    ours, limit = figures.pop(OURS), figures.pop(BARE, "")
    return Line(TITLES[target], "ms", ours, figures, limit_name=BARE if limit else "", limit=limit,
                higher_is_better=False, goal=None if goal is None else Goal("at_most", goal))


def run(setting: Setting) -> list[Line]:
    shutil.rmtree(store(setting), ignore_errors=True)
    lines = []
    for target in GOALS:
        try:
            lines.append(measure(setting, target))
        except NotRun as error:
            lines.append(Line(TITLES[target], "ms", f"not run: {error}", higher_is_better=False))
    return lines
